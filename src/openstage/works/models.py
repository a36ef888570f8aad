"""What a work is, and what a caller may say about it."""

import datetime as dt
from dataclasses import dataclass
from typing import Literal

from msgspec import Struct

State = Literal[
    "uploading", "waiting", "publishing", "reviewing", "published", "refused", "failed", "cancelled", "expired"
]
Review = Literal["none", "pending", "approved", "refused"]
RenditionKind = Literal["hls_video", "hls_audio", "mp4", "mp3"]
PictureKind = Literal["original", "img", "thumbnail"]
Access = Literal["public", "friends", "private"]
"""Who may see a work: everybody, friends of the person who made it, that person alone."""

LARGEST_PAGE = 100
"""Most works that one page of a listing holds."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What an app says about a work. Text is kept as given and shown escaped; it never becomes part of a path."""

    title: str
    description: str = ""
    tags: tuple[str, ...] = ()
    category: int | None = None


class Work(Struct, frozen=True):
    """What is, or may become, published. It shares its upload's `file_id`; its public face is `slug`."""

    id: int
    file_id: str
    slug: str
    app_id: int
    user_id: int
    state: State
    review: Review
    reason: str
    """Why it failed or was refused, for a person; else empty."""
    title: str
    description: str
    tags: list[str]
    category: int | None
    described_at: dt.datetime | None
    """When metadata first came; None: not yet."""
    file_size: int
    """Bytes of the original."""
    duration_ms: int | None
    """Known once the original has been probed."""
    step: str
    """Step of the pipeline under way; empty when none is."""
    percent: float
    """Progress of the pipeline as a whole, 0 to 100."""
    play_count: int
    pending: bool
    """Production is wanted: a first publication, whether it plays already or not, or a rerun."""
    last_fault: str
    """The last thing that stopped production for a while, or that made a rerun fail; for the operator."""
    run: str
    """Random name of the run that is in force; empty before the first is offered."""
    created_at: dt.datetime
    changed_at: dt.datetime
    published_at: dt.datetime | None
    deleted_at: dt.datetime | None
    """Hidden from then on; the state stays, so that a restore gives it back."""
    purged_at: dt.datetime | None
    """Bytes removed for good."""
    pictures: list[PictureKind]
    """Pictures that can be shown; empty for sound without a cover."""
    notice: str = ""
    """What a person should know of the run under way, such as that encoding is slower than playing; else empty."""
    claim: str = ""
    """Random name of the run under way; empty if none is. Before `pending` it works on an upload that is coming in."""
    access: Access = "public"
    """Who may see it once it is published; `works.visibility` decides."""

    @property
    def visible(self) -> bool:
        """Whether it can be seen and played, by those who may (`access`)."""
        return self.state == "published" and self.deleted_at is None

    @property
    def rerunning(self) -> bool:
        """Whether the run under way is to replace another that is in force."""
        return bool(self.claim and self.run) and self.claim != self.run


@dataclass(frozen=True, slots=True)
class Rendition:
    """One playable form of a work. What of it is listed is whole in the object store."""

    id: int
    kind: RenditionKind
    quality: str
    """`96`, `1` … `5` as in the video dialect; `a` for sound."""
    complete: bool
    """False while segments are being added; its bandwidths are estimates then."""
    width: int | None
    height: int | None
    frame_rate: float | None
    codecs: str
    """RFC 6381."""
    bandwidth: int
    """Peak, bits per second."""
    average_bandwidth: int
    duration_ms: int
    byte_size: int
    key: str
    """Object of an mp4; initialisation section of an HLS rendition."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One media segment of an HLS rendition."""

    number: int
    """From 0."""
    duration_us: int
    byte_size: int
    key: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A still of a work."""

    kind: PictureKind
    width: int
    height: int
    byte_size: int
    key: str


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing."""

    items: list[Work]
    count: int
    """All works that match, not only this page's."""


@dataclass(frozen=True, slots=True)
class NewRendition:
    """A rendition that a run made, or begins to make; the objects it names are durable."""

    kind: RenditionKind
    quality: str
    codecs: str
    bandwidth: int
    average_bandwidth: int
    duration_ms: int
    byte_size: int
    key: str
    width: int | None = None
    height: int | None = None
    frame_rate: float | None = None
    segments: tuple[Segment, ...] = ()
    complete: bool = True
    """False: it grows (`products.append_segments`) until `products.complete_renditions`."""


@dataclass(frozen=True, slots=True)
class Completed:
    """The final figures of a rendition that has grown. Duration and size follow from its segments."""

    kind: RenditionKind
    quality: str
    bandwidth: int
    """Peak, bits per second."""
    average_bandwidth: int


@dataclass(frozen=True, slots=True)
class Grown:
    """A rendition of a run as far as it has come, growing or whole."""

    kind: RenditionKind
    quality: str
    complete: bool
    key: str
    segments: tuple[Segment, ...]

    @property
    def until_us(self) -> int:
        """Where its last segment ends, in microseconds from its start."""
        return sum(segment.duration_us for segment in self.segments)


@dataclass(frozen=True, slots=True)
class Extra:
    """A further object of a work."""

    name: str
    """`waveform.json`, `waveform.png`, `storyboard/<n>.jpg`."""
    content_type: str
    byte_size: int
    key: str


@dataclass(frozen=True, slots=True)
class Storyboard:
    """Small pictures of the whole work at even distances, row by row on the sheets `storyboard/<n>.jpg`."""

    interval_ms: int
    tile_width: int
    """Pixels."""
    tile_height: int
    columns: int
    """Tiles in a row of a sheet."""
    rows: int
    tiles: int
    """On all sheets."""


@dataclass(frozen=True, slots=True)
class Loudness:
    """Loudness of the whole work (EBU R 128)."""

    integrated_lufs: float | None
    """None: silence, or too short to tell; so are the others."""
    range_lu: float | None
    true_peak_dbtp: float | None
