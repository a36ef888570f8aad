"""ffmpeg's arguments for the first rendition; pure functions, like `commands.py`.

One process reads the source and writes both tracks, each as an HLS output whose playlist tells when a segment is whole
and how long it lasts.
"""

import os
from pathlib import Path

from openstage.media import commands
from openstage.media.commands import CLOCK_SLACK, Source, Window
from openstage.media.first import FirstPlan, FirstSound, FirstVideo
from openstage.media.ladder import KEYFRAME_SECONDS, Rung
from openstage.media.models import AudioStream, VideoStream
from openstage.media.progress import MICROSECONDS
from openstage.media.tools import MOST_THREADS, find_ffmpeg
from openstage.settings import Settings

# Fragments carry the medium's own clock. The edit list takes back the delay of reordered frames and nothing else;
# without one (negative composition offsets) ffmpeg as a player is two frames late. No `sidx`: its times would have to
# be bent where frames come at varying distances. No `btrt`: it depends on whether ffmpeg can see the file's end.
OPTIONS = "movflags=+frag_discont+skip_trailer+skip_sidx:avoid_negative_ts=disabled:write_btrt=0"
FIRST_SECONDS = 1  # length of the first segments, if keyframes allow
SHORT_SEGMENTS = 4  # number of them
LISTED = 8  # segments that a playlist names
ANALYSED_SECONDS = 1.0
SOUND_SLACK = 0.004  # seconds by which a packet's time stamp may be off because of the container's clock
AAC_SAMPLES = 1024
# H.264 NAL units that aren't passed on: supplemental information (cameras write places and devices into it), filler.
LEFT_OUT = "6|12"


def arguments(
    source: Source, plan: FirstPlan, settings: Settings, *, piped: bool, window: Window | None = None
) -> list[str]:
    """The whole ffmpeg command.

    Args:
        source: what is read; its path isn't used if it is `piped`.
        plan: what is made.
        settings: which ffmpeg.
        piped: the source comes through stdin.
        window: from where an encoded picture goes on; None: from the beginning.

    """
    threads = processors()
    encoded = plan.video if plan.video and not plan.video.copy else None
    # Each chain is a graph of its own: where the picture's size changes, its graph begins afresh, not the sound's.
    graphs: list[list[str]] = []
    outputs: list[str] = []
    if encoded and encoded.rung:
        graphs.append(commands.picture_graph(source, (encoded.rung,), {encoded.quality: ["v"]}, window))
    if plan.sound and not plan.sound.copy:
        graphs.append([commands.sound_graph(source, ["s"])])
    if plan.video and source.video:
        outputs += picture_output(plan.video, source.video, threads, window.start if window else None)
    if plan.sound and source.audio:
        outputs += sound_output(plan.sound, source.audio)
    return [
        *base_arguments(find_ffmpeg(settings), threads),
        *input_arguments(source, threads, piped, window),
        *(argument for graph in graphs for argument in ("-filter_complex", ";".join(graph))),
        *outputs,
    ]


def processors() -> int:
    """Threads of decoder and encoder, 0 for one per core: somebody waits, so that all are used, if not too many."""
    return MOST_THREADS if len(os.sched_getaffinity(0)) > MOST_THREADS else 0


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
    # The probe has found out what there is: ffmpeg needn't look longer than until all of it has begun.
    begun = max((stream.start for stream in (source.video, source.audio) if stream), default=0.0)
    looking = ["-analyzeduration", str(round((begun + ANALYSED_SECONDS) * MICROSECONDS))]
    if not piped:
        seek = window.seek if window else None
        arguments = commands.input_arguments(source.path, container, threads, seek=seek, keep_times=seek is not None)
        return [*looking, *arguments]
    arguments = [*looking, "-protocol_whitelist", "pipe", "-format_whitelist", container, "-f", container]
    return [*arguments, *(["-threads", str(threads)] if threads else []), "-i", "pipe:0"]


def picture_output(plan: FirstVideo, video: VideoStream, threads: int, resume: float | None) -> list[str]:
    """Output arguments of the picture."""
    if plan.copy or plan.rung is None:
        filters = f"filter_units=remove_types={LEFT_OUT},{stamps(late=video.start > 0)}"
        return ["-map", f"0:{video.index}", "-c", "copy", "-bsf:v", filters, *hls("video", KEYFRAME_SECONDS)]
    encoder = commands.video_encoder(plan.rung, threads=threads)
    encoder[encoder.index("-force_key_frames") + 1] = f"expr:{keyframes(plan.rung, resume, video.start)}"
    return ["-map", "[v]", *encoder, "-bsf:v", stamps(late=False), *hls("video", FIRST_SECONDS / 2)]


def stamps(*, late: bool) -> str:
    """The filter that sets the times of the picture's packets.

    The muxer is told how long a packet really lasts: at the end of a segment it would guess, and let the next segment
    begin at the wrong time. With `late`, the first picture is shown from the beginning on, as in the ladder's rungs.
    """
    decoded = r"if(N\,DTS\,min(DTS\,0))" if late else "DTS"
    shown = r"if(N\,PTS\,0)" if late else "PTS"
    lasts = rf"if(eq(NEXT_DTS\,NOPTS)\,DURATION\,NEXT_DTS-{decoded})"
    return f"setts=pts={shown}:dts={decoded}:duration={lasts}"


def keyframes(rung: Rung, resume: float | None, start: float) -> str:
    """When a keyframe is forced: on the ladder's grid of 4 s, and at 1 and 2 s so that playback can begin at once."""
    if rung.keyframe_every and rung.frame_rate:
        # Frames are counted from where this process begins.
        n = f"(n+{round((resume or 0.0) * rung.frame_rate)})"
        early = [round(second * rung.frame_rate) for second in (1, 2)]
        return "+".join([f"not(mod({n},{rung.keyframe_every}))", *(f"eq({n},{frame})" for frame in early)])
    cell = "(floor(({t}+{slack})/{long})+gte({t}+{slack},1)+gte({t}+{slack},2))"
    # ffmpeg counts time from the first frame of this process.
    moments = (f"({t}+{resume or start:.6f})" for t in ("t", "prev_forced_t"))
    now, before = (cell.format(t=t, slack=CLOCK_SLACK, long=KEYFRAME_SECONDS) for t in moments)
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
    # one follows at once, unless there really is a gap. Nor do packets overlap, whatever a damaged clock says.
    ticks, slack = AAC_SAMPLES, round(SOUND_SLACK * plan.sample_rate)
    off = f"(PTS-PREV_OUTPTS-{ticks})"
    steady = rf"if(lt(abs({off})\,{slack})+lt({off}\,-{ticks // 2})\,PREV_OUTPTS+{ticks}\,PTS)"
    clock = rf"setts=time_base=1/{plan.sample_rate}:prescale=1:duration={ticks}:ts=if(N\,{steady}\,PTS)"
    filters = f"aac_adtstoasc,{drop},{clock}"  # the first one takes away the headers that packets of MPEG-TS have
    return ["-map", f"0:{audio.index}", "-c", "copy", "-bsf:a", filters, *hls("sound", KEYFRAME_SECONDS)]


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
        *("-hls_segment_options", OPTIONS, "-hls_fmp4_init_filename", "init.mp4"),
        *("-hls_segment_filename", f"{folder}/%05d.m4s", f"{folder}/list.m3u8"),
    ]
