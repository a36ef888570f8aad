"""Which ffmpeg is used, and what doctor is told about it."""

from pathlib import Path

import pytest

from openstage.media.errors import ToolMissing
from openstage.media.tools import REQUIRED_ENCODERS, ffmpeg_encoders, ffmpeg_version, find_ffmpeg
from openstage.settings import Settings
from tests.support.fixtures import ffmpeg


async def test_our_own_ffmpeg_has_what_is_needed() -> None:
    assert find_ffmpeg(Settings()) == Path(ffmpeg())
    assert set(REQUIRED_ENCODERS) <= await ffmpeg_encoders(Settings())
    assert await ffmpeg_version(Settings())


async def test_the_operators_ffmpeg_goes_first(tmp_path: Path) -> None:
    link = tmp_path / "my ffmpeg"
    link.symlink_to(ffmpeg())
    settings = Settings(ffmpeg=str(link))
    assert find_ffmpeg(settings) == link
    assert await ffmpeg_version(settings) == await ffmpeg_version(Settings())


async def test_what_is_wrong_with_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(ToolMissing, match="no program '/nowhere/ffmpeg'"):
        find_ffmpeg(Settings(ffmpeg="/nowhere/ffmpeg"))
    with pytest.raises(ToolMissing):
        await ffmpeg_version(Settings(ffmpeg="/bin/true"))
    broken = tmp_path / "ffmpeg"
    broken.write_bytes(b"\x7fELF nonsense")
    broken.chmod(0o755)
    with pytest.raises(ToolMissing):
        await ffmpeg_version(Settings(ffmpeg=str(broken)))
