"""What the catalogue holds, and what a search asks and answers."""

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

CategoryKind = Literal["genre", "mood", "instrument"]
Sort = Literal["relevance", "newest", "heat", "duration", "-duration", "bpm", "-bpm"]
"""Order of a search: `duration` and `bpm` from the smallest, with `-` from the largest; `heat`: only what has some."""
Matched = Literal["all", "widened", "any"]

DEEPEST = 10_000
"""Most tracks of one search that can be reached by turning pages."""
LARGEST_PAGE = 500


@dataclass(frozen=True, slots=True)
class Category:
    """A genre, a mood or an instrument; `aliases` are other names by which it is found."""

    id: int
    kind: CategoryKind
    name: str
    aliases: list[str]
    position: int


@dataclass(frozen=True, slots=True)
class BpmBand:
    """A range of tempi: `low` ≤ beats per minute < `high`; the fastest band includes its `high`."""

    id: int
    name: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Level:
    """A class of quality or origin into which the operator sorts tracks."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Categories:
    """All that tracks are sorted by, in the order in which it is listed."""

    genres: list[Category]
    moods: list[Category]
    instruments: list[Category]
    bpms: list[BpmBand]
    levels: list[Level]

    def named(self, kind: CategoryKind, ids: list[int]) -> list[Category]:
        """Return the categories of a kind that a track has, in the track's order; those that are gone are left out."""
        known = {each.id: each for each in {"genre": self.genres, "mood": self.moods}.get(kind, self.instruments)}
        return [known[each] for each in ids if each in known]


@dataclass(frozen=True, slots=True)
class TrackFile:
    """A file of a track as it was imported. It never changes, so that a purchase can name it for ever."""

    id: int
    track_id: int
    sha256: str
    """64 lower-case hexadecimal digits, of the original's bytes."""
    byte_size: int
    content_type: str
    file_name: str
    """As the file was called when it was imported; any script."""
    object_key: str
    """Key of the original in the object store."""
    duration_ms: int
    measured_bpm: float | None
    """Beats per minute; None: no pulse was found."""
    measured_key: str
    """Such as `A minor`; empty: none was found."""
    loudness_lufs: float | None
    """Programme loudness (EBU R 128); None: silence."""
    true_peak_dbtp: float | None
    preview_key: str
    """Key of the preview MP3; likewise the waveform's two."""
    waveform_json_key: str
    waveform_png_key: str
    created_at: dt.datetime


@dataclass(frozen=True, slots=True)
class TrackSummary:
    """What lists tell of a track; see `Track` for what the fields mean."""

    id: int
    external_id: str
    title: str
    artist: str
    description: str
    genre_ids: list[int]
    mood_ids: list[int]
    instrument_ids: list[int]
    heat: int | None
    bpm: float | None
    duration_ms: int
    has_file: bool
    """Whether it can be heard and bought."""

    @property
    def duration(self) -> int:
        """Whole seconds, rounded, as the wire has it."""
        return (self.duration_ms + 500) // 1000


@dataclass(frozen=True, slots=True)
class Track:
    """A piece of music. `id` is its public number (`audio_id`)."""

    id: int
    external_id: str
    """By which imports know it again."""
    title: str
    artist: str
    description: str
    supplier: str
    """The wire's `type`, such as 签约供应商."""
    genre_ids: list[int]
    mood_ids: list[int]
    instrument_ids: list[int]
    level_id: int | None
    vhifun: bool
    heat: int | None
    """How much it is asked for, as the operator has it; None: it has no heat value."""
    bpm: float | None
    """Beats per minute: given, else measured, else None."""
    duration_ms: int
    """Given, else that of the file; 0 if neither is known."""
    musical_key: str
    created_at: dt.datetime
    changed_at: dt.datetime
    removed_at: dt.datetime | None
    file: TrackFile | None
    """The file that is sold now; None: metadata only, so that it can be neither heard nor bought."""

    @property
    def summary(self) -> TrackSummary:
        """What lists tell of it."""
        return TrackSummary(
            id=self.id,
            external_id=self.external_id,
            title=self.title,
            artist=self.artist,
            description=self.description,
            genre_ids=self.genre_ids,
            mood_ids=self.mood_ids,
            instrument_ids=self.instrument_ids,
            heat=self.heat,
            bpm=self.bpm,
            duration_ms=self.duration_ms,
            has_file=self.file is not None and self.removed_at is None,
        )


@dataclass(frozen=True, slots=True)
class Offer:
    """What may be bought of a track, at which price ("permission" on the wire)."""

    id: int
    track_id: int
    name: str
    price: Decimal
    """In the server's one currency, two decimals: the track's own price, else the offer's."""
    type: str
    duration_ms: int
    """The track's."""
    bpm: float | None
    """The track's."""


@dataclass(frozen=True, slots=True)
class OfferSummary:
    """An offer as the operator sees it: its own price, and how many tracks are sold under it."""

    id: int
    name: str
    price: Decimal
    type: str
    retired_at: dt.datetime | None
    tracks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is searched for; None: doesn't matter."""

    text: str = ""
    """In the query language (docs/query-language.md); empty: everything."""
    genre_id: int | None = None
    mood_id: int | None = None
    instrument_id: int | None = None
    bpm_id: int | None = None
    duration_from: float | None = None
    """Seconds, included; likewise the end."""
    duration_to: float | None = None
    level_id: int | None = None
    vhifun: bool | None = None
    purchasable: bool | None = None
    """Whether it has a file and at least one offer that isn't retired."""
    sort: Sort = "relevance"
    page: int = 1
    per_page: int = 30


@dataclass(frozen=True, slots=True)
class Page:
    """A page of what was found.

    Attributes:
        tracks: in order.
        total: all that were found.
        page: from 1.
        per_page: how many a page holds.
        matched: `all`: they match as asked; `widened`: no track has all the words, these have all of them as parts of
            words or with a letter wrong; `any`: these have only some of the words.

    """

    tracks: list[TrackSummary]
    total: int
    page: int
    per_page: int
    matched: Matched = "all"


@dataclass(frozen=True, slots=True)
class TrackListing:
    """A part of the catalogue in the order of its numbers, for operators; `total` counts all."""

    tracks: list[Track]
    total: int = 0
    offers: dict[int, list[Offer]] = field(default_factory=dict)
