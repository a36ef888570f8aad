"""Going on with a first rendition that broke off at its very end."""

from itertools import product
from pathlib import Path

from openstage.media.grown import Done, Track
from tests.media.growth import make
from tests.support.fixtures import make_clip


async def test_what_is_there_is_not_missed_however_much_of_each_track_that_is(tmp_path: Path) -> None:
    source = make_clip("mkv", vcodec="hevc", size="160x90")
    whole = await make(source, tmp_path / "whole")
    tracks: tuple[Track, ...] = ("video", "sound")
    for counts in product(*(range(len(whole.segments[track]) + 1) for track in tracks)):
        done = {
            track: Done(count=count, until_us=(last := whole.segments[track][count - 1]).start_us + last.duration_us)
            for track, count in zip(tracks, counts, strict=True)
            if count
        }
        rest = await make(source, tmp_path / "-".join(map(str, counts)), info=whole.info, done=done)
        for track, count in zip(tracks, counts, strict=True):
            expected = [segment.number for segment in whole.segments[track][count:]]
            assert [segment.number for segment in rest.segments.get(track, [])] == expected
