"""ffmpeg's arguments, built from plain values: nothing here runs or touches a file.

One process decodes once and makes everything. The pieces (`input_arguments`, `picture_graph`, `video_output` …) are
apart so that a part of the source or a single rung can be made as well.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from msgspec import Struct

from openstage.media.ladder import KEYFRAME_SECONDS, Rung
from openstage.media.models import AudioStream, MediaInfo, VideoStream

PRESET = "veryfast"  # of x264: two cores must keep up with uploads; "slow" saves about 15 % of the bits for 4x the time
SOUND_RATE = 128_000  # bits per second of HLS sound
# Quality of an mp4 -> bits per second in all, of its sound, and channels; and of the sound where there is no picture.
MP4_LIMIT = {"1": 200_000, "2": 400_000}
MP4_SOUND = {"1": (40_000, 1), "2": (72_000, 2)}
MP4_SOUND_ALONE = {"1": (96_000, 2), "2": (192_000, 2)}
# The clocks of containers may be a few milliseconds off: a frame so much too early belongs to the stretch that begins.
# The value lies between the ticks of the clocks in use, so that no frame stands on the line.
CLOCK_SLACK = 0.00471
# A keyframe at the first frame of each stretch of four seconds, counted from 0 whatever gaps there are.
NEW_CELL = (
    f"isnan(prev_forced_t)+gt(floor((t+{CLOCK_SLACK})/{KEYFRAME_SECONDS})"
    f",floor((prev_forced_t+{CLOCK_SLACK})/{KEYFRAME_SECONDS}))"
)
WORST = 48  # CRF that the cap may lead to: even noise keeps within it then
LONG_GOP = 100_000  # frames; keyframes come where we force them and nowhere else
SLOWEST_PACE = 5  # frames per second; a slower picture is repeated
AROUND = 4  # frames on either side of a chunk that the deinterlacer sees
# Channels that are mixed down to two are louder together than full scale: what would be cut off is turned down.
LIMITER = "alimiter=limit=0.89:level=0:latency=1"
SOUND_OFF = 0.02  # seconds: sound that is so much off its time stamps is filled up or cut
PAD_SECONDS = 0.2  # a stream that ends so much earlier than the other is filled up

COLOR_MATRICES = {
    "bt709": "bt709",
    "bt470bg": "bt601",
    "smpte170m": "bt601",
    "smpte240m": "smpte240m",
    "fcc": "fcc",
    "bt2020nc": "bt2020",
    "bt2020c": "bt2020",
}
TAGS = "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"  # encoders write what frames say
HD_HEIGHT = 720  # an untagged picture at least so high is BT.709, a smaller one BT.601, as players have it

# Fragments carry the file's own clock. The edit list takes back the delay of reordered frames and nothing else; without
# one (negative composition offsets) ffmpeg as a player is two frames late.
SEGMENT_OPTIONS = "movflags=+frag_discont+skip_trailer:avoid_negative_ts=disabled"


# One file of fragments, one for each keyframe, times on the file's own clock whichever frame is the first.
PIECE_FLAGS = "+frag_keyframe+empty_moov+delay_moov+default_base_moof+frag_discont+skip_trailer"


@dataclass(frozen=True, slots=True)
class Window:
    """The stretch of a source that is made: seconds on the medium's time line.

    Attributes:
        start: of the first frame, at the earliest.
        end: before which the last frame begins; None: to the end of the source.
        seek: moment before `start` from which the file is decoded; None: from its beginning.

    """

    start: float
    end: float | None
    seek: float | None

    def trim(self, rate: Fraction | None, around: int = 0) -> list[str]:
        """The filter that lets nothing through but the frames of the stretch, and `around` more on either side.

        The line lies before the first frame: by a quarter of a regular pace (the filter rounds to whole frames), or by
        what clocks may be off.
        """
        parts = []
        for name, moment, more in (("start", self.start, -around), ("end", self.end, around)):
            if moment is None or (name == "start" and moment + more <= 0):
                continue
            if rate is None:
                line = moment - CLOCK_SLACK + more / SLOWEST_PACE
            else:
                line = float((round(moment * rate) + more - Fraction(1, 4)) / rate)
            if line > 0:
                parts.append(f"{name}={line:.6f}")
        return [f"trim={':'.join(parts)}"] if parts else []


@dataclass(frozen=True, slots=True)
class Source:
    """What is decoded: the file, what is known about it, and the streams that are taken."""

    path: Path
    info: MediaInfo
    video: VideoStream | None
    audio: AudioStream | None

    @classmethod
    def of(cls, path: Path, info: MediaInfo) -> "Source":
        """The file's main picture and main sound."""
        return cls(path=Path(os.path.abspath(path)), info=info, video=info.main_video, audio=info.main_audio)  # noqa: PTH100

    @property
    def end(self) -> float:
        """Seconds from the beginning to the end of the stream that ends last."""
        return max((stream.start + stream.duration for stream in (self.video, self.audio) if stream), default=0.0)


class Mp4(Struct, frozen=True, kw_only=True):
    """A file for plain download: its quality, the rung whose frames it shows, bits per second of the picture."""

    quality: str
    rung: Rung | None
    video_rate: int
    sound_rate: int
    channels: int


def base_arguments(ffmpeg: Path, threads: int) -> list[str]:
    """The program and what holds for the whole run. `threads`: of decoders and filters, 0 for one per core."""
    arguments = [str(ffmpeg), "-hide_banner", "-nostdin", "-nostats", "-v", "error", "-y"]
    arguments += ["-progress", "pipe:1", "-stats_period", "0.5"]
    return arguments + (["-filter_complex_threads", str(threads)] if threads else [])


def input_arguments(
    source: Path, container: str, threads: int = 0, *, seek: float | None = None, keep_times: bool = False
) -> list[str]:
    """The input: this format and this file, no other format, file or host.

    Args:
        source: the file, absolute.
        container: ffmpeg's name of the format the probe found.
        threads: of each decoder, 0 for one per core.
        seek: seconds after the beginning at which to start.
        keep_times: times stay those of the medium's time line; begin at the keyframe before `seek`. Else the time
            line begins at `seek`.

    """
    arguments = ["-protocol_whitelist", "file", "-format_whitelist", container, "-f", container]
    arguments += ["-threads", str(threads)] if threads else []
    arguments += ["-ss", f"{seek:.6f}"] if seek is not None else []
    arguments += ["-noaccurate_seek", "-copyts", "-start_at_zero"] if keep_times and seek is not None else []
    return [*arguments, "-i", f"file:{source}"]


def colour_matrix(video: VideoStream) -> str:
    """The matrix that a picture's YUV values are in, in the words of the scale filter."""
    known = COLOR_MATRICES.get(video.color_matrix)
    return known or ("bt709" if min(video.display_size) >= HD_HEIGHT else "bt601")


def first_scale(video: VideoStream, width: int, height: int) -> list[str]:
    """Filters from the decoder's frames to BT.709 8-bit frames of a size; rotation has been applied before them."""
    return [*whole_frames(video), *scale(video, width, height)]


def scale(video: VideoStream, width: int, height: int) -> list[str]:
    """Filters from frames of one moment to BT.709 8-bit frames of a size."""
    if video.hdr:
        matrix = video.color_matrix or "bt2020nc"
        primaries = video.color_primaries or "bt2020"
        known = f"tin={video.color_transfer}:min={matrix}:pin={primaries}:rin={video.color_range or 'tv'}"
        filters = [
            f"zscale=w={width}:h={height}:f=bicubic:{known}:t=linear:npl=100",
            "format=gbrpf32le",
            "zscale=p=bt709",
            "tonemap=tonemap=hable:desat=0",
            "zscale=t=bt709:m=bt709:r=tv",
        ]
    else:
        matrices = f"in_color_matrix={colour_matrix(video)}:out_color_matrix=bt709:out_range=tv"
        filters = [f"scale={width}:{height}:flags=bicubic:{matrices}"]
    return [*filters, "format=yuv420p", "setsar=1", TAGS]


def timing_filters(source: Source, rate: Fraction | None, window: Window | None = None) -> list[str]:
    """Filters that give the picture its pace, and keep it up until the sound ends."""
    video = source.video
    assert video is not None
    filters = []
    if rate is not None:
        # Frames that are decoded from a keyframe on lie on the same grid, which needn't be filled up from 0.
        filters.append(f"fps=fps={rate}" + ("" if window and window.seek is not None else ":start_time=0"))
    missing = source.end - (video.start + video.duration)
    if missing > max(PAD_SECONDS, 2 / max(video.nominal_frame_rate, 1)):
        filters.append(f"tpad=stop_mode=clone:stop_duration={missing:.3f}")
    return filters


def whole_frames(video: VideoStream, rate: Fraction | None = None, window: Window | None = None) -> list[str]:
    """Filters that leave the frames of a window, each of one moment: interlaced ones are filled up."""
    if not video.interlaced:
        return window.trim(rate) if window else []
    deinterlace = "bwdif=mode=send_frame:deint=interlaced"  # looks at the frames before and after
    return [*window.trim(rate, AROUND), deinterlace, *window.trim(rate)] if window else [deinterlace]


def parents(rungs: Sequence[Rung]) -> dict[str, str | None]:
    """For each rung the one it is scaled from: the smallest that is at least twice as large, else the highest.

    The highest one itself comes from the source (None). Scaling by halves keeps sharpness and costs a fraction of
    scaling everything from the source.
    """
    top = rungs[-1]
    chosen: dict[str, str | None] = {top.quality: None}
    for rung in rungs[:-1]:
        larger = [other for other in rungs if other.short_side >= 2 * rung.short_side]
        chosen[rung.quality] = (larger[0] if larger else top).quality
    return chosen


def picture_graph(
    source: Source,
    rungs: Sequence[Rung],
    uses: dict[str, list[str]],
    window: Window | None = None,
    after: str | None = None,
) -> list[str]:
    """Filter chains from the source's picture to the named ends.

    Args:
        source: what is decoded.
        rungs: from the lowest to the highest.
        uses: for each rung's quality the names of the pads that take its frames.
        window: the stretch that is made; None: all.
        after: name of a pad that gives the frames behind the window, very small.

    """
    video = source.video
    assert video is not None
    by_quality = {rung.quality: rung for rung in rungs}
    parent_of = parents(rungs)
    chains = []
    for rung in reversed(rungs):
        parent = parent_of[rung.quality]
        if parent is None:
            timing = timing_filters(source, rung.frame_rate, window)
            filters = [
                *whole_frames(video, rung.frame_rate, window),
                *scale(video, rung.width, rung.height),
            ]
            begin = f"[0:{video.index}]"
            if after and window and window.end is not None:
                behind = Window(window.end, None, None).trim(rung.frame_rate)
                chains.append(f"{begin}{','.join([*timing, 'split=2'])}[before][behind]")
                chains.append(f"[behind]{','.join([*behind, 'scale=16:16'])}[{after}]")
                begin, timing = "[before]", []
            head = begin + ",".join([*timing, *filters])
        else:
            thinned = thinning(by_quality[parent].frame_rate, rung.frame_rate, window)
            head = f"[to{rung.quality}]{thinned}scale={rung.width}:{rung.height}:flags=bicubic"
        children = [f"to{quality}" for quality, above in parent_of.items() if above == rung.quality]
        chains.append(_split(head, "split", [*children, *uses[rung.quality]]))
    return chains


def thinning(rate: Fraction | None, slower: Fraction | None, window: Window | None = None) -> str:
    """The filter, with a comma, that leaves every so many-th frame; nothing if the rates are the same."""
    if rate is None or slower is None or rate == slower:
        return ""
    if window is None:
        return f"fps=fps={slower}:start_time=0:round=up,"
    # The frames left over at the end count for a moment that belongs to the next chunk.
    return ",".join([f"fps=fps={slower}:round=up", *window.trim(slower), ""])


def _split(head: str, splitter: str, outputs: Sequence[str]) -> str:
    """A chain whose frames go to several pads."""
    ends = "".join(f"[{name}]" for name in outputs)
    return f"{head},{splitter}={len(outputs)}{ends}" if len(outputs) > 1 else f"{head}{ends}"


def sound_graph(source: Source, uses: Sequence[str]) -> str:
    """Filter chain from the source's sound track to the named ends: begins at 0, has no gaps, lasts as the picture."""
    audio = source.audio
    assert audio is not None
    # Only a late start is filled up: where the source's channels change, ffmpeg begins afresh with these filters, and
    # would fill up from 0 once more.
    late = ":first_pts=0" if audio.start > 0 else ""
    filters = [
        f"aresample={sound_sample_rate(audio)}:async=1:min_hard_comp={SOUND_OFF}{late}",
        f"aformat=sample_fmts=fltp:channel_layouts={'stereo' if audio.channels > 1 else 'mono'}",
    ]
    if audio.channels > 2:
        filters.append(LIMITER)
    if source.end - (audio.start + audio.duration) > PAD_SECONDS:
        filters.append(f"apad=whole_dur={source.end:.3f}")
    return _split(f"[0:{audio.index}]{','.join(filters)}", "asplit", uses)


def sound_sample_rate(audio: AudioStream) -> int:
    """44100 for sound that comes from compact discs, 48000 for all other."""
    return 44100 if audio.sample_rate % 11025 == 0 else 48000


def video_encoder(rung: Rung, *, rate: int | None = None, seconds: float = 0.0, threads: int = 0) -> list[str]:
    """x264's arguments for a rung.

    Args:
        rung: size, pace and quality.
        rate: bits per second that the whole stream must not exceed on average either (mp4s); None: `rung.max_rate`.
        seconds: duration, with `rate`.
        threads: 0 for one and a half per core.

    """
    if rate is None:
        limits = ["-maxrate", str(rung.max_rate), "-bufsize", str(rung.buffer)]
        # As full as it usually is where a chunk ends: the next one is neither worse nor larger for beginning anew.
        limits += ["-rc_init_occupancy", str(rung.buffer // 2)]
    else:
        most = most_rate(rate, seconds)
        limits = ["-maxrate", str(most), "-bufsize", str(most), "-rc_init_occupancy", str(most // 2)]
        limits += ["-level", rung.level]  # whatever the rate is: chunks with fewer bits fit the others
    if rate is None or rung.pauses:
        # Before a long pause x264 takes its buffer for empty and skips the last frames, which then stand for seconds.
        limits += ["-crf_max", str(WORST)]
    profile = ["-profile:v", "high" if rung.short_side >= 720 else "main"]
    return [
        *("-c:v", "libx264", "-preset", PRESET, *profile, "-pix_fmt", "yuv420p", "-crf", str(rung.crf), *limits),
        # Headers that don't depend on the quality, so that chunks fit whatever they were made with.
        *("-x264-params", "stitchable=1", "-sc_threshold", "0", "-forced-idr", "1", *keyframes(rung)),
        *(["-threads", str(threads)] if threads else []),
    ]


def most_rate(rate: int, seconds: float) -> int:
    """The cap, and the size of the buffer, that keep a file of so many seconds within `rate` bits per second in all.

    What the buffer holds at the beginning comes on top of the rate: half a second's bits.
    """
    return max(8_000, round(rate * seconds / (seconds + 0.5)))


def keyframes(rung: Rung) -> list[str]:
    """Output arguments: keyframes where the grid has them, frames at their own times."""
    every = rung.keyframe_every
    forced = f"not(mod(n,{every}))" if every else NEW_CELL
    return [
        *("-g", str(LONG_GOP), "-force_key_frames", f"expr:{forced}"),
        *("-fps_mode", "vfr", "-enc_time_base", "1:90000"),
    ]


def sound_encoder(rate: int, channels: int) -> list[str]:
    """AAC-LC's arguments."""
    return ["-c:a", "aac", "-b:a", str(rate), "-ac", str(channels)]


def piece_output(path: str) -> list[str]:
    """The end of an output that `fragments.py` takes apart."""
    return [
        *("-map_metadata", "-1", "-map_chapters", "-1", "-avoid_negative_ts", "disabled"),
        *("-f", "mp4", "-write_btrt", "0", "-movflags", PIECE_FLAGS, path),
    ]


def first_stamp(path: str) -> list[str]:
    """Output arguments for a listing of the first frame alone, with its time."""
    stamps = ["-fps_mode", "passthrough", "-enc_time_base", "1:90000"]
    return ["-frames:v", "1", "-c:v", "rawvideo", *stamps, "-f", "framecrc", path]


def mp4_output(mp4: Mp4, path: str, seconds: float, video_pad: str | None, sound_pad: str | None) -> list[str]:
    """Output arguments of a file for plain download, its index in front."""
    arguments = []
    if video_pad and mp4.rung:
        arguments += ["-map", f"[{video_pad}]", *video_encoder(mp4.rung, rate=mp4.video_rate, seconds=seconds)]
    if sound_pad:
        arguments += ["-map", f"[{sound_pad}]", *sound_encoder(mp4.sound_rate, mp4.channels)]
    return [*arguments, *mp4_end(path)]


def mp4_end(path: str) -> list[str]:
    """The end of an MP4 output: its index in front, nothing of the source's titles and places."""
    return ["-map_metadata", "-1", "-map_chapters", "-1", "-movflags", "+faststart", "-f", "mp4", path]
