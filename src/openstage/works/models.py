"""What a work is, and what a caller may say about it."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Literal

State = Literal[
    "uploading", "waiting", "publishing", "reviewing", "published", "refused", "failed", "cancelled", "expired"
]
Review = Literal["none", "pending", "approved", "refused"]
RenditionKind = Literal["hls_video", "hls_audio", "mp4"]
PictureKind = Literal["original", "img", "thumbnail"]

LARGEST_PAGE = 100
"""Most works that one page of a listing holds."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What an app says about a work. Text is kept as given and shown escaped; it never becomes part of a path."""

    title: str
    description: str = ""
    tags: tuple[str, ...] = ()
    category: int | None = None


@dataclass(frozen=True, slots=True)
class Work:
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
    """Production is wanted: first publication or a rerun."""
    last_fault: str
    """The last thing that stopped production for a while, or that made a rerun fail; for the operator."""
    run: str
    """Random name of the pipeline run whose objects are published; empty before the first."""
    created_at: dt.datetime
    changed_at: dt.datetime
    published_at: dt.datetime | None
    deleted_at: dt.datetime | None
    """Hidden from then on; the state stays, so that a restore gives it back."""
    purged_at: dt.datetime | None
    """Bytes removed for good."""
    pictures: list[PictureKind]
    """Pictures that can be shown; empty for sound without a cover."""

    @property
    def visible(self) -> bool:
        """Whether the public may see and play it."""
        return self.state == "published" and self.deleted_at is None


@dataclass(frozen=True, slots=True)
class Rendition:
    """One playable form of a work, whole in the object store."""

    id: int
    kind: RenditionKind
    quality: str
    """`96`, `1` … `5` as in the video dialect; `a` for sound."""
    complete: bool
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
    """A rendition that a pipeline run made; its objects are durable."""

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


@dataclass(frozen=True, slots=True)
class Production:
    """All that a pipeline run made, to be put in force at once."""

    run: str
    duration_ms: int
    media: dict[str, object]
    """What the probe found."""
    renditions: tuple[NewRendition, ...]
    pictures: tuple[Picture, ...] = field(default=())
