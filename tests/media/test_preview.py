"""A preview is the part that was asked for, of that length, and fades."""

from pathlib import Path

import av
import pytest

from openstage.media.errors import Unplayable
from openstage.media.preview import make_preview
from openstage.media.probe import probe
from tests.media.support import SETTINGS, assert_decodes, beeps, sound_levels
from tests.support.fixtures import make_clip


@pytest.mark.parametrize(("container", "codec"), [("flac", "flac"), ("mp3", "mp3"), ("mp4", "aac")])
async def test_the_part_that_was_asked_for(container: str, codec: str, tmp_path: Path) -> None:
    picture = "h264" if container == "mp4" else None
    source = make_clip(container, picture, codec, duration=6.0, pattern="sync")
    info = await probe(source, SETTINGS)
    made = await make_preview(source, info, tmp_path, SETTINGS, start=1.5, length=3, bit_rate=64_000, fade_out=0)
    assert_decodes(Path(made.path))
    assert (made.kind, made.quality, made.codecs, made.duration_ms) == ("mp3", "preview", "mp4a.40.34", 3000)
    assert made.byte_size == pytest.approx(64_000 / 8 * 3, rel=0.1)
    with av.open(made.path) as container_:
        assert sum(frame.samples for frame in container_.decode(audio=0)) == 3 * 44100
    assert beeps(Path(made.path)) == pytest.approx([0.5, 1.5, 2.5], abs=0.03)


async def test_it_fades_in_and_out(tmp_path: Path) -> None:
    source = make_clip("flac", None, "flac", duration=6.0)
    info = await probe(source, SETTINGS)
    made = await make_preview(source, info, tmp_path, SETTINGS, start=1, length=4, fade_in=1, fade_out=2)
    levels = sound_levels(Path(made.path), 0.5)[:8]
    assert levels[0] < 0.6 * max(levels)
    assert levels[2] == pytest.approx(levels[3], rel=0.05)
    assert levels[4] > levels[5] > levels[6] > levels[7]
    assert levels[7] < 0.3 * max(levels)


async def test_at_the_end_it_is_shorter_and_behind_it_there_is_none(tmp_path: Path) -> None:
    source = make_clip("flac", None, "flac", duration=2.0)
    info = await probe(source, SETTINGS)
    made = await make_preview(source, info, tmp_path, SETTINGS, start=1.5, length=30)
    assert made.duration_ms == 500
    for start, length in ((2.0, 1), (-1, 1), (0, 0)):
        with pytest.raises(Unplayable):
            await make_preview(source, info, tmp_path, SETTINGS, start=start, length=length)
