"""Telling apps what becomes of their recordings: part of the transaction in which it happens.

Whoever changes the state of a work, or who may see it, announces that. Only recordings that came with a `callback_url`
have somebody who listens; for all other works this is one look at an index.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from psycopg.rows import class_row

from openstage.database.engine import Connection
from openstage.events.models import Kind
from openstage.events.service import Events
from openstage.works.models import Access, State

Actor = Literal["app", "operator"]
"""Who did it: the recording's own app, or the operator."""

KINDS: Final[dict[State, Kind]] = {
    "published": "ugc.published",
    "reviewing": "ugc.reviewing",
    "refused": "ugc.refused",
    "failed": "ugc.failed",
    "expired": "ugc.failed",  # its file was to be fetched, and nobody got to it
}
"""What it is called when a recording comes into a state; the other states aren't announced."""


@dataclass(frozen=True, slots=True)
class _Recording:
    """What is told of a recording, and to whom."""

    work_id: int
    app_id: int
    callback_url: str
    state: State
    deleted: bool
    ugc_id: str
    share_id: str
    file_id: str
    slug: str
    openid: str
    access: Access
    reason: str
    song_id: str
    song_name: str
    duration_ms: int | None


async def announce(
    connection: Connection, work_ids: Sequence[int], kind: Kind | None = None, *, by: Actor | None = None
) -> None:
    """Tell the apps of recordings what has happened to them.

    Args:
        connection: the transaction in which it happens, after it has.
        work_ids: the works that it happened to; those that nobody wants to hear of are passed over.
        kind: what; None: they have come into the state in which they are.
        by: who did it, where that isn't the server itself.

    """
    async with connection.cursor(row_factory=class_row(_Recording)) as cursor:
        await cursor.execute(
            """
            select r.work_id, w.app_id, r.callback_url, w.state, w.deleted_at is not null as deleted, r.ugc_id,
                   r.share_id, w.file_id, w.slug, u.uid as openid, w.access, w.reason, r.song_id, r.song_name,
                   w.duration_ms
            from work w join recording r on r.work_id = w.id join end_user u on u.id = w.user_id
            where w.id = any(%s) and r.callback_url <> '' order by w.id
            """,
            (list(work_ids),),
        )
        recordings = await cursor.fetchall()
    for each in recordings:
        what = kind or KINDS.get(each.state)
        if what is not None:
            await Events.emit(
                connection,
                app_id=each.app_id,
                kind=what,
                work_id=each.work_id,
                data=_data(each) | ({"by": by} if by else {}),
                callback_url=each.callback_url,
            )


def _data(of: _Recording) -> dict[str, Any]:
    playable = of.state == "published" and not of.deleted
    return {
        "ugc_id": of.ugc_id,
        "share_id": of.share_id,
        "file_id": of.file_id,
        "vid": of.slug,
        "openid": of.openid,
        "state": "deleted" if of.deleted else of.state,
        "access": of.access,
        "reason": of.reason,
        # The lasting address leads on only where everybody may see the work.
        "paly_url": f"media:/play/{of.share_id}" if playable and of.access == "public" else "",
        "share_url": f"public:/s/{of.share_id}" if playable else "",
        "song_id": of.song_id,
        "song_name": of.song_name,
        "duration": round((of.duration_ms or 0) / 1000),
    }
