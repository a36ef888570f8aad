"""What is in a file: facts from a sandboxed helper process, judged here."""

import asyncio
from pathlib import Path

import msgspec

from openstage.media.errors import Unplayable
from openstage.media.helper import ask
from openstage.media.models import AudioStream, Cover, MediaInfo, VideoStream
from openstage.media.sandbox import GIB, MIB, NICE, Limits
from openstage.media.signatures import HEAD, not_a_medium
from openstage.media.timing import frame_rates
from openstage.settings import Settings

LIMITS = Limits(seconds=120, cpu_seconds=90, memory=2 * GIB, file_size=0, nice=NICE)
SCAN_BYTES = 64 * MIB
QUICK_BYTES = 2 * MIB
MISSING_SECONDS, MISSING_SHARE = 0.5, 0.05  # a file that lacks more than both of its end is cut off
SHORTEST_MS = 1
# A longer file with fewer frames or packets of sound than one in so many seconds has damaged time stamps.
SPREAD_SECONDS, MOST_PER_FRAME, MOST_PER_PACKET = 600, 60, 5


class StreamReport(msgspec.Struct, kw_only=True):
    """One stream as the helper reports it; comes from a process that a hostile file may have taken over."""

    index: int
    type: str
    codec: str
    profile: str = ""
    language: str = ""
    default: bool = False
    cover: bool = False
    first: float | None = None
    end: float | None = None
    packets: int = 0
    header_duration: float | None = None
    missing_from: float | None = None
    width: int = 0
    height: int = 0
    pixel_format: str = ""
    sample_aspect: tuple[int, int] = (1, 1)
    guessed_rate: float = 0.0
    average_rate: float = 0.0
    stamps: list[float] = []
    decodes: bool = False
    bit_depth: int = 8
    rotation: int = 0
    interlaced: bool = False
    color_range: int = 0
    color_matrix: int = 2
    color_primaries: int = 2
    color_transfer: int = 2
    channels: int = 0
    sample_rate: int = 0
    bit_rate: int = 0
    bits: float = 0.0
    hole: float = 0.0
    level: int = 0
    keyframe_seconds: float = 0.0
    quirks: list[str] = []

    @property
    def span(self) -> float:
        """Seconds from the first packet to the end of the last, by the packets; else as the header has it."""
        if self.first is not None and self.end is not None and self.end > self.first:
            return self.end - self.first
        if self.packets and self.guessed_rate and not self.header_duration:
            return self.packets / self.guessed_rate
        return self.header_duration or 0.0


class Report(msgspec.Struct, kw_only=True):
    """The helper's whole report."""

    error: str = ""
    trouble: str | None = None
    claim: float | None = None
    container: str = ""
    byte_size: int = 0
    header_duration: float | None = None
    start: float = 0.0
    stream_count: int = 0
    read_to_end: bool = False
    streams: list[StreamReport] = []


# Names of ffmpeg's numbers (libavutil/pixfmt.h, after ITU-T H.273).
RANGES = {1: "tv", 2: "pc"}
MATRICES = {0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020nc", 10: "bt2020c"}
PRIMARIES = {1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020", 11: "smpte431"}
PRIMARIES |= {12: "smpte432"}
TRANSFERS = {1: "bt709", 4: "gamma22", 5: "gamma28", 6: "smpte170m", 7: "smpte240m", 8: "linear", 13: "iec61966-2-1"}
TRANSFERS |= {14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084", 18: "arib-std-b67"}


async def probe(path: Path, settings: Settings, *, scan_bytes: int = SCAN_BYTES) -> MediaInfo:
    """Find out what is in a file.

    Args:
        path: the file; nothing else is read.
        settings: limits on duration, pixels and streams.
        scan_bytes: of packets that are read at the beginning, and up to four times as many of them where a stream
            has shown little; of what is longer, the end is looked at besides.

    Raises:
        Unplayable: it can't be published; the message says why, for a person.
        TookTooLong: reading it took too long.
        ToolMissing: the helper can't run on this machine.

    """
    path, head = await asyncio.to_thread(_first_bytes, path)
    if reason := not_a_medium(head):
        raise Unplayable(reason)
    order = {"max_streams": settings.max_streams, "scan_bytes": scan_bytes}
    report = await ask("probing", path, settings, Report, limits=LIMITS, **order)
    if report.error:
        raise Unplayable(unreadable(report))
    return judge(report, settings)


async def probe_quickly(path: Path, settings: Settings) -> tuple[MediaInfo, bool]:
    """Find out whether a file can be published, while somebody waits for it.

    Of a long file less is read than by `probe()`, which is to look at it once more for what is made later.

    Returns:
        What is in it, and whether `probe()` would tell no more.

    Raises:
        Unplayable, TookTooLong, ToolMissing: as `probe`.

    """
    whole = (await asyncio.to_thread(path.stat)).st_size <= SCAN_BYTES
    return await probe(path, settings, scan_bytes=SCAN_BYTES if whole else QUICK_BYTES), whole


def _first_bytes(path: Path) -> tuple[Path, bytes]:
    """The absolute path, and how the file begins."""
    with path.open("rb") as file:
        return path.absolute(), file.read(HEAD)


def unreadable(report: Report) -> str:
    """Why a file couldn't be opened."""
    if report.trouble == "no-index":
        return "The file is cut off or damaged: its index (moov) is missing, without which nothing can be played."
    if report.trouble == "cut":
        return "The file is cut off: its end is missing, without which nothing can be played."
    return "This is not a video or sound file in a format that can be played, or it is damaged at its beginning."


def judge(report: Report, settings: Settings) -> MediaInfo:
    """Turn a report into what is known about the medium.

    Raises:
        Unplayable: it is over a limit, is cut off or has nothing to play.

    """
    if report.stream_count > settings.max_streams:
        raise Unplayable(f"The file has {report.stream_count} tracks; at most {settings.max_streams} are taken.")
    streams = report.streams
    pictures = [stream for stream in streams if stream.type == "video" and not stream.cover and stream.packets]
    sounds = [
        stream
        for stream in streams
        if stream.type == "audio" and stream.codec and stream.channels and stream.sample_rate
    ]
    sounds = [stream for stream in sounds if stream.packets]
    for stream in pictures:
        if stream.width * stream.height > settings.max_pixels:
            raise Unplayable(
                f"The picture is too large: {stream.width}×{stream.height} pixels; "
                f"at most {settings.max_pixels} in all are taken."
            )
    decodable = [stream for stream in pictures if stream.decodes]
    if pictures and not decodable:
        codec = pictures[0].codec or "of an unknown format"
        raise Unplayable(f"The picture ({codec}) can't be decoded: it is damaged, encrypted or of no use here.")
    if not decodable and not sounds:
        raise Unplayable("There is neither a picture nor sound in the file that could be played.")
    decodable.sort(key=lambda stream: (not stream.default, -stream.width * stream.height))
    duration = _duration(report, decodable[:1] + sounds)
    _check_whole(report, duration)
    if report.read_to_end:
        _check_stamps(decodable[:1], sounds, duration)
    duration_ms = round(duration * 1000)
    if duration_ms < SHORTEST_MS:
        raise Unplayable("The file is cut off: there is nothing behind its header that could be played.")
    if duration > settings.max_duration:
        raise Unplayable(f"The file lasts {_clock(duration)}; at most {_clock(settings.max_duration)} are taken.")
    return MediaInfo(
        container=report.container.split(",")[0],
        duration_ms=duration_ms,
        bit_rate=round(report.byte_size * 8 / duration),
        byte_size=report.byte_size,
        start=report.start,
        video=tuple(_video(stream, report) for stream in decodable),
        audio=tuple(_audio(stream, report) for stream in sounds),
        covers=tuple(
            Cover(index=stream.index, codec=stream.codec, width=stream.width, height=stream.height)
            for stream in streams
            if stream.cover and stream.decodes and stream.width * stream.height <= settings.max_pixels
        ),
    )


def _duration(report: Report, streams: list[StreamReport]) -> float:
    """Seconds from the beginning of the file to the end of the last stream."""
    ends = [stream.end - report.start for stream in streams if stream.end is not None]
    spans = [stream.span for stream in streams]
    return max([*ends, *(spans if not ends else []), 0.0])


def _check_whole(report: Report, duration: float) -> None:
    """Refuse a file that says itself that more of it should be there."""
    claims = [stream.header_duration or 0.0 for stream in report.streams]
    claimed = max([report.header_duration or 0.0, report.claim or 0.0, *claims])
    gone_from = [stream.missing_from for stream in report.streams if stream.missing_from is not None]
    if report.trouble != "cut" and not gone_from:
        return
    there = min([duration, *gone_from])
    if claimed - there > max(MISSING_SECONDS, MISSING_SHARE * claimed):
        raise Unplayable(
            f"The file is cut off: it should last {_clock(claimed)}, but only {_clock(there)} of it are there."
        )


def _check_stamps(pictures: list[StreamReport], sounds: list[StreamReport], duration: float) -> None:
    """Refuse a short film whose damaged time stamps spread it over hours: filling those up would take hours too."""
    if duration < SPREAD_SECONDS:
        return
    heard = any(stream.packets * MOST_PER_PACKET > duration for stream in sounds)
    for stream in [*pictures, *sounds]:
        most = MOST_PER_PACKET if stream.type == "audio" else MOST_PER_FRAME
        if 1 < stream.packets < stream.span / most and not (heard and stream.type == "video"):
            what = "frames" if stream.type == "video" else "pieces of sound"
            raise Unplayable(f"The file is damaged: {stream.packets} {what} are spread over {_clock(stream.span)}.")


def _clock(seconds: float) -> str:
    """Hours, minutes and seconds as a person writes them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _language(stream: StreamReport) -> str:
    return "" if stream.language == "und" else stream.language[:16]


def _video(stream: StreamReport, report: Report) -> VideoStream:
    """A moving picture's report in our words."""
    rates = frame_rates(stream.stamps, guessed=stream.guessed_rate, average=stream.average_rate)
    average = rates.average if rates.variable else rates.nominal
    if rates.variable and report.read_to_end and stream.span > 0:
        average = stream.packets / stream.span
    across, down = stream.sample_aspect
    return VideoStream(
        index=stream.index,
        codec=stream.codec,
        profile=stream.profile,
        width=stream.width,
        height=stream.height,
        sample_aspect=(across, down) if across > 0 and down > 0 else (1, 1),
        rotation=round(-stream.rotation / 90) * 90 % 360,
        frame_rate=round(average, 3),
        nominal_frame_rate=round(rates.nominal, 3),
        variable_frame_rate=rates.variable,
        pixel_format=stream.pixel_format,
        bit_depth=stream.bit_depth,
        color_range=RANGES.get(stream.color_range, ""),
        color_matrix=MATRICES.get(stream.color_matrix, ""),
        color_primaries=PRIMARIES.get(stream.color_primaries, ""),
        color_transfer=TRANSFERS.get(stream.color_transfer, ""),
        interlaced=stream.interlaced,
        level=stream.level,
        bit_rate=round(stream.bits),
        keyframe_seconds=round(stream.keyframe_seconds, 3),
        quirks=tuple(quirk[:32] for quirk in stream.quirks[:16]),
        start=round(max(0.0, (stream.first or 0.0) - report.start), 6) if stream.first is not None else 0.0,
        duration=round(stream.span, 6),
    )


def _audio(stream: StreamReport, report: Report) -> AudioStream:
    """A sound track's report in our words."""
    return AudioStream(
        index=stream.index,
        codec=stream.codec,
        profile=stream.profile,
        channels=stream.channels,
        sample_rate=stream.sample_rate,
        language=_language(stream),
        default=stream.default,
        bit_rate=stream.bit_rate,
        hole=round(stream.hole, 3),
        start=round(max(0.0, (stream.first or 0.0) - report.start), 6) if stream.first is not None else 0.0,
        duration=round(stream.span, 6),
    )
