"""What is known about a medium, and what is made of it."""

from typing import Literal

from msgspec import Struct

Kind = Literal["hls_video", "hls_audio", "mp4", "mp3"]
PictureKind = Literal["original", "img", "thumbnail"]

HDR_TRANSFERS = frozenset({"smpte2084", "arib-std-b67"})  # PQ and HLG (ITU-R BT.2100)


class VideoStream(Struct, frozen=True, kw_only=True):
    """A moving picture.

    Attributes:
        index: number of the stream in its file.
        codec: ffmpeg's name, such as `h264`.
        profile: the codec's profile, such as `High 10`; empty if unknown.
        width: stored columns, in pixels, before `sample_aspect` and `rotation`.
        height: stored rows.
        sample_aspect: width : height of one pixel.
        rotation: degrees clockwise (0, 90, 180, 270) by which a player turns the stored picture.
        frame_rate: average, frames per second.
        nominal_frame_rate: the fastest regular pace found, frames per second.
        variable_frame_rate: frames come at varying distances.
        pixel_format: ffmpeg's name, such as `yuv420p10le`.
        bit_depth: bits per component.
        color_range: `tv`, `pc` or empty if unknown; likewise matrix, primaries and transfer in ffmpeg's names.
        interlaced: a frame holds two fields of different times.
        level: of H.264 as in its headers (41 is 4.1); 0 if unknown.
        bit_rate: bits per second of what was read of it; 0 if unknown.
        keyframe_seconds: largest distance between keyframes that was seen; 0 if there was one at most.
        quirks: what players would stumble over if they were given its packets as they are (see `inside/packets.py`).
        start: seconds from the beginning of the file to the first frame.
        duration: seconds from the first frame to the end of the last one.

    """

    index: int
    codec: str
    profile: str = ""
    width: int
    height: int
    sample_aspect: tuple[int, int] = (1, 1)
    rotation: int = 0
    frame_rate: float
    nominal_frame_rate: float
    variable_frame_rate: bool = False
    pixel_format: str = ""
    bit_depth: int = 8
    color_range: str = ""
    color_matrix: str = ""
    color_primaries: str = ""
    color_transfer: str = ""
    interlaced: bool = False
    level: int = 0
    bit_rate: int = 0
    keyframe_seconds: float = 0.0
    quirks: tuple[str, ...] = ()
    start: float = 0.0
    duration: float = 0.0

    @property
    def display_size(self) -> tuple[int, int]:
        """Width and height in square pixels as a player shows them."""
        across, down = self.sample_aspect
        # A pixel is stretched, never squeezed, so that no detail is lost.
        width = round(self.width * across / down) if across > down else self.width
        height = round(self.height * down / across) if across < down else self.height
        return (height, width) if self.rotation in {90, 270} else (width, height)

    @property
    def hdr(self) -> bool:
        """Whether its brightness must be mapped for ordinary screens."""
        return self.color_transfer in HDR_TRANSFERS


class AudioStream(Struct, frozen=True, kw_only=True):
    """A sound track; `start` and `duration` in seconds, `sample_rate` in hertz, `language` as the file has it.

    `hole` is the longest time between two packets for which there is no sound, as far as the track was read.
    """

    index: int
    codec: str
    profile: str = ""
    channels: int
    sample_rate: int
    language: str = ""
    default: bool = False
    bit_rate: int = 0
    hole: float = 0.0
    start: float = 0.0
    duration: float = 0.0


class Cover(Struct, frozen=True, kw_only=True):
    """A still picture that a file carries along (album cover)."""

    index: int
    codec: str
    width: int
    height: int


class MediaInfo(Struct, frozen=True, kw_only=True):
    """What the probe found in a file that can be played.

    Attributes:
        container: ffmpeg's short name of the format, such as `mov`, `matroska`, `mpegts`.
        duration_ms: real duration of what is there, whatever the header says.
        bit_rate: of the whole file, bits per second.
        byte_size: of the file.
        start: time stamp in the file's own clock at which it begins, in seconds.
        video: moving pictures; the first of them is the one that is published unless another is the default.
        audio: sound tracks.
        covers: still pictures.

    """

    container: str
    duration_ms: int
    bit_rate: int
    byte_size: int
    start: float = 0.0
    video: tuple[VideoStream, ...] = ()
    audio: tuple[AudioStream, ...] = ()
    covers: tuple[Cover, ...] = ()

    @property
    def duration(self) -> float:
        """Duration in seconds."""
        return self.duration_ms / 1000

    @property
    def main_video(self) -> VideoStream | None:
        """The moving picture that is published."""
        return self.video[0] if self.video else None

    @property
    def main_audio(self) -> AudioStream | None:
        """The sound track that is published: the default one, else the first."""
        return next((track for track in self.audio if track.default), self.audio[0] if self.audio else None)

    @property
    def sound_only(self) -> bool:
        """Whether there is sound but no moving picture."""
        return not self.video


class Segment(Struct, frozen=True, kw_only=True):
    """One media segment: `path` absolute, `start_us` from the rendition's beginning, times in microseconds."""

    number: int
    path: str
    start_us: int
    duration_us: int
    byte_size: int


class Rendition(Struct, frozen=True, kw_only=True):
    """One playable form of a work, as files.

    Attributes:
        kind: HLS moving picture without sound, HLS sound, or an MP4 with both.
        quality: `96`, `1` … `5` as in the video dialect; `a` for HLS sound.
        path: absolute path of the MP4; of the initialisation section of an HLS rendition.
        init_size: bytes of the initialisation section; 0 for an MP4.
        segments: in order of time; empty for an MP4.
        width: pixels, None without a picture; likewise height and frame_rate.
        codecs: RFC 6381, of this rendition alone.
        bandwidth: peak bits per second over any stretch about as long as a segment (RFC 8216, 4.3.4.2).
        average_bandwidth: bits per second over the whole.
        duration_ms: exact, from the packets.
        byte_size: of all its files.

    """

    kind: Kind
    quality: str
    path: str
    init_size: int = 0
    segments: tuple[Segment, ...] = ()
    width: int | None = None
    height: int | None = None
    frame_rate: float | None = None
    codecs: str
    bandwidth: int
    average_bandwidth: int
    duration_ms: int
    byte_size: int


class Picture(Struct, frozen=True, kw_only=True):
    """A still picture of a work, as a JPEG file; `path` is absolute."""

    kind: PictureKind
    path: str
    width: int
    height: int
    byte_size: int
