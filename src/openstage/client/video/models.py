"""What the calls give back."""

import datetime as dt
import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final


class State(enum.StrEnum):
    """Where a video is on its way from upload to playback."""

    UPLOADING = "uploading"
    PUBLISHING = "publishing"
    PUBLISHED = "published"
    REFUSED = "refused"
    """Refused in review."""
    FAILED = "failed"
    """Could not be published; `Status.message` says why if the server tells."""
    CANCELLED = "cancelled"
    GONE = "gone"
    """Deleted, or never there."""
    UNKNOWN = "unknown"
    """The server named a state that the document does not have."""

    @property
    def final(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self not in (State.UPLOADING, State.PUBLISHING, State.UNKNOWN)


STATE_OF_CODE: Final[Mapping[str, State]] = {
    "A00000": State.PUBLISHED,
    "A00001": State.PUBLISHING,
    "A00002": State.REFUSED,
    "A00003": State.GONE,
    "A00004": State.UPLOADING,
    "A00006": State.CANCELLED,
    "A00007": State.FAILED,
}
"""Codes of `fullStatus` (document, section 4)."""

STATE_OF_NUMBER: Final[Mapping[int, State]] = {
    1: State.PUBLISHING,
    2: State.PUBLISHED,
    3: State.REFUSED,
    4: State.GONE,
    5: State.UPLOADING,
    6: State.CANCELLED,
}
"""`fileStatus` of the list (document, section 5)."""


class Category(enum.IntEnum):
    """What a video is about: `file_type` of its metadata (document, section 1.5)."""

    FILM = 1
    SERIES = 2
    DOCUMENTARY = 3
    ANIMATION = 4
    MUSIC = 5
    VARIETY = 6
    ENTERTAINMENT = 7
    GAMES = 8
    TRAVEL = 9
    TRAILER = 10
    EDUCATION = 12
    FASHION = 13
    CHILDREN = 15
    SHORT_FILM = 16
    SPORTS = 17
    ADVERTISING = 20
    LIFE = 21
    COMEDY = 22
    FINANCE = 24
    NEWS = 25
    CARS = 26
    ORIGINAL = 27
    MILITARY = 28


M3U8_BEST_FIRST: Final = ("5", "4", "3", "2", "1", "96")
"""HLS qualities: 1080p, 720p, super, high, smooth, fastest."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a video can be played. The addresses expire (after about 15 minutes): ask anew before each playback."""

    m3u8: Mapping[str, str] = field(default_factory=dict)
    """HLS by quality: `96` fastest, `1` smooth, `2` high, `3` super, `4` 720p, `5` 1080p."""
    mp4: Mapping[str, str] = field(default_factory=dict)
    """MP4 by quality: `1` smooth (200 kb/s), `2` high (400 kb/s)."""
    mp3: Mapping[str, str] = field(default_factory=dict)
    """MP3 by quality, of sound without pictures; Openstage's own."""

    @property
    def best_m3u8(self) -> str | None:
        """The HLS address of the highest quality there is; None without any."""
        return next((self.m3u8[quality] for quality in M3U8_BEST_FIRST if quality in self.m3u8), None)

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> "Addresses":
        """Read the wire's `{"mp4": {…}, "m3u8": {…}}`."""
        forms = {form: _text_by_text(data.get(form)) for form in ("m3u8", "mp4", "mp3")}
        return cls(**forms)


@dataclass(frozen=True, slots=True)
class Status:
    """How far a video is."""

    file_id: str
    state: State
    code: str
    """The code that said so, such as `A00001`."""
    message: str = ""
    """The server's own words, such as the reason of a failure."""
    step: str = ""
    """What publication is doing now, where the server tells (Openstage does)."""
    percent: float | None = None
    """How far production is; a video plays before it is at 100, and gets better until then."""
    notice: str = ""
    """What a person should know of it, such as that the server is slower than playback."""
    image: str = ""
    thumbnail: str = ""
    player_url: str = ""
    """Address of the embeddable player (`swfurl` on the wire)."""
    addresses: Addresses = field(default_factory=Addresses)

    @classmethod
    def parse(cls, file_id: str, reply: Mapping[str, Any]) -> "Status":
        """Read the reply of `fullStatus`; its code is the state."""
        code = str(reply.get("code", ""))
        data = reply.get("data")
        data = data if isinstance(data, dict) else {}
        urls = data.get("urllist")
        return cls(
            file_id=file_id,
            state=STATE_OF_CODE.get(code, State.UNKNOWN),
            code=code,
            message=str(reply.get("msg") or data.get("msg") or ""),
            step=str(data.get("step") or ""),
            percent=_number(data["percent"]) if "percent" in data else None,
            notice=str(data.get("notice") or ""),
            image=str(data.get("img") or ""),
            thumbnail=str(data.get("thumbnail") or ""),
            player_url=str(data.get("swfurl") or ""),
            addresses=Addresses.parse(urls if isinstance(urls, dict) else {}),
        )


@dataclass(frozen=True, slots=True)
class Video:
    """One video as the list tells of it; fields that the server has not told are empty or zero."""

    file_id: str
    title: str = ""
    description: str = ""
    state: State = State.UNKNOWN
    size: int = 0
    """Bytes of the uploaded file."""
    duration: float = 0
    """Seconds."""
    play_count: int = 0
    created_at: dt.datetime | None = None
    """In UTC."""
    image: str = ""
    original_image: str = ""
    thumbnail: str = ""
    page_url: str = ""
    """Address of the watch page."""

    @classmethod
    def parse(cls, entry: Mapping[str, Any]) -> "Video":
        """Read one entry of the list (document, section 5)."""
        created = _number(entry.get("createTime"))
        return cls(
            file_id=str(entry.get("fileId") or ""),
            title=str(entry.get("fileName") or ""),
            description=str(entry.get("description") or ""),
            state=STATE_OF_NUMBER.get(int(_number(entry.get("fileStatus"))), State.UNKNOWN),
            size=int(_number(entry.get("fileSize"))),
            duration=_number(entry.get("duration")),
            play_count=int(_number(entry.get("playCount"))),
            created_at=dt.datetime.fromtimestamp(created, dt.UTC) if created else None,
            image=str(entry.get("img") or "").strip(),
            original_image=str(entry.get("originalImg") or "").strip(),
            thumbnail=str(entry.get("thumbnail") or "").strip(),
            page_url=str(entry.get("pageUrl") or "").strip(),
        )


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the list."""

    videos: tuple[Video, ...]
    total: int
    """Videos that match, on all pages together."""
    number: int
    """From 1."""

    def __iter__(self) -> Iterator[Video]:
        return iter(self.videos)

    def __len__(self) -> int:
        return len(self.videos)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an upload is, in bytes."""

    file_id: str
    total: int
    acknowledged: int
    """Bytes the server has confirmed, those of an earlier run included."""
    in_flight: int
    """Bytes that are on their way and not yet confirmed."""
    resumed: int
    """Bytes that an earlier run had sent."""

    @property
    def sent(self) -> int:
        """What a progress bar shows."""
        return self.acknowledged + self.in_flight

    @property
    def fraction(self) -> float:
        """From 0 to 1."""
        return self.sent / self.total if self.total else 1.0


def _text_by_text(value: object) -> dict[str, str]:
    return {str(key): str(text) for key, text in value.items()} if isinstance(value, dict) else {}


def _number(value: object) -> float:
    try:
        return float(value) if isinstance(value, int | float | str) else 0.0
    except ValueError:
        return 0.0
