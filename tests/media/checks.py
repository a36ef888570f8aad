"""What holds for the renditions of any source."""

from itertools import pairwise
from pathlib import Path

import pytest

from openstage.media.commands import MP4_LIMIT, PAD_SECONDS
from tests.media.support import Made, assert_decodes, decode_picture, whole


def check(made: Made, tolerance: float = 0.1) -> None:
    """What holds for all renditions of any source."""
    for rendition in made.renditions:
        path = whole(rendition)
        assert_decodes(path)
        assert rendition.byte_size == sum(
            Path(it).stat().st_size for it in ([rendition.path, *(segment.path for segment in rendition.segments)])
        )
        assert abs(rendition.duration_ms / 1000 - expected_duration(made, rendition.kind)) <= tolerance, rendition
        assert rendition.bandwidth >= rendition.average_bandwidth > 0
        assert "mp4a.40.2" in rendition.codecs or not made.info.audio or rendition.kind in {"hls_video", "mp3"}
    for rendition in made.of("mp4"):
        assert rendition.average_bandwidth <= MP4_LIMIT[rendition.quality] or rendition.byte_size < 4096, rendition
    check_hls(made)
    assert list(made.percents) == sorted(made.percents)
    assert made.percents[-1] == 100


def expected_duration(made: Made, kind: str) -> float:
    """Seconds that a rendition lasts: a track that ends well before the other is filled up."""
    video, audio = made.info.main_video, made.info.main_audio
    if kind == "hls_video" and video:
        end = audio.start + audio.duration if audio else 0.0
        seen = video.start + video.duration
        return max(video.duration, end - video.start) if end - seen > PAD_SECONDS else video.duration
    if kind == "hls_audio" and audio:
        return max(audio.start + audio.duration, (video.start + video.duration) if video else 0)
    return made.info.duration


def check_hls(made: Made) -> None:
    """What holds for HLS renditions: segments without gaps, keyframes that are aligned over all rungs."""
    grids = []
    for rendition in made.of("hls_video"):
        decoded = decode_picture(whole(rendition))
        assert decoded.size == (rendition.width, rendition.height)
        assert (decoded.size[0] % 2, decoded.size[1] % 2) == (0, 0)
        assert (decoded.pixel_format, decoded.colours) == ("yuv420p", (1, 1, 1))  # BT.709
        assert decoded.times == sorted(set(decoded.times))
        starts = [segment.start_us / 1e6 for segment in rendition.segments]
        assert decoded.keyframes == pytest.approx(starts, abs=0.001)
        grids.append(starts)
        for before, after in pairwise(rendition.segments):
            assert before.start_us + before.duration_us == after.start_us
            assert before.duration_us == pytest.approx(4_000_000, abs=100_000)
        assert rendition.codecs.startswith("avc1.")
    for grid in grids:
        assert grid == pytest.approx(grids[0], abs=0.0001)
