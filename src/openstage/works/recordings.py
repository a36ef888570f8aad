"""Recordings: what a singer's app says of a work beside its metadata, and the names by which it is known.

A recording is one row beside its work. `ugc_id` names it to its singer's apps, `share_id` in addresses that people pass
on; both come from a cryptographic source, so that who hasn't been told can't guess them.
"""

import secrets
from typing import Any, Final, LiteralString

from msgspec import Struct, structs

from openstage.database.engine import Connection
from openstage.works.models import Access, Work
from openstage.works.service import new_slug

UGC_ID_BYTES: Final = 24

ACCESS: Final[tuple[Access, ...]] = ("public", "friends", "private")
"""Who may see a recording, by the number that stands for it in calls (`publish_type`, `set_ugc_access`)."""


class About(Struct, frozen=True):
    """What an app says of a recording, in the terms of the document."""

    song_id: str = ""
    song_name: str = ""
    song_type: int = 0
    publish_type: int = 0
    """Who may see it when it comes, see `ACCESS`; `Work.access` says who may now."""
    share_type: int = 0
    """Kept and told; nothing here goes by it."""
    score: int = 0
    score_rank: int = 0
    content: str = ""
    """What the singer says about it."""
    cover: str = ""
    """http(s) address of a picture elsewhere; empty: none."""
    file_name: str = ""
    file_sha: str = ""
    """SHA-1 or SHA-256 of the file in lower-case hex, as sent; empty: not sent."""
    is_segment: bool = False
    """It is a part of the song, from `segment_start` to `segment_end`."""
    segment_start: int = 0
    """Milliseconds of the song."""
    segment_end: int = 0
    sentence_count: int = 0
    """Lines that were sung."""
    imei: str = ""
    device_id: str = ""
    """The header `Device-ID`."""
    callback_url: str = ""
    """Hears what becomes of it; empty: nobody."""
    city_id: int = 0
    """Where it was sung, as its app numbers cities; 0: where its singer lives, if that is known."""


class Recording(Struct, frozen=True):
    """A recording as it is kept."""

    work_id: int
    ugc_id: str
    """48 hex digits."""
    share_id: str
    """16 characters of base 62."""
    about: About


class RecordedWork(Struct, frozen=True):
    """A work and the recording it is."""

    work: Work
    recording: Recording


_ABOUT: Final[LiteralString] = (
    "song_id, song_name, song_type, publish_type, share_type, score, score_rank, content, cover, file_name, file_sha,"
    " is_segment, segment_start, segment_end, sentence_count, imei, device_id, callback_url"
)
"""Columns of an `About`, in the order of its fields, but for `city_id`."""
RECORDING_COLUMNS: Final[LiteralString] = (
    f"recording.work_id, ugc_id, share_id, {_ABOUT}, coalesce(recording.city_id, 0)"
)
"""Columns of a `Recording`, in the order that `recorded_work_of` reads."""
_WORK_FIELDS: Final = len(structs.fields(Work))


def play_address(media_base: str, share_id: str) -> str:
    """Return the lasting address that plays a recording for whoever may see it: `paly_url`.

    Args:
        media_base: the public address of media (`Settings.base`).
        share_id: names the recording.

    """
    return f"{media_base}/play/{share_id}"


def share_address(media_base: str, share_id: str) -> str:
    """Return the lasting address of the page on which people hear a recording; arguments as for `play_address`."""
    return f"{media_base}/s/{share_id}"


def recorded_work_of(row: tuple[Any, ...]) -> RecordedWork:
    """Return the work and recording of a row of `queries.COLUMNS` and `RECORDING_COLUMNS`."""
    work_id, ugc_id, share_id, *about = row[_WORK_FIELDS:]
    return RecordedWork(Work(*row[:_WORK_FIELDS]), Recording(work_id, ugc_id, share_id, About(*about)))


async def create(connection: Connection, work_id: int, about: About) -> Recording:
    """Enter the recording of a work that has just been entered, and who may see it; part of the caller's transaction.

    `about` is kept as it is: who reads it from a request checks it (lengths, addresses).
    """
    recording = Recording(work_id, secrets.token_hex(UGC_ID_BYTES), new_slug(), about)
    *said, city_id = structs.astuple(about)
    values = [recording.work_id, recording.ugc_id, recording.share_id, *said]
    places = ", ".join(["%s"] * len(values))
    singers_city = (
        "select city_id from work join end_user on end_user.id = user_id join account on account.id = account_id"
        " where work.id = %s"
    )
    await connection.execute(
        f"insert into recording (work_id, ugc_id, share_id, {_ABOUT}, city_id)"
        f" values ({places}, coalesce(nullif(%s, 0), ({singers_city})))".encode(),
        [*values, city_id, work_id],
    )
    await connection.execute("update work set access = %s where id = %s", (ACCESS[about.publish_type], work_id))
    return recording
