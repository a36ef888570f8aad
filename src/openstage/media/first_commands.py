"""ffmpeg's arguments for the first rendition; pure functions, like `commands.py`.

One process reads the source and writes both tracks, each as an HLS output whose playlist tells when a segment is whole
and how long it lasts.
"""

from pathlib import Path

from openstage.media import commands
from openstage.media.commands import CLOCK_SLACK, SEGMENT_OPTIONS, Source, Window
from openstage.media.first import FirstPlan, FirstSound, FirstVideo
from openstage.media.ladder import KEYFRAME_SECONDS, Rung
from openstage.media.models import AudioStream, VideoStream
from openstage.media.tools import find_ffmpeg, thread_count
from openstage.settings import Settings

FIRST_SECONDS = 1  # length of the first segments, if keyframes allow
SHORT_SEGMENTS = 4  # number of them
LISTED = 8  # segments that a playlist names
SOUND_SLACK = 0.004  # seconds by which a packet's time stamp may be off because of the container's clock
AAC_SAMPLES = 1024
# H.264 NAL units that aren't passed on: supplemental information (cameras write places and devices into it), filler.
LEFT_OUT = "6|12"


def arguments(
    source: Source, plan: FirstPlan, settings: Settings, *, piped: bool, resume: float | None = None
) -> list[str]:
    """The whole ffmpeg command.

    Args:
        source: what is read; its path isn't used if it is `piped`.
        plan: what is made.
        settings: which ffmpeg, its threads.
        piped: the source comes through stdin.
        resume: seconds at which an encoded picture goes on; None: from the beginning.

    """
    threads = thread_count(settings)
    encoded = plan.video if plan.video and not plan.video.copy else None
    graph: list[str] = []
    outputs: list[str] = []
    window = Window(resume, None, resume if not piped else None) if resume else None
    if encoded and encoded.rung:
        graph += commands.picture_graph(source, (encoded.rung,), {encoded.quality: ["v"]}, window)
    if plan.sound and not plan.sound.copy:
        graph.append(commands.sound_graph(source, ["s"]))
    if plan.video and source.video:
        outputs += picture_output(plan.video, source.video, threads, resume or 0.0)
    if plan.sound and source.audio:
        outputs += sound_output(plan.sound, source.audio)
    return [
        *base_arguments(find_ffmpeg(settings), threads),
        *input_arguments(source, threads, piped, window),
        *(["-filter_complex", ";".join(graph)] if graph else []),
        *outputs,
    ]


def only_beginning(arguments: list[str]) -> list[str]:
    """The same command for the picture's first second only."""
    at = arguments.index("-f", arguments.index("-map"))
    return [*arguments[:at], "-t", "1", *arguments[at:]]


def base_arguments(ffmpeg: Path, threads: int) -> list[str]:
    """The program and what holds for the whole run."""
    quiet = [str(ffmpeg), "-hide_banner", "-nostdin", "-nostats", "-v", "error", "-y"]
    return quiet + (["-filter_complex_threads", str(threads)] if threads else [])


def input_arguments(source: Source, threads: int, piped: bool, window: Window | None) -> list[str]:
    """The input: the file, or what comes through stdin; nothing else can be opened."""
    container = source.info.container
    if not piped:
        seek = window.seek if window else None
        return commands.input_arguments(source.path, container, threads, seek=seek, keep_times=seek is not None)
    arguments = ["-protocol_whitelist", "pipe", "-format_whitelist", container, "-f", container]
    return [*arguments, *(["-threads", str(threads)] if threads else []), "-i", "pipe:0"]


def picture_output(plan: FirstVideo, video: VideoStream, threads: int, resume: float) -> list[str]:
    """Output arguments of the picture."""
    if plan.copy or plan.rung is None:
        return ["-map", f"0:{video.index}", "-c", "copy", "-bsf:v", copied_picture(video), *hls("video", 4)]
    encoder = commands.video_encoder(plan.rung, threads=threads)
    encoder[encoder.index("-force_key_frames") + 1] = f"expr:{keyframes(plan.rung, resume)}"
    return ["-map", "[v]", *encoder, *hls("video", FIRST_SECONDS / 2)]


def copied_picture(video: VideoStream) -> str:
    """Filters of packets: a picture that begins late is shown from the beginning, as the ladder's rungs do."""
    filters = [f"filter_units=remove_types={LEFT_OUT}"]
    if video.start > 0:
        filters.append(r"setts=pts=if(N\,PTS\,0):dts=if(N\,DTS\,min(DTS\,0))")
    return ",".join(filters)


def keyframes(rung: Rung, resume: float) -> str:
    """When a keyframe is forced: on the ladder's grid of 4 s, and at 1 and 2 s so that playback can begin at once."""
    if rung.keyframe_every and rung.frame_rate:
        # Frames are counted from where this process begins.
        n = f"(n+{round(resume * rung.frame_rate)})"
        early = [round(second * rung.frame_rate) for second in (1, 2)]
        return "+".join([f"not(mod({n},{rung.keyframe_every}))", *(f"eq({n},{frame})" for frame in early)])
    cell = "(floor(({t}+{slack})/{long})+gte({t}+{slack},1)+gte({t}+{slack},2))"
    now, before = (cell.format(t=t, slack=CLOCK_SLACK, long=KEYFRAME_SECONDS) for t in ("t", "prev_forced_t"))
    return f"isnan(prev_forced_t)+gt({now},{before})"


def sound_output(plan: FirstSound, audio: AudioStream) -> list[str]:
    """Output arguments of the sound.

    What lies before time 0 is the run-in of an encoder, ours or the source's: it is dropped instead of being hidden by
    an edit list.
    """
    drop = r"noise=drop=lt(pts\,0)"
    if not plan.copy:
        encoder = commands.sound_encoder(plan.bit_rate, plan.channels)
        return ["-map", "[s]", *encoder, "-bsf:a", drop, *hls("sound", KEYFRAME_SECONDS)]
    # Containers with coarse clocks say when a packet begins to the millisecond only: after each packet of AAC the next
    # one follows at once, unless there really is a gap.
    ticks, slack = AAC_SAMPLES, round(SOUND_SLACK * plan.sample_rate)
    steady = rf"if(lt(abs(PTS-PREV_OUTPTS-{ticks})\,{slack})\,PREV_OUTPTS+{ticks}\,PTS)"
    stamps = rf"setts=time_base=1/{plan.sample_rate}:prescale=1:duration={ticks}:ts=if(N\,{steady}\,PTS)"
    return ["-map", f"0:{audio.index}", "-c", "copy", "-bsf:a", f"{drop},{stamps}", *hls("sound", KEYFRAME_SECONDS)]


def hls(folder: str, seconds: float) -> list[str]:
    """The end of an output: files in `folder`, each renamed once it is whole, and a playlist of the last ones.

    A segment begins at the first keyframe (of sound: packet) `seconds` after the one before began; the first few are
    shorter.
    """
    first = min(FIRST_SECONDS, seconds)
    return [
        *("-map_metadata", "-1", "-map_metadata:s", "-1", "-map_chapters", "-1", "-avoid_negative_ts", "disabled"),
        *("-f", "hls", "-hls_time", str(seconds), "-hls_init_time", str(first), "-hls_list_size", str(SHORT_SEGMENTS)),
        *("-hls_segment_type", "fmp4", "-hls_flags", "independent_segments+temp_file"),
        *("-hls_segment_options", SEGMENT_OPTIONS, "-hls_fmp4_init_filename", "init.mp4"),
        *("-hls_segment_filename", f"{folder}/%05d.m4s", f"{folder}/list.m3u8"),
    ]
