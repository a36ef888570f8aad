"""A work's way from upload to publication: each step one UPDATE that names the state it expects.

All functions are part of the caller's transaction, together with the upload's change and the job that goes on.
"""

from typing import Any

from psycopg.types.json import Jsonb

from openstage.database.engine import Connection
from openstage.database.text import storable
from openstage.identity.models import Caller
from openstage.settings import ReviewMode
from openstage.works import queries
from openstage.works.errors import UnknownWork, WrongState
from openstage.works.machine import RERUNNABLE, TRANSITIONS
from openstage.works.models import Metadata, Production, State, Work
from openstage.works.service import new_slug
from openstage.works.text import checked


async def create(connection: Connection, caller: Caller, file_id: str, *, file_size: int) -> None:
    """Enter a work whose upload has just been opened."""
    await connection.execute(
        """
        insert into work (file_id, slug, app_id, user_id, state, file_size)
        values (%s, %s, %s, %s, 'uploading', %s)
        """,
        (file_id, new_slug(), caller.app_id, caller.user_id, file_size),
    )


async def lock(connection: Connection, caller: Caller | None, file_id: str) -> Work:
    """Return a work and keep others from changing it until the transaction ends.

    Args:
        connection: the caller's transaction.
        caller: whose it must be; None: anybody's.
        file_id: which.

    Raises:
        UnknownWork: no such work, deleted, or somebody else's.

    """
    where = "file_id = %(file)s and deleted_at is null"
    parameters: dict[str, Any] = {"file": storable(file_id)}
    if caller is not None:
        where += " and app_id = %(app)s and user_id = %(user)s"
        parameters |= {"app": caller.app_id, "user": caller.user_id}
    work = await queries.select_one(connection, where + " for update", parameters)
    if work is None:
        raise UnknownWork
    return work


async def move(connection: Connection, work_id: int, before: State, after: State, *, reason: str = "") -> bool:
    """Go from one state to another if the work is still in the first.

    Returns:
        Whether it was; if not, nothing has changed.

    Raises:
        WrongState: the state machine has no such transition.

    """
    if after not in TRANSITIONS[before]:
        raise WrongState(f"A work that is {before} can't become {after}.", before)
    cursor = await connection.execute(
        """
        update work
        set state = %(after)s, reason = %(reason)s, changed_at = now(), pending = %(after)s = 'publishing',
            published_at = case when %(after)s = 'published' then coalesce(published_at, now()) else published_at end
        where id = %(id)s and state = %(before)s
        """,
        {"id": work_id, "before": before, "after": after, "reason": storable(reason)},
    )
    return cursor.rowcount == 1


async def describe(connection: Connection, work: Work, metadata: Metadata) -> None:
    """Set a work's metadata, the first time or anew.

    Raises:
        BadMetadata: something is too long or too large.

    """
    kept = checked(metadata)
    await connection.execute(
        """
        update work
        set title = %(title)s, description = %(description)s, tags = %(tags)s, category = %(category)s,
            described_at = coalesce(described_at, now()), changed_at = now()
        where id = %(id)s
        """,
        {
            "id": work.id,
            "title": kept.title,
            "description": kept.description,
            "tags": list(kept.tags),
            "category": kept.category,
        },
    )


# --- production -----------------------------------------------------------------------------------------------
async def want_rerun(connection: Connection, work: Work) -> None:
    """Ask for a work's renditions to be made anew; what is published stays in force until the new ones are whole.

    Raises:
        WrongState: it has no original that could be processed.

    """
    if work.state == "failed":
        await move(connection, work.id, "failed", "publishing")
    elif work.state not in (*RERUNNABLE, "publishing"):
        raise WrongState(f"It can't be run again: it is {work.state} and has never been processed.", work.state)
    await connection.execute(
        "update work set pending = true, tries = 0, last_fault = '', changed_at = now() where id = %s", (work.id,)
    )


async def claim(connection: Connection, file_id: str, token: str) -> tuple[Work, int] | None:
    """Begin a run of the pipeline: from now on only the holder of `token` may put results in force.

    Returns:
        The work and how many runs in a row have broken off before this one; None if no run is wanted (any more).

    """
    row = await (
        await connection.execute(
            """
            update work set claim = %(token)s, tries = tries + 1, step = '', percent = 0, changed_at = now()
            where file_id = %(file)s and pending and deleted_at is null
            returning id, tries - 1
            """,
            {"file": file_id, "token": token},
        )
    ).fetchone()
    if row is None:
        return None
    work = await queries.select_one(connection, "work.id = %(id)s", {"id": row[0]})
    assert work is not None  # it has just been updated in this transaction
    return work, int(row[1])


async def give_back(connection: Connection, file_id: str, token: str, *, fault: str = "", counts: bool = False) -> None:
    """End a run that broke off, so that another can begin.

    Args:
        connection: the caller's transaction.
        file_id: the work.
        token: the run's claim; another's is left alone.
        fault: what stopped it, for the operator.
        counts: whether it counts towards the limit of tries (a worker that is told to stop doesn't).

    """
    await connection.execute(
        """
        update work
        set claim = '', tries = tries - %(less)s, last_fault = %(fault)s, step = '', percent = 0, changed_at = now()
        where file_id = %(file)s and claim = %(token)s and pending
        """,
        {"file": file_id, "token": token, "less": 0 if counts else 1, "fault": storable(fault)},
    )


async def progress(connection: Connection, work_id: int, token: str, *, step: str, percent: float) -> bool:
    """Note how far a run has come.

    Returns:
        Whether the run is still wanted: False once the work is deleted or another run has taken over.

    """
    cursor = await connection.execute(
        """
        update work set step = %(step)s, percent = %(percent)s, changed_at = now()
        where id = %(id)s and claim = %(token)s and pending and deleted_at is null
        """,
        {"id": work_id, "token": token, "step": step, "percent": percent},
    )
    return cursor.rowcount == 1


async def put_in_force(
    connection: Connection, work_id: int, token: str, production: Production, *, review: ReviewMode
) -> bool:
    """Replace a work's renditions and pictures by those of a finished run, and publish it if it isn't yet.

    What a first publication becomes is decided by the review mode of this moment; a rerun changes neither the state
    nor the review.

    Returns:
        Whether the run was still wanted; if not, nothing has changed.

    """
    await connection.execute(
        """
        update production_run r set superseded_at = now() from work w
        where w.id = %(id)s and w.claim = %(token)s and w.pending and w.deleted_at is null and r.name = w.run
        """,
        {"id": work_id, "token": token},
    )
    cursor = await connection.execute(
        """
        update work
        set pending = false, claim = '', tries = 0, last_fault = '',
            reason = case state when 'publishing' then '' else reason end,
            run = %(run)s, duration_ms = %(duration)s, media = %(media)s, step = '', percent = 100, changed_at = now(),
            review = case when state <> 'publishing' or review = 'approved' then review
                          when %(mode)s = 'none' then 'none' else 'pending' end,
            published_at = case when state = 'publishing' and (%(mode)s <> 'before' or review = 'approved')
                                then coalesce(published_at, now()) else published_at end,
            state = case when state <> 'publishing' then state
                         when %(mode)s = 'before' and review <> 'approved' then 'reviewing' else 'published' end
        where id = %(id)s and claim = %(token)s and pending and deleted_at is null
        """,
        {
            "id": work_id,
            "token": token,
            "run": production.run,
            "duration": production.duration_ms,
            "media": Jsonb(production.media),
            "mode": review,
        },
    )
    if cursor.rowcount != 1:
        return False
    await connection.execute("delete from rendition where work_id = %s", (work_id,))
    await connection.execute("delete from picture where work_id = %s", (work_id,))
    await _insert(connection, work_id, production)
    return True


async def fail(connection: Connection, work_id: int, token: str, reason: str) -> bool:
    """End production for good: a first publication fails, a rerun leaves what is published as it is.

    Returns:
        Whether the run was still wanted; if not, nothing has changed.

    """
    cursor = await connection.execute(
        """
        update work
        set pending = false, claim = '', tries = 0, step = '', percent = 0, changed_at = now(), last_fault = %(reason)s,
            reason = case state when 'publishing' then %(reason)s else reason end,
            state = case state when 'publishing' then 'failed' else state end
        where id = %(id)s and claim = %(token)s and pending
        """,
        {"id": work_id, "token": token, "reason": storable(reason)},
    )
    return cursor.rowcount == 1


async def purge(connection: Connection, work_id: int) -> None:
    """Note that a deleted work's bytes are gone for good, and forget what was said about it."""
    await connection.execute("delete from rendition where work_id = %s", (work_id,))
    await connection.execute("delete from picture where work_id = %s", (work_id,))
    await connection.execute("delete from playback where work_id = %s", (work_id,))
    await connection.execute("delete from production_run where work_id = %s", (work_id,))
    await connection.execute(
        """
        update work
        set purged_at = now(), changed_at = now(), title = '', description = '', tags = '{}', media = null, run = '',
            claim = ''
        where id = %s
        """,
        (work_id,),
    )


async def _insert(connection: Connection, work_id: int, production: Production) -> None:
    async with connection.cursor() as cursor:
        for made in production.renditions:
            await cursor.execute(
                """
                insert into rendition (work_id, kind, quality, width, height, frame_rate, codecs, bandwidth,
                                       average_bandwidth, duration_ms, byte_size, key)
                values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning id
                """,
                (
                    work_id,
                    made.kind,
                    made.quality,
                    made.width,
                    made.height,
                    made.frame_rate,
                    made.codecs,
                    made.bandwidth,
                    made.average_bandwidth,
                    made.duration_ms,
                    made.byte_size,
                    made.key,
                ),
            )
            row = await cursor.fetchone()
            assert row is not None  # an insert that returns gives a row
            # One statement for all: a two-hour work has 1,800 segments in each rung.
            await cursor.execute(
                """
                insert into segment (rendition_id, number, duration_us, byte_size, key)
                select %s, * from unnest(%s::int[], %s::bigint[], %s::bigint[], %s::text[])
                """,
                (
                    row[0],
                    [segment.number for segment in made.segments],
                    [segment.duration_us for segment in made.segments],
                    [segment.byte_size for segment in made.segments],
                    [segment.key for segment in made.segments],
                ),
            )
        for picture in production.pictures:
            await cursor.execute(
                "insert into picture (work_id, kind, width, height, byte_size, key) values (%s, %s, %s, %s, %s, %s)",
                (work_id, picture.kind, picture.width, picture.height, picture.byte_size, picture.key),
            )
