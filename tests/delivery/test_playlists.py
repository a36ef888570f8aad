"""Playlists as RFC 8216 wants them, read by another's parser."""

import m3u8
from hypothesis import given
from hypothesis import strategies as st

from openstage.delivery.models import Rendition, Segment
from openstage.delivery.playlists import media_playlist, multivariant_playlist, of_quality


def rung(quality: str, width: int, height: int, bandwidth: int, *, complete: bool = True) -> Rendition:
    return Rendition(
        "hls_video", quality, complete, width, height, 30000 / 1001, "avc1.64001f",
        bandwidth, bandwidth // 2, 12_000, 1, f"init-{quality}",
    )  # fmt: skip


SOUND = Rendition("hls_audio", "a", True, None, None, None, "mp4a.40.2", 135_000, 128_000, 12_000, 1, "init-a")
MP4 = Rendition("mp4", "1", True, 320, 180, 25.0, "avc1.64000d", 200_000, 190_000, 12_000, 1, "mp4-1")
LADDER = [rung("2", 640, 360, 800_000), MP4, SOUND, rung("96", 320, 180, 200_000), rung("4", 1280, 720, 2_500_000)]


def address(rendition: Rendition) -> str:
    return f"/media/token/slug/hls/{rendition.name}.m3u8"


def parse(renditions: list[Rendition]) -> m3u8.M3U8:
    return m3u8.loads(multivariant_playlist(renditions, address))


def test_the_master_lists_every_rung_with_what_it_takes_to_play_it() -> None:
    text = multivariant_playlist(LADDER, address)
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
    assert of_quality(LADDER, "4") == [LADDER[4], SOUND]
    assert of_quality(LADDER, "5") == []
    assert of_quality(LADDER, "a") == []


def test_a_rendition_made_anew_has_a_new_name() -> None:
    one = rung("2", 640, 360, 800_000)
    assert one.name.startswith("2-")
    assert one.name != rung("3", 640, 360, 800_000).name


@given(st.lists(st.integers(1, 12_000_000), max_size=50), st.booleans())
def test_media_playlists_hold_what_the_rfc_demands(durations: list[int], complete: bool) -> None:
    rendition = rung("2", 640, 360, 800_000, complete=complete)
    segments = [Segment(number, duration) for number, duration in enumerate(durations)]
    playlist = m3u8.loads(media_playlist(rendition, segments, f"{rendition.name}/"))
    assert playlist.version == 7
    assert playlist.media_sequence == 0
    assert playlist.is_independent_segments
    assert playlist.is_endlist is complete
    assert playlist.playlist_type == ("vod" if complete else "event")
    assert playlist.segment_map[0].uri == f"{rendition.name}/init.mp4"
    assert [s.uri for s in playlist.segments] == [f"{rendition.name}/{n:05}.m4s" for n in range(len(durations))]
    assert [round(s.duration * 1_000_000) for s in playlist.segments] == durations
    # RFC 8216, 4.3.3.1: no duration, rounded, may be longer than it; it is a positive integer.
    assert playlist.target_duration >= max([1, *(round(s.duration) for s in playlist.segments)])
    assert playlist.target_duration <= max(durations, default=0) // 1_000_000 + 1
