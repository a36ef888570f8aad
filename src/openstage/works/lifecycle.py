"""A work's way from upload to publication: each step one UPDATE that names the state it expects.

All functions are part of the caller's transaction, together with the upload's change and the job that goes on.
"""

from typing import Any

from psycopg.types.json import Jsonb

from openstage.database.engine import Connection
from openstage.database.text import storable
from openstage.identity.models import Caller
from openstage.settings import ReviewMode
from openstage.works import products, queries
from openstage.works.announcing import announce
from openstage.works.errors import UnknownWork, WrongState
from openstage.works.machine import RERUNNABLE, TRANSITIONS
from openstage.works.models import Metadata, State, Work
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
            claim = case when %(after)s in ('waiting', 'publishing') then claim else '' end,
            published_at = case when %(after)s = 'published' then coalesce(published_at, now()) else published_at end
        where id = %(id)s and state = %(before)s
        """,
        {"id": work_id, "before": before, "after": after, "reason": storable(reason)},
    )
    if cursor.rowcount:
        await announce(connection, [work_id])
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
async def begin(connection: Connection, work_id: int, run: str) -> None:
    """Begin a run: it is the one under way from now on, and what it makes is kept until another takes its place.

    Args:
        connection: the caller's transaction, which holds the work's lock.
        work_id: a work whose upload is coming in or finished, and that has no run under way.
        run: a random name, which becomes part of the keys of its objects.

    """
    await connection.execute("insert into production_run (name, work_id) values (%s, %s)", (run, work_id))
    await connection.execute(
        """
        update work set claim = %s, step = '', percent = 0, notice = '', last_fault = '', changed_at = now()
        where id = %s and claim = '' and (pending or state in ('uploading', 'waiting'))
        """,
        (run, work_id),
    )


async def want_rerun(connection: Connection, work: Work) -> None:
    """Ask for a work to be produced anew; what is published stays in force until the new run is complete.

    The caller begins a run unless one is under way (`Work.claim`).

    Raises:
        WrongState: it has no original that could be processed.

    """
    if work.state == "failed":
        await move(connection, work.id, "failed", "publishing")
    elif work.state not in (*RERUNNABLE, "publishing"):
        raise WrongState(f"It can't be run again: it is {work.state} and has never been processed.", work.state)
    await connection.execute(
        "update work set pending = true, last_fault = '', changed_at = now() where id = %s", (work.id,)
    )


async def measured(
    connection: Connection, work_id: int, run: str, *, duration_ms: int, media: dict[str, object], whole: bool = True
) -> None:
    """Note what a probe found: for the work at once on a first publication, with the run's completion on a rerun.

    Where it wasn't the `whole` probe, the run's own record of it is left open for that.
    """
    await connection.execute(
        "update production_run set duration_ms = %s, media = coalesce(%s, media) where name = %s",
        (duration_ms, Jsonb(media) if whole else None, run),
    )
    await connection.execute(
        """
        update work set duration_ms = %s, media = %s, changed_at = now()
        where id = %s and claim = %s and run in ('', claim)
        """,
        (duration_ms, Jsonb(media), work_id, run),
    )


async def notify(connection: Connection, work_id: int, run: str, notice: str) -> None:
    """Tell a person something about the run under way; empty takes it back."""
    await connection.execute(
        "update work set notice = %s, changed_at = now() where id = %s and claim = %s and notice <> %s",
        (storable(notice), work_id, run, storable(notice)),
    )


async def offer(connection: Connection, work_id: int, run: str, *, review: ReviewMode, hold: bool = False) -> bool:
    """Note that a run's first rendition can be played; on a first publication, put it in force if all else is there.

    What it becomes is decided by the review mode of this moment; what reviewers have said before holds. While the
    upload isn't finished, or not described, the run is only noted as ready: who lets production begin then offers it.

    Args:
        connection: the caller's transaction.
        work_id: the work.
        run: the run under way.
        review: the review mode.
        hold: only note it: all renditions are waited for.

    Returns:
        Whether the run is in force.

    """
    await connection.execute("update production_run set ready_at = now() where name = %s and ready_at is null", (run,))
    cursor = await connection.execute(
        """
        update work
        set run = claim, reason = '', changed_at = now(),
            review = case when review in ('approved', 'refused') then review
                          when %(mode)s = 'none' then 'none' else 'pending' end,
            published_at = case when review = 'approved' or (review <> 'refused' and %(mode)s <> 'before')
                                then coalesce(published_at, now()) else published_at end,
            state = case when review = 'refused' then 'refused'
                         when %(mode)s = 'before' and review <> 'approved' then 'reviewing' else 'published' end
        where id = %(id)s and claim = %(run)s and state = 'publishing' and deleted_at is null and not %(hold)s
        """,
        {"id": work_id, "run": run, "mode": review, "hold": hold},
    )
    if cursor.rowcount:
        await announce(connection, [work_id])
        return True
    row = await (await connection.execute("select run = %s from work where id = %s", (run, work_id))).fetchone()
    return bool(row and row[0])


async def is_ready(connection: Connection, run: str) -> bool:
    """Return whether a run's first rendition can be played."""
    row = await (
        await connection.execute("select ready_at is not null from production_run where name = %s", (run,))
    ).fetchone()
    return bool(row and row[0])


async def complete(connection: Connection, work_id: int, run: str, *, review: ReviewMode) -> bool:
    """End a run that has made everything: a first publication is offered if it isn't yet, a rerun takes force.

    A rerun changes neither the state nor the review. Rows of the run that it replaces go at once, its objects after a
    while.

    Returns:
        Whether the run was still wanted; if not, nothing has changed.

    """
    await offer(connection, work_id, run, review=review)
    await connection.execute(
        """
        update production_run r set superseded_at = now() from work w
        where w.id = %(id)s and w.claim = %(run)s and w.pending and w.deleted_at is null
          and r.name = w.run and w.run <> w.claim
        """,
        {"id": work_id, "run": run},
    )
    cursor = await connection.execute(
        """
        update work w
        set pending = false, claim = '', run = %(run)s, last_fault = '', notice = '', step = '', percent = 100,
            duration_ms = coalesce(r.duration_ms, w.duration_ms), media = coalesce(r.media, w.media), changed_at = now()
        from production_run r
        where w.id = %(id)s and w.claim = %(run)s and w.pending and w.deleted_at is null and w.state <> 'publishing'
          and r.name = w.claim
        """,
        {"id": work_id, "run": run},
    )
    if cursor.rowcount != 1:
        return False
    await products.remove(connection, work_id, but=run)
    return True


async def fail(connection: Connection, work_id: int, run: str, reason: str) -> bool:
    """End a run for good.

    A rerun leaves what is published as it is. A first publication fails; if it has been offered, what is whole of it
    stays published, and it fails only if nothing is.

    Returns:
        Whether the run was still under way; if not, nothing has changed.

    """
    found = await (
        await connection.execute(
            """
            select run <> '' and run <> claim, state = 'publishing', exists (
                select from rendition r where r.work_id = work.id and r.run = work.claim and complete), pending
            from work where id = %s and claim = %s for update
            """,
            (work_id, run),
        )
    ).fetchone()
    if found is None:
        return False
    rerun, unseen, playable, wanted = found
    lost = not rerun and (unseen or not playable)
    if not rerun:
        await products.discard_growing(connection, work_id, run)
    if lost:
        # Players may have begun with it: its objects stay as long as those that a rerun replaces.
        await connection.execute("update production_run set superseded_at = now() where name = %s", (run,))
    await connection.execute(
        """
        update work
        set pending = false, claim = '', step = '', percent = 0, notice = '', changed_at = now(),
            last_fault = %(reason)s,
            reason = case when %(failed)s then %(reason)s else reason end,
            run = case when %(lost)s then '' else run end,
            state = case when %(failed)s then 'failed' else state end
        where id = %(id)s
        """,
        {"id": work_id, "reason": storable(reason), "lost": lost, "failed": lost and wanted},
    )
    if lost:
        await products.remove(connection, work_id)
    if lost and wanted:
        await announce(connection, [work_id])
    return True


async def purge(connection: Connection, work_id: int) -> None:
    """Note that a deleted work's bytes are gone for good, and forget what was said about it."""
    await products.remove(connection, work_id)
    await connection.execute("delete from playback where work_id = %s", (work_id,))
    await connection.execute("delete from production_run where work_id = %s", (work_id,))
    await connection.execute(
        """
        update work
        set purged_at = now(), changed_at = now(), title = '', description = '', tags = '{}', media = null, run = '',
            claim = '', notice = ''
        where id = %s
        """,
        (work_id,),
    )
