"""A work that plays while it is being made: rows come in, and players see what is there, and nothing half made."""

from collections.abc import AsyncIterator
from urllib.parse import urljoin

import m3u8
import pytest

from openstage.database.engine import Database
from openstage.settings import Settings
from tests.delivery.stage import FILE_ID, SLUG, Stage, staged


@pytest.fixture
async def growing(settings: Settings, database: Database) -> AsyncIterator[Stage]:
    """A work just offered: one low rung and the sound grow, one segment each."""
    async with staged(settings, database) as made:
        await made.work()
        await made.plan({"first": {"video": {"quality": "2", "copy": False}, "sound": {"copy": False}}})
        await made.hls("2", count=1, complete=False)
        await made.hls("a", count=1, complete=False)
        yield made


async def fetch(stage: Stage, address: str) -> tuple[str, m3u8.M3U8]:
    reply = await stage.client.get(urljoin(stage.address, address))
    assert reply.status_code == 200
    assert reply.headers["cache-control"] == "private, no-store"
    return reply.text, m3u8.loads(reply.text, uri=str(reply.url))


async def rungs(stage: Stage, resource: str = "master.m3u8") -> list[str]:
    """Short sides of what a playlist offers."""
    _, top = await fetch(stage, stage.media(resource))
    return [str(playlist.stream_info.resolution[1]) for playlist in top.playlists]


async def test_a_growing_playlist_only_gets_longer_and_then_ends(growing: Stage) -> None:
    _, top = await fetch(growing, growing.addresses.master(SLUG))
    for address, quality in ((top.playlists[0].absolute_uri, "2"), (top.media[0].absolute_uri, "a")):
        seen, parsed = await fetch(growing, address)
        assert (parsed.playlist_type, parsed.is_endlist, parsed.target_duration) == ("event", False, 4)
        assert parsed.start.time_offset == 0
        assert parsed.start.precise == "YES"
        for step in range(3):
            await growing.grow(quality, complete=step == 2)
            text, parsed = await fetch(growing, address)
            assert text.startswith(seen), "lines are added at the end, and none is changed (RFC 8216, 6.2.1)"
            seen = text
        assert len(parsed.segments) == 3
        assert parsed.is_endlist
        assert (await growing.client.get(parsed.segments[2].absolute_uri)).status_code == 200


async def test_rungs_appear_when_they_are_whole_and_what_grows_is_all_there_is_before(growing: Stage) -> None:
    assert await rungs(growing) == ["360"]
    assert list((await growing.addresses.urllist(SLUG))["m3u8"]) == ["2"]
    await growing.hls("1", complete=False)
    await growing.hls("4")
    assert await rungs(growing) == ["720"], "a rung that grows is not offered beside a whole one"
    assert list((await growing.addresses.urllist(SLUG))["m3u8"]) == ["4"]
    assert await rungs(growing, "2.m3u8") == ["360"], "an address that was given out goes on"
    await growing.grow("2", complete=True)
    assert await rungs(growing) == ["360", "720"]
    assert sorted((await growing.addresses.urllist(SLUG))["m3u8"]) == ["2", "4"]


async def test_a_source_too_fat_for_the_ladder_stands_in_until_a_rung_is_whole(
    settings: Settings, database: Database
) -> None:
    async with staged(settings, database) as stage:
        await stage.work()
        await stage.plan({"first": {"video": {"quality": "s", "copy": True}, "sound": {"copy": True}}})
        await stage.hls("s", complete=False)
        await stage.hls("a", complete=False)
        assert list((await stage.addresses.urllist(SLUG))["m3u8"]) == ["4"], "under the quality of its size"
        _, top = await fetch(stage, stage.media("4.m3u8"))
        assert top.playlists[0].stream_info.codecs == "avc1.64001f,mp4a.40.2"
        playing = top.playlists[0].absolute_uri
        for address in (playing, top.media[0].absolute_uri):
            # The same for all renditions of a work (RFC 8216, 6.2.4); native players wait that long to look again.
            assert (await fetch(stage, address))[1].target_duration == 15
        await stage.grow("s", complete=True)
        await stage.grow("a", complete=True)
        assert await rungs(stage) == ["720"]
        await stage.hls("2")
        await stage.hls("4")
        assert await rungs(stage) == ["360", "720"]
        _, top = await fetch(stage, stage.media("4.m3u8"))
        assert top.playlists[0].absolute_uri != playing
        await stage.sql("update rendition set retired_at = now() where quality = 's'")
        assert await rungs(stage) == ["360", "720"]
        assert len((await fetch(stage, playing))[1].segments) == 3, "who plays it goes on"


async def test_a_quality_that_was_left_out_leads_to_the_one_that_stands_for_it(stage: Stage) -> None:
    await stage.plan({"ladder": {"stands_for": {"1": "96", "5": "4"}}})
    found = (await stage.addresses.urllist(SLUG))["m3u8"]
    assert sorted(found) == ["1", "2", "96"]
    assert await rungs(stage, "1.m3u8") == ["180"]
    assert (await stage.client.get(stage.media("5.m3u8"))).status_code == 404


async def test_a_rerun_is_invisible_until_it_takes_force(stage: Stage) -> None:
    before = await stage.addresses.urllist(SLUG)
    await stage.hls("4", run="run2")
    await stage.hls("1", run="run2", complete=False)
    await stage.mp4("1", 50, run="run2")
    await stage.picture("img", run="run2")
    await stage.picture("thumbnail", run="run2")
    await stage.storyboard("run2")
    assert await rungs(stage) == ["180", "360"]
    after = await stage.addresses.urllist(SLUG)
    assert {form: sorted(found) for form, found in after.items()} == {
        form: sorted(found) for form, found in before.items()
    }
    assert len((await stage.client.get(after["mp4"]["1"])).content) == 100_000
    assert (await stage.client.get(stage.addresses.picture(SLUG, "thumbnail"))).status_code == 404
    assert (await stage.client.get(stage.addresses.storyboard(SLUG))).status_code == 404
    await stage.sql("update work set run = 'run2'")
    assert await rungs(stage) == ["720"]
    assert len((await stage.client.get(after["mp4"]["1"])).content) == 50
    assert (await stage.client.get(stage.addresses.storyboard(SLUG))).status_code == 200


async def test_sound_alone_plays_as_it_grows_and_can_be_had_as_mp3(settings: Settings, database: Database) -> None:
    async with staged(settings, database) as stage:
        await stage.work()
        await stage.hls("a", count=1, complete=False)
        assert (await stage.addresses.urllist(SLUG)).keys() == {"mp4", "m3u8"}
        _, top = await fetch(stage, (await stage.addresses.urllist(SLUG))["m3u8"]["96"])
        assert top.playlists[0].stream_info.codecs == "mp4a.40.2"
        await stage.grow("a", complete=True)
        key = await stage.mp3("2")
        await stage.mp3("1")
        found = await stage.addresses.urllist(SLUG)
        assert sorted(found["mp3"]) == ["1", "2"]
        reply = await stage.client.get(found["mp3"]["2"], headers={"range": "bytes=100-199"})
        assert reply.status_code == 206
        assert reply.headers["content-type"] == "audio/mpeg"
        assert reply.content == stage.bodies[key][100:200]
        assert await stage.plays() == 2


async def test_the_pictures_above_the_seek_bar(stage: Stage) -> None:
    await stage.storyboard()
    reply = await stage.client.get(stage.addresses.storyboard(SLUG))
    assert reply.headers["content-type"].split(";")[0] == "text/vtt"
    head, *cues = reply.text.strip().split("\n\n")
    assert head == "WEBVTT"
    times, places = zip(*(cue.split("\n") for cue in cues), strict=True)
    assert times == (
        "00:00:00.000 --> 00:00:02.500", "00:00:02.500 --> 00:00:05.000", "00:00:05.000 --> 00:00:07.500",
        "00:00:07.500 --> 00:00:10.000", "00:00:10.000 --> 00:00:12.000",
    )  # fmt: skip
    addresses, where = zip(*(place.split("#xywh=") for place in places), strict=True)
    assert where == ("0,0,160,90", "160,0,160,90", "0,90,160,90", "160,90,160,90", "0,0,160,90")
    assert len(set(addresses[:4])) == 1
    stage.clock.now += 6 * 3600  # as long as a playback may take
    for number, address in ((0, addresses[0]), (1, addresses[4])):
        sheet = await stage.client.get(stage.address + address)
        assert sheet.headers["content-type"] == "image/jpeg"
        assert "immutable" in sheet.headers["cache-control"]
        assert sheet.content == stage.bodies[f"works/{FILE_ID}/run1/storyboard/{number}.jpg"]
    await stage.sql("update storyboard set run = 'run2'")
    await stage.sql("update extra set run = 'run2'")
    await stage.sql("update work set run = 'run2'")
    assert (await stage.client.get(stage.address + addresses[0])).status_code == 404, "never two runs' pictures mixed"
    assert await stage.plays() == 0, "looking at pictures is no playback"


@pytest.mark.parametrize(
    ("name", "content_type"), [("waveform.json", "application/json"), ("waveform.png", "image/png")]
)
async def test_the_waveform(stage: Stage, name: str, content_type: str) -> None:
    assert (await stage.client.get(stage.media(name))).status_code == 404
    key = await stage.extra(name, content_type)
    reply = await stage.client.get(stage.media(name))
    assert reply.content == stage.bodies[key]
    assert reply.headers["content-type"] == content_type
    await stage.sql("update work set state = 'reviewing'")
    assert (await stage.client.get(stage.media(name))).status_code == 404
    assert (
        await stage.client.get(f"{stage.address}/media/{stage.signer.review(SLUG, 60)}/{SLUG}/{name}")
    ).status_code == 200
