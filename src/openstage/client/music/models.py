"""What a music library has and sells, as this client gives it."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any


@dataclass(frozen=True, slots=True)
class Category:
    """A genre, mood, instrument, band of tempo or level."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Categories:
    """All that tracks are sorted by."""

    genres: list[Category]
    moods: list[Category]
    instruments: list[Category]
    bpms: list[Category]
    levels: list[Category]
    """Empty with a server that doesn't tell them."""


@dataclass(frozen=True, slots=True)
class Track:
    """A piece of music. Its addresses live for about 10 minutes."""

    id: int
    title: str
    artist: str
    description: str
    bpm: int
    duration: int
    """Seconds."""
    preview_url: str
    """Of an MP3; empty where the track can't be heard yet."""
    waveform_url: str
    """Of a picture; `waveform_data_url`: of the same as numbers (JSON)."""
    waveform_data_url: str
    genres: list[Category]
    moods: list[Category]
    instruments: list[Category]
    supplier: str = ""
    """Who supplies it; told in details alone."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be bought of a track ("permission" on the wire)."""

    id: int
    name: str
    price: Decimal
    type: str


@dataclass(frozen=True, slots=True)
class TrackDetail:
    """A track, and under which offers it is sold."""

    track: Track
    offers: list[Offer]


@dataclass(frozen=True, slots=True)
class TrackPage:
    """A page of what was found; `total` of all pages."""

    tracks: list[Track]
    page: int
    per_page: int
    total: int
    notice: str = ""
    """What the server has to say about the result, such as that not all words were found; empty: nothing."""


@dataclass(frozen=True, slots=True)
class Bought:
    """What `purchase` gives: the purchase's number, and an address of its file that lives for about 10 minutes."""

    id: int
    url: str


@dataclass(frozen=True, slots=True)
class Purchase:
    """A licence that was bought, as lists tell it. Times are as the server writes them: in its own time zone."""

    id: int
    audio_id: int
    offer: Category
    account: Category
    """The app's main account; `buyer`: who actually bought."""
    buyer: Category
    third_user_id: str
    warrant_name: str
    format: str
    downloaded_at: dt.datetime | None
    bought_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class PurchasePage:
    """A page of purchases, the newest first; `total` of all pages."""

    purchases: list[Purchase]
    page: int
    per_page: int
    total: int


@dataclass(frozen=True, slots=True)
class PurchaseDetail:
    """A purchase with its track as it is now. What only Openstage tells is empty with other servers."""

    id: int
    track: Track
    offer: Category
    price: Decimal
    warrant_name: str
    format: str
    file_size: str
    """As people read it, such as `11.5MB`."""
    bought_at: dt.datetime | None
    number: str = ""
    currency: str = ""
    sha256: str = ""
    """Of the file; what `download` checks."""
    file_bytes: int | None = None
    is_test: bool = False
    refunded_at: dt.datetime | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """The purchase as it came."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a download is, in bytes; `resumed` of them came from an earlier run."""

    total: int
    received: int
    resumed: int

    @property
    def fraction(self) -> float:
        """From 0 to 1."""
        return self.received / self.total if self.total else 1.0


def categories_of(value: Any) -> list[Category]:
    """Read `[{id, name}]`; what is no such thing is left out."""
    items = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
    return [category_of(item) for item in items if isinstance(item, Mapping)]


def category_of(value: Any) -> Category:
    """Read `{id, name}`."""
    fields = value if isinstance(value, Mapping) else {}
    return Category(integer(fields.get("id")), text(fields.get("name")))


def track_of(value: Mapping[str, Any]) -> Track:
    """Read a track."""
    return Track(
        id=integer(value["id"]),
        title=text(value.get("title")),
        artist=text(value.get("artist")),
        description=text(value.get("description")),
        bpm=integer(value.get("bpm")),
        duration=integer(value.get("duration")),
        preview_url=text(value.get("preview_mp3_url")),
        waveform_url=text(value.get("waveform_url")),
        waveform_data_url=text(value.get("origin_waveform_url")),
        genres=categories_of(value.get("genres")),
        moods=categories_of(value.get("moods")),
        instruments=categories_of(value.get("instruments")),
        supplier=text(value.get("type")),
    )


def offer_of(value: Mapping[str, Any]) -> Offer:
    """Read an offer."""
    return Offer(integer(value["id"]), text(value.get("name")), money(value.get("price")), text(value.get("type")))


def purchase_of(value: Mapping[str, Any]) -> Purchase:
    """Read a purchase of a list."""
    return Purchase(
        id=integer(value["id"]),
        audio_id=integer(value.get("able_id")),
        offer=category_of(value.get("plus_permission")),
        account=category_of(value.get("plus_user")),
        buyer=category_of(value.get("real_plus_user")),
        third_user_id=text(value.get("third_user_id")),
        warrant_name=text(value.get("warrant_name")),
        format=text(value.get("asset_type")),
        downloaded_at=moment(value.get("download_at")),
        bought_at=moment(value.get("created_at")),
    )


def purchase_detail_of(value: Mapping[str, Any]) -> PurchaseDetail:
    """Read `{audio, purchase}`."""
    purchase = value["purchase"]
    size = purchase.get("file_bytes")
    return PurchaseDetail(
        id=integer(purchase["id"]),
        track=track_of(value["audio"]),
        offer=Category(integer(purchase.get("permission_id")), text(purchase.get("permission_name"))),
        price=money(purchase.get("price")),
        warrant_name=text(purchase.get("warrant_name")),
        format=text(purchase.get("asset_type")),
        file_size=text(purchase.get("fileSize")),
        bought_at=moment(purchase.get("created_at")),
        number=text(purchase.get("number")),
        currency=text(purchase.get("currency")),
        sha256=text(purchase.get("sha256")),
        file_bytes=None if size is None else integer(size),
        is_test=bool(purchase.get("is_test")),
        refunded_at=moment(purchase.get("refunded_at")),
        raw=purchase,
    )


def text(value: Any) -> str:
    """Read a text; nothing is the empty one."""
    return "" if value is None else str(value)


def integer(value: Any) -> int:
    """Read a whole number, which servers also write as text; nothing is 0. Raises ValueError."""
    return int(value or 0)


def money(value: Any) -> Decimal:
    """Read an exact amount. Raises ValueError."""
    try:
        return Decimal(str(value))
    except InvalidOperation as error:
        raise ValueError(f"no amount of money: {value!r}") from error


def moment(value: Any) -> dt.datetime | None:
    """Read `2017-01-01 23:23:23`; None for anything else."""
    try:
        return dt.datetime.strptime(str(value), "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - the wire names no zone
    except ValueError:
        return None
