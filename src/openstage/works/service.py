"""What can be done with works: reading, deleting and restoring, review, counting plays.

What belongs to the way from upload to publication is in `lifecycle.py`.
"""

import secrets
import string
from collections.abc import Sequence
from typing import Any, Final

from openstage.database.engine import Connection, Database
from openstage.database.lookups import SharedLookup
from openstage.database.text import storable
from openstage.identity.models import Caller
from openstage.works import queries
from openstage.works.announcing import Actor, announce
from openstage.works.errors import Purged, UnknownWork, WrongState
from openstage.works.models import LARGEST_PAGE, Loudness, Page, Picture, Rendition, Segment, State, Work

SLUG_LENGTH: Final = 16
HEAT_OF_A_DOUBLING: Final = 12 * 3600
"""Seconds by which a recording counts as newer with each doubling of its plays (`recording.heat`)."""
_BASE62: Final = string.digits + string.ascii_letters
_MINE: Final = "app_id = %(app)s and user_id = %(user)s and deleted_at is null"


def new_slug() -> str:
    """Return a work's public name: 16 characters of base 62 (95 bits) from a cryptographic source."""
    return "".join(secrets.choice(_BASE62) for _ in range(SLUG_LENGTH))


class Works:
    """The works of all apps. Methods that take a `Caller` see that caller's works only."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._by_file_id = SharedLookup(database, queries.BY_FILE_ID)

    # --- reading ----------------------------------------------------------------------------------------------
    async def get(self, caller: Caller, file_id: str) -> Work:
        """Return the caller's work.

        Raises:
            UnknownWork: no such work, deleted, or somebody else's.

        """
        row = await self._by_file_id.row(storable(file_id))
        work = Work(*row) if row else None
        if work is None or (work.app_id, work.user_id) != (caller.app_id, caller.user_id):
            raise UnknownWork
        return work

    async def list(
        self, caller: Caller, *, file_ids: Sequence[str] | None = None, page: int = 1, page_size: int = 20
    ) -> Page:
        """Return a page of the caller's published works, the newest first.

        Args:
            caller: whose.
            file_ids: only these; None or empty: all.
            page: from 1.
            page_size: works per page, at most `LARGEST_PAGE`; what is beyond the limits is moved to them.

        """
        size = min(max(page_size, 1), LARGEST_PAGE)
        # PostgreSQL refuses offsets beyond 63 bits; no listing is that long.
        skip = min(max(page, 1) - 1, 2**40) * size
        matching = _MINE + " and state = 'published' and (%(files)s::text[] is null or file_id = any(%(files)s))"
        parameters = {
            "app": caller.app_id,
            "user": caller.user_id,
            "files": [storable(file_id) for file_id in file_ids] if file_ids else None,
            "limit": size,
            "skip": skip,
        }
        async with self._database.connection() as connection:
            row = await (
                await connection.execute(("select count(*) from work where " + matching).encode(), parameters)
            ).fetchone()
            items = await queries.select(
                connection,
                matching + " order by created_at desc, work.id desc limit %(limit)s offset %(skip)s",
                parameters,
            )
        return Page(items=items, count=row[0] if row else 0)

    async def count(self, caller: Caller) -> int:
        """Return how many published works the caller has."""
        row = await self._database.fetch_one(
            "select count(*) from work where state = 'published' and deleted_at is null"
            " and app_id = %(app)s and user_id = %(user)s",
            {"app": caller.app_id, "user": caller.user_id},
        )
        return int(row[0]) if row else 0

    async def known(self, caller: Caller, file_ids: Sequence[str]) -> set[str]:
        """Return which of these are works of the caller, deleted ones included."""
        async with self._database.connection() as connection:
            rows = await (
                await connection.execute(
                    "select file_id from work where app_id = %s and user_id = %s and file_id = any(%s)",
                    (caller.app_id, caller.user_id, [storable(file_id) for file_id in file_ids]),
                )
            ).fetchall()
        return {str(row[0]) for row in rows}

    async def latest(self, limit: int = 24, *, after: str | None = None) -> Sequence[Work]:
        """Return the works published last that everybody may see, the latest first: for the start page.

        Args:
            limit: most works returned.
            after: only those that come after the work of this slug (the last of the page before).

        """
        async with self._database.connection() as connection:
            return await queries.select(
                connection,
                """
                    state = 'published' and deleted_at is null and access = 'public'
                    and (%(after)s::text is null
                         or (published_at, work.id) < (select published_at, id from work where slug = %(after)s))
                    order by published_at desc, work.id desc limit %(limit)s
                    """,
                {"limit": limit, "after": None if after is None else storable(after)},
            )

    async def find(self, name: str) -> Work:
        """Return a work by `file_id` or slug, whoever owns it and whether it is deleted or not: for operators.

        Raises:
            UnknownWork: there is none.

        """
        async with self._database.connection() as connection:
            return await _find(connection, name)

    async def by_slug(self, slug: str) -> Work:
        """Return a work that isn't deleted by its public name. Who may see it: `works.visibility`.

        Raises:
            UnknownWork: there is none.

        """
        async with self._database.connection() as connection:
            work = await queries.select_one(
                connection, "slug = %(slug)s and deleted_at is null", {"slug": storable(slug)}
            )
        if work is None:
            raise UnknownWork
        return work

    async def all(
        self, *, state: State | None = None, deleted: bool | None = None, before: int | None = None, limit: int = 50
    ) -> Sequence[Work]:
        """Return works of every app, the newest first: for operators.

        Args:
            state: only those in it.
            deleted: only the deleted or only the undeleted ones; None: both.
            before: only those with a smaller `Work.id` (for paging).
            limit: most works returned.

        """
        async with self._database.connection() as connection:
            return await queries.select(
                connection,
                """
                    (%(state)s::text is null or state = %(state)s)
                    and (%(deleted)s::boolean is null or (deleted_at is not null) = %(deleted)s)
                    and (%(before)s::bigint is null or work.id < %(before)s)
                    order by work.id desc limit %(limit)s
                    """,
                {"state": state, "deleted": deleted, "before": before, "limit": limit},
            )

    async def awaiting_review(self, limit: int = 100) -> Sequence[Work]:
        """Return the works whose review is pending, the oldest first."""
        async with self._database.connection() as connection:
            return await queries.select(
                connection,
                "review = 'pending' and deleted_at is null order by created_at limit %(limit)s",
                {"limit": limit},
            )

    async def renditions(self, work_id: int) -> Sequence[Rendition]:
        """Return the whole renditions of a work."""
        async with self._database.connection() as connection:
            return await queries.renditions(connection, work_id)

    async def segments(self, rendition_id: int) -> Sequence[Segment]:
        """Return the media segments of an HLS rendition in order."""
        async with self._database.connection() as connection:
            return await queries.segments(connection, rendition_id)

    async def pictures(self, work_id: int) -> Sequence[Picture]:
        """Return the pictures of a work."""
        async with self._database.connection() as connection:
            return await queries.pictures(connection, work_id)

    async def loudness(self, work_id: int) -> Loudness | None:
        """Return the measured loudness of a work; None: not measured (yet), or there is no sound."""
        async with self._database.connection() as connection:
            return await queries.loudness(connection, work_id)

    # --- deleting ---------------------------------------------------------------------------------------------
    async def delete(
        self, connection: Connection, caller: Caller, file_ids: Sequence[str] | None = None, *, by: Actor = "app"
    ) -> Sequence[Work]:
        """Hide the caller's works at once; their bytes go after the grace time.

        Args:
            connection: the caller's transaction.
            caller: whose.
            file_ids: which; None: all. Unknown, deleted and other people's ones are passed over.
            by: who does it, in their name or against it.

        Returns:
            The works that were hidden just now.

        """
        mine = await queries.select(
            connection,
            _MINE + " and (%(files)s::text[] is null or file_id = any(%(files)s)) order by work.id for update",
            {
                "app": caller.app_id,
                "user": caller.user_id,
                "files": None if file_ids is None else [storable(file_id) for file_id in file_ids],
            },
        )
        await connection.execute(
            "update work set deleted_at = now(), changed_at = now() where id = any(%s)", ([work.id for work in mine],)
        )
        await announce(connection, [work.id for work in mine], "ugc.deleted", by=by)
        return mine

    async def restore(self, connection: Connection, name: str) -> Work:
        """Bring a deleted work back, in the state in which it was deleted.

        Raises:
            UnknownWork: there is none.
            Purged: its bytes are gone for good.

        """
        work = await _find(connection, name, lock=True)
        if work.purged_at is not None:
            raise Purged("The bytes of this work have been removed for good: the grace time is over.")
        await connection.execute(
            "update work set deleted_at = null, changed_at = now() where id = %s and deleted_at is not null", (work.id,)
        )
        if work.deleted_at is not None:
            await announce(connection, [work.id], "ugc.restored", by="operator")
        return await _find(connection, name)

    # --- review -----------------------------------------------------------------------------------------------
    async def approve(self, name: str) -> Work:
        """Publish a work that awaits review, confirm one that was published first, or bring a refused one back.

        Raises:
            UnknownWork: there is none, or it is deleted.
            WrongState: there is nothing to approve yet.

        """
        return await self._judge(
            name,
            """
            update work set review = 'approved', reason = '', state = 'published', changed_at = now(),
                            published_at = coalesce(published_at, now())
            where id = %(id)s and deleted_at is null and state in ('reviewing', 'published', 'refused')
            """,
            "",
            "It can't be approved: it is {state}, and review is for works that are ready.",
        )

    async def refuse(self, name: str, reason: str = "") -> Work:
        """Refuse a work: nobody sees it from now on. One that is published is taken down.

        Args:
            name: `file_id` or slug.
            reason: what its owner is told.

        Raises:
            UnknownWork: there is none, or it is deleted.
            WrongState: there is nothing to refuse yet.

        """
        return await self._judge(
            name,
            """
            update work set review = 'refused', reason = %(reason)s, state = 'refused', changed_at = now()
            where id = %(id)s and deleted_at is null and state in ('reviewing', 'published', 'refused')
            """,
            storable(reason) or "Refused in review.",
            "It can't be refused: it is {state}, and review is for works that are ready.",
        )

    async def _judge(self, name: str, update: str, reason: str, otherwise: str) -> Work:
        async with self._database.transaction() as connection:
            work = await _find(connection, name, lock=True)
            if work.deleted_at is not None:
                raise UnknownWork("This work is deleted; restore it first.")
            cursor = await connection.execute(update.encode(), {"id": work.id, "reason": reason})
            judged = await _find(connection, name)
            if not cursor.rowcount:
                raise WrongState(otherwise.format(state=judged.state), judged.state)
            if judged.state != work.state:
                await announce(connection, [work.id], by="operator")
            return judged

    # --- playing ----------------------------------------------------------------------------------------------
    async def count_playback(self, nonce: str, slug: str) -> bool:
        """Count the playback under one signed address, once, however often it is fetched.

        Args:
            nonce: the address's own random part.
            slug: the work's public name.

        Returns:
            Whether it was counted now.

        """
        row = await self._database.fetch_one(
            """
            with new as (
                insert into playback (nonce, work_id) select %(nonce)s, id from work where slug = %(slug)s
                on conflict do nothing returning work_id
            ), counted as (
                update work set play_count = play_count + 1 from new where work.id = new.work_id
                returning work.id, play_count
            ), warmer as (
                -- A recording rises in lists with each doubling of its plays: 1, 2, 4, 8, …
                update recording set heat = heat + %(doubling)s from counted
                where work_id = counted.id and play_count & (play_count - 1) = 0
            )
            select id from counted
            """,
            {"nonce": storable(nonce), "slug": storable(slug), "doubling": HEAT_OF_A_DOUBLING},
        )
        return row is not None


async def _find(connection: Connection, name: str, *, lock: bool = False) -> Work:
    """Return the work of a `file_id`, a slug, or a number as lists show it.

    Raises:
        UnknownWork: there is none.

    """
    numbered = name.isascii() and name.isdecimal() and len(name) < SLUG_LENGTH
    where = "work.id = %(name)s" if numbered else "%(name)s in (file_id, slug)"
    values: dict[str, Any] = {"name": int(name) if numbered else storable(name)}
    work = await queries.select_one(connection, where + (" for update" if lock else ""), values)
    if work is None:
        raise UnknownWork(f"There is no work {name!r}; `openstage work list` shows them.")
    return work
