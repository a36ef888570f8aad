"""How recordings and songs look on the wire.

`content, cover_img, create_time, nick_name, play_count` are the platform's own names, and the fields of `Song`; the
others of `Ugc` are ours, named like the fields of an upload where they say the same.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from openstage.identity.models import Caller
from openstage.works import songs
from openstage.works.listing import ListedRecording
from openstage.works.models import PictureKind
from openstage.works.recordings import ACCESS
from openstage.works.visibility import EVERYBODY, OWNER, Audience


class Ugc(msgspec.Struct):
    """A recording in a list."""

    ugc_id: str
    """Names it in calls."""
    share_id: str
    """Names it in its share address."""
    share_url: str
    """Page on which people hear it, for who may."""
    paly_url: str
    """Plays it (spelled so, as in the upload's reply). For a public one it is lasting and leads to a freshly signed
    address each time; else it is signed for who asks, and good for about 15 minutes. Empty: nothing to play (yet)."""
    song_id: str
    song_name: str
    song_type: int
    share_type: int
    score: int
    score_rank: int
    is_segment: bool
    segment_start: int
    """Milliseconds of the song."""
    segment_end: int
    sentence_count: int
    content: str
    """What the singer says about it."""
    cover_img: str
    """Address of a picture: the one that the app named, else one that was in the file; empty: neither."""
    create_time: int
    """When it came, in seconds of the epoch."""
    duration: int
    """Seconds; 0: not known yet."""
    nick_name: str
    """The singer."""
    openid: str
    """The singer as this app knows them; empty: they used another app."""
    play_count: int
    access: int
    """Who may see it: 0 everybody, 1 friends of the singer, 2 the singer alone."""
    state: str
    """`published`; for its singer also `publishing`, `reviewing`, `refused`, `failed`."""
    is_own: bool
    """Whether it was sung by who asks, through this app."""


class UgcInfo(Ugc):
    """A recording by itself."""

    file_id: str
    """As in the upload's reply; told to its singer only, as are the next two."""
    vid: str
    reason: str
    """Why it failed or was refused."""


class UgcPage(msgspec.Struct):
    """A page of a list."""

    has_more: bool
    passback: str
    """To be sent for the next page; empty: this was the last."""
    ugcs: Sequence[Ugc]


_MV_FIELDS = {
    f"mv_{what}_{lines}": f"{lines}_mv_{what}" for what in ("size", "cover_size") for lines in (480, 720, 1080)
}


class Song(msgspec.Struct, rename=_MV_FIELDS):
    """A song, with the fields that clients of the platform read.

    There is no library of songs here: known are the id, the name and the type, from recordings, and how often these
    were played. All else is empty, 0 or false.
    """

    song_id: str
    song_name: str
    song_type: int
    play_count: int
    """Of its best-known recordings here."""
    singer_id: str = ""
    singer_name: str = ""
    album_img: str = ""
    song_desc: str = ""
    language: int = 0
    status: int = 0
    cp_status: int = 0
    play_duration: int = 0
    has_lyric: int = 0
    song_lyric_mask: int = 0
    qqmusic_id: int = 0
    has_hq: bool = False
    has_midi: bool = False
    has_mv: bool = False
    has_ori_song: bool = False
    mv_has_lyric: bool = False
    need_vip: bool = False
    mv_cover: str = ""
    mv_width: int = 0
    mv_height: int = 0
    mv_size_480: int = 0
    mv_size_720: int = 0
    mv_size_1080: int = 0
    mv_cover_size_480: int = 0
    mv_cover_size_720: int = 0
    mv_cover_size_1080: int = 0
    tag_id_list: Sequence[int] = ()


class SongList(msgspec.Struct):
    """Songs picked for a user."""

    songs: Sequence[Song]


class RecordingAddresses(Protocol):
    """Addresses that this dialect hands out (`openstage.delivery.addresses.Addresses`)."""

    def to(self, audience: Audience) -> "RecordingAddresses":
        """Return the same for an audience."""

    def recording(self, slug: str, share_id: str) -> str:
        """Return the address that plays a recording."""

    def share(self, share_id: str) -> str:
        """Return the address of a recording's page."""

    def picture(self, slug: str, kind: PictureKind) -> str:
        """Return the address of a picture."""


class UgcShapes:
    """Makes what calls answer of recordings."""

    def __init__(self, addresses: RecordingAddresses) -> None:
        self._addresses = addresses

    def ugc(self, listed: ListedRecording, caller: Caller) -> Ugc:
        """Return a recording as lists show it to somebody who may see it."""
        return Ugc(**self._fields(listed, caller, _audience(listed, caller)))

    def info(self, listed: ListedRecording, caller: Caller, audience: Audience) -> UgcInfo:
        """Return a recording by itself, for an audience that may see it."""
        work, own = listed.work, is_own(listed, caller)
        return UgcInfo(
            **self._fields(listed, caller, audience),
            file_id=work.file_id if own else "",
            vid=work.slug if own else "",
            reason=work.reason if own else "",
        )

    def _fields(self, listed: ListedRecording, caller: Caller, audience: Audience) -> dict[str, Any]:
        work, recording, about = listed.work, listed.recording, listed.recording.about
        addresses = self._addresses.to(audience)
        picture = "img" in work.pictures and work.visible
        return {
            "ugc_id": recording.ugc_id,
            "share_id": recording.share_id,
            "share_url": addresses.share(recording.share_id),
            "paly_url": addresses.recording(work.slug, recording.share_id) if work.visible else "",
            "song_id": about.song_id,
            "song_name": about.song_name,
            "song_type": about.song_type,
            "share_type": about.share_type,
            "score": about.score,
            "score_rank": about.score_rank,
            "is_segment": about.is_segment,
            "segment_start": about.segment_start,
            "segment_end": about.segment_end,
            "sentence_count": about.sentence_count,
            "content": about.content,
            "cover_img": about.cover or (addresses.picture(work.slug, "img") if picture else ""),
            "create_time": int(work.created_at.timestamp()),
            "duration": round((work.duration_ms or 0) / 1000),
            "nick_name": listed.singer.name,
            "openid": listed.singer.uid if work.app_id == caller.app_id else "",
            "play_count": work.play_count,
            "access": ACCESS.index(work.access),
            "state": work.state,
            "is_own": is_own(listed, caller),
        }


def is_own(listed: ListedRecording, caller: Caller) -> bool:
    """Whether a recording came from this caller."""
    return listed.work.user_id == caller.user_id


def song(known: songs.Song) -> Song:
    """Return a song as calls answer it."""
    return Song(song_id=known.song_id, song_name=known.name, song_type=known.kind, play_count=known.plays)


def _audience(listed: ListedRecording, caller: Caller) -> Audience:
    """Tell for whom addresses are made of a recording that stands in a caller's list."""
    if listed.work.access == "public":
        return EVERYBODY
    return OWNER if is_own(listed, caller) else Audience(account_id=caller.account_id or 0)
