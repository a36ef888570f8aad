"""What encodes the rungs: x264, or the hardware of the machine behind the same few questions.

A chunk is decoded, scaled and tone-mapped in software whatever encodes it, so that all encoders get the same frames.
Every encoder is told its profile, level and reference frames, so that the chunks of a rung have the same
initialisation section; which one is used is found out by a trial and noted in the plan of the ladder.
"""

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from openstage.media import commands
from openstage.media.errors import ScratchFull, TookTooLong, ToolKilled, ToolMissing, Unplayable
from openstage.media.fragments import Piece, read_piece
from openstage.media.ladder import Rung
from openstage.media.sandbox import Limits, run
from openstage.media.tools import find_ffmpeg
from openstage.settings import Settings

log = logging.getLogger(__name__)

EncoderName = Literal["software", "nvenc", "vaapi", "qsv"]
TRYING = Limits(seconds=60, cpu_seconds=30)
TRIAL_FRAMES = 12
TRIAL_RUNG = Rung(
    quality="trial", width=640, height=360, rate=(25, 1), keyframe_every=6, crf=24, max_rate=700_000, buffer=1_050_000
)
DEVICES = Path("/dev")
# What drivers read about their devices, beside the devices themselves.
NVIDIA = (
    *("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset", "/dev/nvidia-caps"),
    *("/proc/driver/nvidia", "/proc/devices", "/sys/bus/pci/devices", "/sys/devices"),
)
RENDERING = ("/sys/dev/char", "/sys/class/drm", "/sys/devices")


class Encoder(Protocol):
    """One way to encode a rung."""

    @property
    def name(self) -> EncoderName:
        """As in the setting and in plans."""
        ...

    @property
    def devices(self) -> tuple[Path, ...]:
        """What the sandbox has to open for it; empty without hardware."""
        ...

    def opening(self) -> list[str]:
        """Arguments of ffmpeg before its inputs: the device."""
        ...

    def handing_over(self) -> str:
        """Filters that bring a frame to where the encoder takes it; empty: it takes it from memory."""
        ...

    def arguments(self, rung: Rung, *, rate: int | None = None, seconds: float = 0.0, threads: int = 0) -> list[str]:
        """Arguments of ffmpeg for a rung; parameters as in `commands.video_encoder`."""
        ...


@dataclass(frozen=True, slots=True)
class Software:
    """x264."""

    name: EncoderName = "software"
    devices: tuple[Path, ...] = ()

    def opening(self) -> list[str]:
        """Nothing."""
        return []

    def handing_over(self) -> str:
        """Nothing."""
        return ""

    def arguments(self, rung: Rung, *, rate: int | None = None, seconds: float = 0.0, threads: int = 0) -> list[str]:
        """Capped constant quality."""
        return commands.video_encoder(rung, rate=rate, seconds=seconds, threads=threads)


@dataclass(frozen=True, slots=True)
class Nvenc:
    """NVIDIA's encoder; takes frames from memory by itself."""

    devices: tuple[Path, ...] = ()
    name: EncoderName = "nvenc"

    def opening(self) -> list[str]:
        """Nothing: the first GPU that can do it is taken."""
        return []

    def handing_over(self) -> str:
        """Nothing."""
        return ""

    def arguments(self, rung: Rung, *, rate: int | None = None, seconds: float = 0.0, threads: int = 0) -> list[str]:
        """Variable rate with a target of quality and a cap."""
        quality = ["-rc", "vbr", "-cq", str(rung.crf + 4), "-b:v", "0", "-spatial-aq", "1"]
        return [
            *("-c:v", "h264_nvenc", "-preset", "p5", "-tune", "hq", "-pix_fmt", "yuv420p"),
            *(*_limits(rung, rate, seconds), *quality, "-rc-lookahead", "16", "-no-scenecut", "1", "-forced-idr", "1"),
            *("-bf", "2", "-b_ref_mode", "disabled", "-refs", "3", *_common(rung)),
        ]


@dataclass(frozen=True, slots=True)
class Vaapi:
    """The encoder of Intel's and AMD's graphics, by way of the render node."""

    devices: tuple[Path, ...] = ()
    name: EncoderName = "vaapi"

    def opening(self) -> list[str]:
        """The render node."""
        return ["-init_hw_device", f"vaapi=hardware:{self.devices[0]}", "-filter_hw_device", "hardware"]

    def handing_over(self) -> str:
        """Into the memory of the graphics processor."""
        return "format=nv12,hwupload"

    def arguments(self, rung: Rung, *, rate: int | None = None, seconds: float = 0.0, threads: int = 0) -> list[str]:
        """Variable rate with a target of quality and a cap; `sei`: nothing that tells who encoded it."""
        limits = _limits(rung, rate, seconds)
        quality = ["-rc_mode", "QVBR", "-global_quality", str(rung.crf + 1), "-b:v", limits[1]]
        return ["-c:v", "h264_vaapi", *limits, *quality, "-sei", "0", "-bf", "2", *_common(rung)]


@dataclass(frozen=True, slots=True)
class Qsv:
    """Intel's encoder by way of its own library."""

    devices: tuple[Path, ...] = ()
    name: EncoderName = "qsv"

    def opening(self) -> list[str]:
        """The device."""
        return ["-init_hw_device", f"qsv=hardware,child_device={self.devices[0]}", "-filter_hw_device", "hardware"]

    def handing_over(self) -> str:
        """It takes frames from memory, in another order of bytes."""
        return "format=nv12"

    def arguments(self, rung: Rung, *, rate: int | None = None, seconds: float = 0.0, threads: int = 0) -> list[str]:
        """Constant quality with a cap."""
        quality = ["-global_quality", str(rung.crf + 1), "-preset", "medium", "-forced_idr", "1", "-idr_interval", "0"]
        return ["-c:v", "h264_qsv", *_limits(rung, rate, seconds), *quality, "-bf", "2", "-refs", "3", *_common(rung)]


def _limits(rung: Rung, rate: int | None, seconds: float) -> list[str]:
    """Cap and buffer; of files with a limit in all, as `commands.video_encoder` has them."""
    if rate is None:
        return ["-maxrate", str(rung.max_rate), "-bufsize", str(rung.buffer)]
    most = commands.most_rate(rate, seconds)
    return ["-maxrate", str(most), "-bufsize", str(most)]


def _common(rung: Rung) -> list[str]:
    """What holds for all hardware: keyframes where the grid has them, profile and level as the rung says."""
    profile = "high" if rung.short_side >= 720 else "main"
    return ["-profile:v", profile, "-level", rung.level, *commands.keyframes(rung)]


def encoder_named(name: EncoderName) -> Encoder:
    """The encoder of a plan, with the devices that this machine has for it."""
    if name == "nvenc":
        return Nvenc(_existing(sorted(map(str, DEVICES.glob("nvidia[0-9]*"))), NVIDIA))
    if name in {"vaapi", "qsv"}:
        devices = _existing(sorted(map(str, DEVICES.glob("dri/renderD*"))), RENDERING)
        return Vaapi(devices) if name == "vaapi" else Qsv(devices)
    return Software()


def _existing(main: Sequence[str], beside: Sequence[str]) -> tuple[Path, ...]:
    """The devices, and what goes with them; nothing if there is no device."""
    return tuple(path for path in map(Path, (*main, *beside)) if path.exists()) if main else ()


_chosen: dict[tuple[str, str], EncoderName] = {}


async def choose_encoder(settings: Settings) -> EncoderName:
    """What encodes on this machine: what the setting `encoder` names if it works, else software.

    Found out once per process, by encoding a few frames in the sandbox.

    Raises:
        ToolMissing: there is no ffmpeg here.

    """
    if settings.encoder == "software":
        return "software"
    key = (str(find_ffmpeg(settings)), settings.encoder)
    if key not in _chosen:
        _chosen[key] = await _choose(settings)
    return _chosen[key]


async def _choose(settings: Settings) -> EncoderName:
    wanted: tuple[EncoderName, ...] = ("nvenc", "qsv", "vaapi")
    if settings.encoder not in {"auto", "software"}:
        wanted = tuple(name for name in wanted if name == settings.encoder)
    for name in wanted:
        encoder = encoder_named(name)
        trouble = await trial(encoder, settings) if encoder.devices else "there is no device"
        if not trouble:
            log.info("the ladder is encoded by %s", name)
            return name
        told = logging.WARNING if settings.encoder == name else logging.INFO
        if encoder.devices or settings.encoder == name:
            log.log(told, "%s can't encode here, software does instead: %s", name, trouble)
    return "software"


async def trial(encoder: Encoder, settings: Settings) -> str:
    """Encode a few frames twice; what is wrong with the outcome, or nothing.

    Raises:
        ToolMissing: there is no ffmpeg here.

    """
    program = find_ffmpeg(settings)
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="encoder-"))
    try:
        pieces: list[Piece] = []
        for name in ("one.mp4", "two.mp4"):
            finished = await run(
                trial_arguments(program, encoder, name), limits=TRYING, writable=folder, devices=encoder.devices
            )
            if finished.status:
                return finished.stderr[-300:] or f"exit status {finished.status}"
            piece = await asyncio.to_thread(read_piece, folder / name)
            if piece is None:
                return "nothing came out"
            pieces.append(piece)
    except (Unplayable, TookTooLong, ScratchFull, ToolKilled, ToolMissing) as error:
        return error.message
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    expected = [TRIAL_RUNG.keyframe_every] * (TRIAL_FRAMES // (TRIAL_RUNG.keyframe_every or 1))
    if [len(group.samples) for group in pieces[0].groups] != expected:
        return "its keyframes aren't where they should be"
    return "" if pieces[0].init == pieces[1].init else "it writes another header each time"


def trial_arguments(program: Path, encoder: Encoder, target: str) -> list[str]:
    """The ffmpeg command that encodes a few synthetic frames."""
    size = f"{TRIAL_RUNG.width}x{TRIAL_RUNG.height}"
    picture = ",".join([f"testsrc2=size={size}:rate=25", "format=yuv420p", *filter(None, [encoder.handing_over()])])
    return [
        *commands.base_arguments(program, 1),
        *encoder.opening(),
        *("-f", "lavfi", "-i", picture, "-frames:v", str(TRIAL_FRAMES)),
        *encoder.arguments(TRIAL_RUNG, threads=1),
        *commands.piece_output(target),
    ]
