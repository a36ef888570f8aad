"""What encodes is what works here; on machines without such hardware, a program in ffmpeg's place stands for it."""

import logging
import shutil
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from openstage.media import encoders
from openstage.media.chunks import LadderPlan, Work, chunk_arguments, make_chunk, plan_ladder
from openstage.media.commands import Source, Window
from openstage.media.complexity import Complexity
from openstage.media.encoders import TRIAL_RUNG, Encoder, Nvenc, Qsv, Software, Vaapi, choose_encoder, trial_arguments
from openstage.media.errors import EncoderLost
from openstage.media.first import FirstPlan
from openstage.media.models import MediaInfo
from openstage.media.sandbox import Limits, run
from openstage.settings import EncoderChoice, Settings
from tests.media.support import SETTINGS
from tests.media.test_chunks import medium
from tests.support.fixtures import ffmpeg, make_clip

NODE = Path("/dev/dri/renderD128")
# Writes what x264 has made to every MP4 it is told to write, if it may encode by `works`; else it complains.
PROGRAM = """
#include <stdio.h>
#include <string.h>
static const unsigned char piece[] = { PIECE };
int main(int count, char **words) {
    int i, can = 0;
    for (i = 1; i < count; i++) if (!strcmp(words[i], "WORKS")) can = 1;
    if (!can) { fprintf(stderr, "Cannot open the device\\n"); return 1; }
    for (i = 1; i < count; i++) {
        size_t length = strlen(words[i]);
        if (length < 4 || strcmp(words[i] + length - 4, ".mp4") || !strncmp(words[i], "file:", 5)) continue;
        FILE *file = fopen(words[i], "wb");
        fwrite(piece, 1, sizeof piece, file);
        fclose(file);
    }
    return 0;
}
"""


def machine(folder: Path, works: str, choice: EncoderChoice = "auto") -> Settings:
    """Settings with a program in ffmpeg's place that encodes by one encoder only."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    subprocess.run(
        trial_arguments(Path(ffmpeg()), Software(), "piece.mp4"), cwd=folder, check=True, capture_output=True
    )
    content = ",".join(map(str, (folder / "piece.mp4").read_bytes()))
    source, program = folder / "program.c", folder / f"ffmpeg-{works}"
    source.write_text(PROGRAM.replace("PIECE", content).replace("WORKS", works))
    subprocess.run([compiler, str(source), "-o", str(program)], check=True)
    return SETTINGS.model_copy(update={"ffmpeg": str(program), "encoder": choice})


@pytest.fixture
def hardware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of /dev with an NVIDIA card and a render node."""
    devices = tmp_path / "dev"
    (devices / "dri").mkdir(parents=True)
    (devices / "nvidia0").touch()
    (devices / "dri" / "renderD128").touch()
    monkeypatch.setattr(encoders, "DEVICES", devices)
    return devices


@pytest.mark.parametrize(
    ("works", "choice", "chosen"),
    [
        ("h264_nvenc", "auto", "nvenc"),
        ("h264_qsv", "auto", "qsv"),
        ("h264_vaapi", "auto", "vaapi"),
        ("h264_vaapi", "nvenc", "software"),
        ("h264_vaapi", "software", "software"),
        ("libx264", "auto", "software"),
    ],
)
@pytest.mark.usefixtures("hardware")
async def test_what_works_is_chosen(works: str, choice: EncoderChoice, chosen: str, tmp_path: Path) -> None:
    assert await choose_encoder(machine(tmp_path, works, choice)) == chosen


async def test_falling_back_is_told_in_the_log(
    hardware: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert await choose_encoder(machine(tmp_path, "libx264", "vaapi")) == "software"
    (record,) = [it for it in caplog.records if it.name == "openstage.media.encoders"]
    assert record.levelno == logging.WARNING
    assert "vaapi can't encode here, software does instead: Cannot open the device" in record.getMessage()
    shutil.rmtree(hardware / "dri")
    assert await choose_encoder(machine(tmp_path, "none", "qsv")) == "software"
    assert "there is no device" in caplog.text


async def test_software_passes_the_trial() -> None:
    assert await encoders.trial(Software(), SETTINGS) == ""


@pytest.mark.usefixtures("hardware")
async def test_chunks_are_encoded_by_the_plan_s_encoder(tmp_path: Path) -> None:
    settings = machine(tmp_path, "h264_nvenc")
    source, info = make_clip(), medium(2.0, width=640, height=360)
    plan = plan_ladder(info, FirstPlan(), settings, Complexity(encoder="nvenc"))
    assert plan.encoder == "nvenc"
    one_rung = replace(plan, rungs=plan.rungs[-1:], mp4s=())
    folder = tmp_path / "chunk"
    folder.mkdir()
    chunk = await make_chunk(source, info, one_rung, 0, folder, settings)
    assert chunk.rungs[0].frames == 12
    # The card is gone by now.
    await lost(source, info, one_rung, machine(tmp_path, "h264_qsv"), tmp_path / "lost")


async def lost(source: Path, info: MediaInfo, plan: LadderPlan, settings: Settings, folder: Path) -> None:
    """The encoder fails; that isn't laid at the file's door, and planning for software is all it takes."""
    folder.mkdir()
    with pytest.raises(EncoderLost, match="nvenc failed"):
        await make_chunk(source, info, plan, 0, folder, settings)
    again = settings.model_copy(update={"encoder": "software"})
    assert plan_ladder(info, FirstPlan(), again, Complexity(encoder="nvenc")).encoder == "software"


@pytest.mark.parametrize("encoder", [Nvenc(), Vaapi((NODE,)), Qsv((NODE,))])
def test_hardware_is_told_what_software_is_told(encoder: Encoder) -> None:
    """Keyframes, caps, and all that headers depend on: then those of all chunks are alike."""
    made = encoder.arguments(TRIAL_RUNG)
    options = dict(zip(made[::2], made[1::2], strict=True))
    assert options["-maxrate"] == "700000"
    assert options["-bufsize"] == "1050000"
    assert options["-profile:v"] == "main"
    assert options["-level"] == TRIAL_RUNG.level == "3"
    assert options["-force_key_frames"] == "expr:not(mod(n,6))"
    assert options["-enc_time_base"] == "1:90000"
    limited = encoder.arguments(TRIAL_RUNG, rate=200_000, seconds=9.5)
    assert limited[limited.index("-maxrate") + 1] == "190000"


def test_frames_are_handed_over_where_the_encoder_is() -> None:
    info = medium(10.0, width=640, height=360)
    plan = plan_ladder(info, FirstPlan(), SETTINGS, None)
    work = Work(Source.of(Path("/film"), info), plan, 0, Window(0.0, None, None), Vaapi((NODE,)))
    made = chunk_arguments(work, SETTINGS)
    assert made.index("-init_hw_device") < made.index("-i")
    assert "[hls2]format=nv12,hwupload[hls2x]" in made[made.index("-filter_complex") + 1]
    assert made.count("[hls2x]") == 1


async def test_devices_are_opened_only_for_those_who_need_them(tmp_path: Path) -> None:
    device = tmp_path / "device"
    device.write_text("here")
    command, limits = ["/bin/cat", str(device)], Limits(seconds=20, cpu_seconds=5)
    assert (await run(command, limits=limits, devices=[device])).stdout == b"here"
    assert (await run(command, limits=limits)).status != 0
    assert Software().devices == ()
