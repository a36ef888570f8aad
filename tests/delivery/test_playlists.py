"""Playlists as RFC 8216 wants them, read by another's parser."""

import m3u8
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openstage.delivery.models import Ladder, Rendition, Segment
from openstage.delivery.offering import of_quality, offered, qualities, quality_of_size
from openstage.delivery.playlists import media_playlist, multivariant_playlist


def rung(
    quality: str,
    width: int,
    height: int,
    bandwidth: int,
    *,
    complete: bool = True,
    grown: bool = False,
    copied: bool = False,
) -> Rendition:
    return Rendition(
        "hls_video", quality, complete, width, height, 30000 / 1001, "avc1.64001f",
        bandwidth, bandwidth // 2, 12_000, 1, f"init-{quality}", grown or not complete, copied,
    )  # fmt: skip


SOUND = Rendition("hls_audio", "a", True, None, None, None, "mp4a.40.2", 135_000, 128_000, 12_000, 1, "init-a")
MP4 = Rendition("mp4", "1", True, 320, 180, 25.0, "avc1.64000d", 200_000, 190_000, 12_000, 1, "mp4-1")
LADDER = [rung("2", 640, 360, 800_000), MP4, SOUND, rung("96", 320, 180, 200_000), rung("4", 1280, 720, 2_500_000)]


def address(rendition: Rendition) -> str:
    return f"/media/token/slug/hls/{rendition.name}.m3u8"


def parse(renditions: list[Rendition]) -> m3u8.M3U8:
    return m3u8.loads(multivariant_playlist(offered(Ladder(renditions)), address))


def test_the_master_lists_every_rung_with_what_it_takes_to_play_it() -> None:
    text = multivariant_playlist(offered(Ladder(LADDER)), address)
    master = m3u8.loads(text)
    assert text.startswith("#EXTM3U\n#EXT-X-VERSION:7\n")
    assert master.is_independent_segments
    assert master.is_variant
    infos = [p.stream_info for p in master.playlists]
    assert [i.resolution for i in infos] == [(320, 180), (640, 360), (1280, 720)]
    assert [i.bandwidth for i in infos] == [335_000, 935_000, 2_635_000]
    assert [i.average_bandwidth for i in infos] == [228_000, 528_000, 1_378_000]
    assert {i.codecs for i in infos} == {"avc1.64001f,mp4a.40.2"}
    assert {i.frame_rate for i in infos} == {29.970}
    assert {i.audio for i in infos} == {"sound"}
    assert [p.uri for p in master.playlists] == [address(LADDER[n]) for n in (3, 0, 4)]
    (sound,) = master.media
    assert (sound.type, sound.group_id, sound.default, sound.autoselect) == ("AUDIO", "sound", "YES", "YES")
    assert sound.uri == address(SOUND)


def test_pictures_without_sound_have_no_sound_group() -> None:
    master = parse([rung("2", 640, 360, 800_000)])
    assert master.media == []
    assert master.playlists[0].stream_info.audio is None
    assert master.playlists[0].stream_info.codecs == "avc1.64001f"


def test_sound_without_pictures_is_a_variant_of_its_own() -> None:
    master = parse([SOUND, MP4])
    assert len(master.media) == 0
    (only,) = master.playlists
    assert only.stream_info.codecs == "mp4a.40.2"
    assert only.stream_info.resolution is None
    assert only.uri == address(SOUND)


def test_a_rung_that_grows_is_listed_only_while_nothing_is_whole() -> None:
    growing = rung("96", 320, 180, 200_000, complete=False)
    assert len(parse([growing, SOUND]).playlists) == 1
    assert [p.uri for p in parse([growing, LADDER[0]]).playlists] == [address(LADDER[0])]


def test_the_playlist_of_a_quality_holds_that_rung_and_the_sound() -> None:
    ladder = Ladder(LADDER, {"5": "4"})
    assert of_quality(ladder, "4") == [LADDER[4], SOUND]
    assert of_quality(ladder, "5") == [LADDER[4], SOUND]
    assert of_quality(ladder, "3") == []
    assert of_quality(ladder, "a") == []
    assert qualities(ladder) == ["96", "2", "4", "5"]


@pytest.mark.parametrize(
    ("size", "quality"),
    [((320, 180), "96"), ((160, 90), "96"), ((1920, 1080), "5"), ((1080, 1920), "5"), ((1280, 720), "4"),
     ((1920, 800), "5"), ((1280, 760), "4"), ((3840, 2160), "5"), ((640, 361), "2")],
)  # fmt: skip
def test_a_source_has_the_quality_that_the_ladder_would_give_its_size(size: tuple[int, int], quality: str) -> None:
    assert quality_of_size(rung("s", *size, 1)) == quality


def test_a_rendition_made_anew_has_a_new_name() -> None:
    one = rung("2", 640, 360, 800_000)
    assert one.name.startswith("2-")
    assert one.name != rung("3", 640, 360, 800_000).name


@given(st.lists(st.integers(1, 18_000_000), max_size=50), st.booleans(), st.booleans(), st.booleans())
def test_media_playlists_hold_what_the_rfc_demands(
    durations: list[int], complete: bool, grown: bool, copied: bool
) -> None:
    rendition = rung("2", 640, 360, 800_000, complete=complete, grown=grown, copied=copied)
    segments = [Segment(number, duration) for number, duration in enumerate(durations)]
    playlist = m3u8.loads(media_playlist(rendition, segments, f"{rendition.name}/"))
    assert playlist.version == 7
    assert playlist.media_sequence == 0
    assert playlist.is_independent_segments
    assert playlist.is_endlist is complete
    assert playlist.playlist_type == ("event" if grown or not complete else "vod")
    assert (playlist.start is not None) is rendition.grown
    assert playlist.segment_map[0].uri == f"{rendition.name}/init.mp4"
    assert [s.uri for s in playlist.segments] == [f"{rendition.name}/{n:05}.m4s" for n in range(len(durations))]
    assert [round(s.duration * 1_000_000) for s in playlist.segments] == durations
    # RFC 8216, 4.3.3.1: no duration, rounded, may be longer than it; 6.2.1: it doesn't change.
    promised = 15 if copied else 4
    assert playlist.target_duration >= max([promised, *(round(s.duration) for s in playlist.segments)])
    if max(durations, default=0) < promised * 1_000_000 + 500_000:
        assert playlist.target_duration == promised
