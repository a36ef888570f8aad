"""What the calls take and give back."""

import datetime as dt
import enum
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from openstage.client.tokens import Tokens


class TicketState(enum.IntEnum):
    """How a sign-in by QR code stands."""

    WAITING = 0
    SCANNED = 1
    """Somebody has opened the page."""
    CONFIRMED = 2
    REFUSED = 3
    EXPIRED = 4
    """Nobody decided in time, or the code has been used."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A sign-in that waits for a person; `qr_ticket` is the device's secret and never shown."""

    qr_ticket: str = field(repr=False)
    qr_url: str
    """What the QR code says."""
    user_code: str = ""
    """To be shown beside it: the person compares it with the page's, or types it."""
    qr_png_url: str = ""
    qr_svg_url: str = ""
    interval: float = 2.0
    """Seconds between two questions."""
    expires_at: float = 0.0
    """Seconds since the epoch."""

    @classmethod
    def parse(cls, reply: Mapping[str, Any]) -> "Ticket":
        """Read the reply of `light_qr`."""
        return cls(
            qr_ticket=text(reply.get("qr_ticket")),
            qr_url=text(reply.get("qr_url")),
            user_code=text(reply.get("user_code")),
            qr_png_url=text(reply.get("qr_png_url")),
            qr_svg_url=text(reply.get("qr_svg_url")),
            interval=number(reply.get("interval")) or 2.0,
            expires_at=time.time() + number(reply.get("expires_in")),
        )


@dataclass(frozen=True, slots=True)
class TicketStatus:
    """How a ticket stands, and the code when it is confirmed."""

    state: TicketState
    code: str = field(default="", repr=False)

    @classmethod
    def parse(cls, reply: Mapping[str, Any]) -> "TicketStatus":
        """Read the reply of `light_qr_stat`.

        Raises:
            ValueError: its `status` is none that is known.

        """
        return cls(TicketState(int(number(reply.get("status"), -1))), text(reply.get("code")))


@dataclass(frozen=True, slots=True)
class User:
    """A person who signed in, as the app knows them."""

    openid: str
    """The person in this app."""
    tokens: Tokens
    unionid: str = ""
    """The person in all apps of the developer."""
    scope: str = ""
    """What they allowed, with blanks between."""
    account_type: str = ""
    """`orig_acnt_type` of the wire."""


@dataclass(frozen=True, slots=True)
class Performance:
    """What is told of a recording: the fields of the document's sample, under their names."""

    song_id: str = ""
    song_name: str = ""
    song_type: int = 0
    publish_type: int = 0
    """Who may see it, as `Access` numbers it."""
    share_type: int = 0
    score: int = 0
    score_rank: int = 0
    content: str = ""
    """What the singer says of it."""
    cover: str = ""
    """Address of a picture."""
    file_name: str = ""
    """By default the name of the file that is uploaded."""
    is_segment: bool = False
    """Whether it is a part of the song, from `segment_start` to `segment_end` (milliseconds)."""
    segment_start: int = 0
    segment_end: int = 0
    sentence_count: int = 0
    imei: str = ""
    city_id: int = 0
    """Where it was sung, as the app numbers cities; 0: where the singer lives. Openstage's own."""

    def wire(self) -> dict[str, Any]:
        """The fields as they are sent: those of the document's sample, and the others where they say something."""
        fields = asdict(self)
        if not self.city_id:
            del fields["city_id"]
        return fields


@dataclass(frozen=True, slots=True)
class Recording:
    """What the server says of a recording that it took."""

    ugc_id: str
    """Names the work in every call."""
    share_id: str = ""
    """Names it in its share address."""
    file_id: str = ""
    play_url: str = ""
    """Stable: leads to a freshly signed address each time, as long as the work may be seen (`paly_url`)."""
    vid: str = ""

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> "Recording":
        """Read `data` of an upload's reply."""
        return cls(
            ugc_id=text(data.get("ugc_id")).strip(),
            share_id=text(data.get("share_id")).strip(),
            file_id=text(data.get("file_id")).strip(),
            play_url=text(data.get("paly_url")).strip(),
            vid=text(data.get("vid")).strip(),
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an upload is, in bytes."""

    total: int
    sent: int

    @property
    def fraction(self) -> float:
        """From 0 to 1."""
        return self.sent / self.total if self.total else 1.0


class Access(enum.IntEnum):
    """Who may see a work."""

    PUBLIC = 0
    FRIENDS = 1
    PRIVATE = 2
    """The singer alone."""


@dataclass(frozen=True, slots=True)
class UserInfo:
    """What an app may know of a person."""

    openid: str = ""
    nick_name: str = ""
    """What others see as the singer of their recordings."""
    city_id: int = 0
    """As apps number cities; 0: not told."""
    work_count: int = 0
    """Their recordings through this app."""
    friend_count: int = 0
    created_at: dt.datetime | None = None
    """Since when this app knows them, in UTC."""

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> "UserInfo":
        """Read `data` of `get_user_info`."""
        return cls(
            openid=text(data.get("openid")),
            nick_name=text(data.get("nick_name")),
            city_id=int(number(data.get("city_id"))),
            work_count=int(number(data.get("ugc_num"))),
            friend_count=int(number(data.get("friend_num"))),
            created_at=_moment(data.get("create_time")),
        )


@dataclass(frozen=True, slots=True)
class Song:
    """A song as `user_feature_song` tells of it."""

    song_id: str
    song_name: str = ""
    song_type: int = 0
    singer_name: str = ""
    play_count: int = 0
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """All fields as they came."""

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> "Song":
        """Read one entry of `songs`."""
        return cls(
            song_id=text(data.get("song_id")),
            song_name=text(data.get("song_name")),
            song_type=int(number(data.get("song_type"))),
            singer_name=text(data.get("singer_name")),
            play_count=int(number(data.get("play_count"))),
            data=data,
        )


@dataclass(frozen=True, slots=True)
class Work:
    """A work as lists and `work` tell of it; what the server has not told is empty or zero."""

    ugc_id: str
    share_id: str = ""
    share_url: str = ""
    """Page on which people hear it, for who may."""
    play_url: str = ""
    """Plays it: of a public work a lasting address, else one that was signed for who asks and is good for about 15
    minutes (`paly_url` of the wire). Empty: nothing to play (yet)."""
    song_id: str = ""
    song_name: str = ""
    content: str = ""
    """What the singer says of it."""
    nick_name: str = ""
    """Who sang it."""
    openid: str = ""
    """The same as this app knows them; empty: they used another app."""
    score: int = 0
    score_rank: int = 0
    duration: float = 0
    """Seconds; 0: not known yet."""
    play_count: int = 0
    cover: str = ""
    created_at: dt.datetime | None = None
    """In UTC."""
    access: Access | None = None
    """Who may see it; None if not told."""
    state: str = ""
    """`published`; of one's own also `publishing`, `reviewing`, `refused`, `failed` and the like."""
    reason: str = ""
    """Why it failed or was refused."""
    is_own: bool = False
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """All fields as they came."""

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> "Work":
        """Read one entry of `ugcs`, or `data` of `get_work_info`."""
        return cls(
            ugc_id=text(data.get("ugc_id")).strip(),
            share_id=text(data.get("share_id")).strip(),
            share_url=text(data.get("share_url")),
            play_url=text(data.get("paly_url")),
            song_id=text(data.get("song_id")),
            song_name=text(data.get("song_name")),
            content=text(data.get("content")),
            nick_name=text(data.get("nick_name")),
            openid=text(data.get("openid")),
            score=int(number(data.get("score"))),
            score_rank=int(number(data.get("score_rank"))),
            duration=number(data.get("duration")),
            play_count=int(number(data.get("play_count"))),
            cover=text(data.get("cover_img")),
            created_at=_moment(data.get("create_time")),
            access=_access(data.get("access")),
            state=text(data.get("state")),
            reason=text(data.get("reason")),
            is_own=data.get("is_own") is True,
            data=data,
        )


@dataclass(frozen=True, slots=True)
class WorkPage:
    """One page of a list."""

    works: tuple[Work, ...]
    passback: str = ""
    """Asks for the next page; opaque."""
    has_more: bool = False

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> "WorkPage":
        """Read `data` of a list."""
        works = tuple(Work.parse(entry) for entry in entries_of(data, "ugcs"))
        return cls(works, text(data.get("passback")), bool(data.get("has_more")))

    def __iter__(self) -> Iterator[Work]:
        return iter(self.works)

    def __len__(self) -> int:
        return len(self.works)


def entries_of(data: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Give the objects of a list."""
    entries = data.get(name)
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _moment(value: object) -> dt.datetime | None:
    seconds = number(value)
    return dt.datetime.fromtimestamp(seconds, dt.UTC) if seconds else None


def _access(value: object) -> Access | None:
    try:
        return None if value is None else Access(int(number(value, -1)))
    except ValueError:
        return None


def text(value: object) -> str:
    """Give text or a number as text; anything else is empty."""
    return value if isinstance(value, str) else str(value) if type(value) in (int, float) else ""


def number(value: object, otherwise: float = 0.0) -> float:
    """Give a number, also one that came as text."""
    try:
        return float(value) if isinstance(value, int | float | str) and value != "" else otherwise
    except ValueError:
        return otherwise
