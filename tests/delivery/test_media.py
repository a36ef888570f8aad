"""What holders of addresses get, on a real server over real rows and objects."""

from urllib.parse import urljoin

import httpx
import m3u8
import pytest

from openstage.storage.errors import StorageUnavailable
from openstage.storage.objects import store_at
from tests.delivery.stage import FILE_ID, SLUG, Stage, staged


def rendition_folder(quality: str) -> str:
    return f"works/{FILE_ID}/run1/hls/{quality}"


async def test_a_player_follows_the_master_playlist_down_to_every_byte(stage: Stage) -> None:
    address = stage.addresses.master(SLUG)
    reply = await stage.client.get(address)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/vnd.apple.mpegurl"
    assert "no-store" in reply.headers["cache-control"]
    master = m3u8.loads(reply.text, uri=address)
    assert [p.stream_info.resolution for p in master.playlists] == [(320, 180), (640, 360)]
    listed = [(p.absolute_uri, quality) for p, quality in zip(master.playlists, ("96", "2"), strict=True)]
    listed.append((master.media[0].absolute_uri, "a"))
    for playlist, quality in listed:
        reply = await stage.client.get(playlist)
        assert reply.headers["content-type"] == "application/vnd.apple.mpegurl"
        media = m3u8.loads(reply.text, uri=playlist)
        assert media.is_endlist
        assert len(media.segments) == 3
        init = await stage.client.get(media.segment_map[0].absolute_uri)
        assert init.content == stage.bodies[f"{rendition_folder(quality)}/init.mp4"]
        for number, segment in enumerate(media.segments):
            got = await stage.client.get(segment.absolute_uri)
            assert got.content == stage.bodies[f"{rendition_folder(quality)}/{number:05}.m4s"]
            assert got.headers["content-type"] == ("audio/mp4" if quality == "a" else "video/mp4")
            assert "private" in got.headers["cache-control"]


async def test_urllist_gives_one_address_per_whole_rendition(stage: Stage) -> None:
    await stage.hls("1", complete=False)
    found = await stage.addresses.urllist(SLUG)
    assert sorted(found) == ["m3u8", "mp4"]
    assert sorted(found["mp4"]) == ["1", "2"]
    assert sorted(found["m3u8"]) == ["2", "96"]
    assert (await stage.client.get(found["mp4"]["2"])).content == stage.bodies[f"works/{FILE_ID}/run1/mp4/2.mp4"]
    listed = m3u8.loads((await stage.client.get(found["m3u8"]["2"])).text)
    assert [p.stream_info.resolution for p in listed.playlists] == [(640, 360)]
    assert len(listed.media) == 1


async def test_sound_alone_is_offered_under_the_lowest_quality(stage: Stage) -> None:
    await stage.sql("delete from rendition where kind = 'hls_video'")
    found = await stage.addresses.urllist(SLUG)
    assert list(found["m3u8"]) == ["96"]
    address = found["m3u8"]["96"]
    master = m3u8.loads((await stage.client.get(address)).text, uri=address)
    assert [p.stream_info.codecs for p in master.playlists] == ["mp4a.40.2"]
    media = m3u8.loads((await stage.client.get(master.playlists[0].absolute_uri)).text)
    assert len(media.segments) == 3


async def test_parameters_that_clients_append_are_ignored(stage: Stage) -> None:
    for resource in ("1.mp4", "master.m3u8"):
        reply = await stage.client.get(stage.media(resource) + "?v=933670055&ip=10.0.0.1&cb=x%00")
        assert reply.status_code == 200


# --- expiry and alteration ------------------------------------------------------------------------------------


async def test_an_address_dies_after_its_lifetime_and_says_what_to_do(stage: Stage) -> None:
    address = stage.media("1.mp4")
    stage.clock.now += stage.settings.address_lifetime - 1
    assert (await stage.client.get(address)).status_code == 200
    stage.clock.now += 1
    reply = await stage.client.get(address)
    assert reply.status_code == 403
    assert reply.json()["code"] == "delivery.address_expired"
    assert "fresh one" in reply.json()["message"]
    assert reply.headers["access-control-allow-origin"] == "*"


async def test_a_playback_that_began_outlives_its_address(stage: Stage) -> None:
    address = stage.addresses.master(SLUG)
    master = m3u8.loads((await stage.client.get(address)).text, uri=address)
    playlist = master.playlists[0].absolute_uri
    media = m3u8.loads((await stage.client.get(playlist)).text, uri=playlist)
    stage.clock.now += 6 * 3600
    assert (await stage.client.get(address)).status_code == 403
    assert (await stage.client.get(playlist)).status_code == 200
    assert (await stage.client.get(media.segments[2].absolute_uri)).status_code == 200
    stage.clock.now += 2 * 3600
    assert (await stage.client.get(media.segments[2].absolute_uri)).status_code == 403


async def test_a_wrong_signature_tells_nothing_of_the_work(stage: Stage) -> None:
    token = stage.signer.address("another", "1.mp4")
    for slug in (SLUG, "0000000000000000", "x", "%00", "%0a", "%ff%fe", "..%5c..", "<script>"):
        reply = await stage.client.get(f"{stage.address}/media/{token}/{slug}/1.mp4")
        assert reply.status_code == 403, slug
        assert reply.json() == {
            "code": "delivery.address_altered",
            "message": "This address is not one we gave out: it was altered or cut. Ask for a fresh one.",
        }


async def test_an_address_opens_only_what_it_names(stage: Stage) -> None:
    token = stage.signer.address(SLUG, "1.mp4")
    for resource in ("2.mp4", "master.m3u8", "1.mp4/", "hls/2-00000000.m3u8"):
        assert (await stage.client.get(f"{stage.address}/media/{token}/{SLUG}/{resource}")).status_code == 403


async def test_addresses_of_segments_open_no_playlists_that_make_new_ones(stage: Stage) -> None:
    token = stage.signer.segments(SLUG, 3600)
    for resource in ("master.m3u8", "2.m3u8", "1.mp4"):
        assert (await stage.client.get(f"{stage.address}/media/{token}/{SLUG}/{resource}")).status_code == 404


async def test_what_a_work_does_not_have_is_not_found(stage: Stage) -> None:
    token = stage.signer.review(SLUG, 60)
    top = (
        "3.m3u8",
        "3.mp4",
        "a.m3u8",
        "nothing",
        "",
        "hls",
        "1.mp4/x",
        "\N{SNOWMAN}",
        "original",
        "thumbnail.jpg",
        "%00",
    )
    below = ("hls/2/00000.m4s", "hls/2-00000000.m3u8", "hls/2-00000000/00000.m4s", "hls/2-00000000/99999999999.m4s")
    for resource in (*top, *below):
        reply = await stage.client.get(f"{stage.address}/media/{token}/{SLUG}/{resource}")
        assert reply.status_code == 404, resource
        assert reply.json()["code"] == "delivery.media_gone"


# --- visibility -----------------------------------------------------------------------------------------------


async def every_address(stage: Stage) -> list[str]:
    """Every kind of address of the work, made while it was published."""
    master = stage.addresses.master(SLUG)
    top = m3u8.loads((await stage.client.get(master)).text, uri=master)
    playlist = top.playlists[0].absolute_uri
    media = m3u8.loads((await stage.client.get(playlist)).text, uri=playlist)
    return [
        master,
        stage.media("2.m3u8"),
        stage.media("1.mp4"),
        stage.addresses.picture(SLUG, "img"),
        playlist,
        media.segment_map[0].absolute_uri,
        media.segments[0].absolute_uri,
    ]


async def statuses(stage: Stage, addresses: list[str]) -> set[int]:
    return {(await stage.client.get(address)).status_code for address in addresses}


async def test_deleting_hides_at_once_whatever_addresses_are_out(stage: Stage) -> None:
    addresses = await every_address(stage)
    assert await statuses(stage, addresses) == {200}
    await stage.sql("update work set deleted_at = now()")
    assert await statuses(stage, addresses) == {404}
    await stage.sql("update work set deleted_at = null")
    assert await statuses(stage, addresses) == {200}


@pytest.mark.parametrize("state", ["reviewing", "refused"])
async def test_only_published_works_are_delivered_but_to_reviewers(stage: Stage, state: str) -> None:
    addresses = await every_address(stage)
    await stage.sql("update work set state = %(state)s", state=state)
    assert await statuses(stage, addresses) == {404}
    token = stage.signer.review(SLUG, 3600)
    base = f"{stage.address}/media/{token}/{SLUG}"
    assert await statuses(stage, [f"{base}/{each}" for each in ("master.m3u8", "1.mp4", "img.jpg", "2.m3u8")]) == {200}
    master = m3u8.loads((await stage.client.get(f"{base}/master.m3u8")).text, uri=f"{base}/master.m3u8")
    playlist = master.playlists[0].absolute_uri
    media = m3u8.loads((await stage.client.get(playlist)).text, uri=playlist)
    assert await statuses(stage, [playlist, *(segment.absolute_uri for segment in media.segments)]) == {200}
    assert await stage.plays() == 1, "a reviewer's look is not a playback"
    stage.clock.now += 3600
    assert await statuses(stage, [playlist, f"{base}/1.mp4"]) == {403}
    await stage.sql("update work set deleted_at = now()")
    stage.clock.now -= 3600
    assert await statuses(stage, [playlist, f"{base}/1.mp4"]) == {404}


async def test_a_rendition_made_anew_is_not_mixed_with_the_old_one(stage: Stage) -> None:
    master = stage.addresses.master(SLUG)
    playlist = m3u8.loads((await stage.client.get(master)).text, uri=master).playlists[1].absolute_uri
    media = m3u8.loads((await stage.client.get(playlist)).text, uri=playlist)
    await stage.sql("delete from rendition where quality = '2' and kind = 'hls_video'")
    await stage.hls("2", run="run2")
    old = [playlist, media.segment_map[0].absolute_uri, media.segments[0].absolute_uri]
    assert await statuses(stage, old) == {404}
    assert (await stage.client.get(master)).status_code == 200


async def test_pictures_stand_at_an_address_that_lasts(stage: Stage) -> None:
    address = stage.addresses.picture(SLUG, "img")
    stage.clock.now += 365 * 24 * 3600
    reply = await stage.client.get(address)
    assert reply.content == stage.bodies[f"works/{FILE_ID}/run1/pictures/img.jpg"]
    assert reply.headers["content-type"] == "image/jpeg"
    for other in ("thumbnail", "nothing", "..%2f..%2fimg", "%00"):
        assert (await stage.client.get(f"{stage.address}/pictures/{SLUG}/{other}.jpg")).status_code == 404
    assert (await stage.client.get(f"{stage.address}/pictures/%00/img.jpg")).status_code == 404


# --- counting -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", ["master.m3u8", "2.m3u8", "1.mp4"])
async def test_the_first_fetch_under_an_address_counts_once(stage: Stage, resource: str) -> None:
    address = stage.media(resource)
    await stage.client.head(address)
    await stage.client.options(address)
    assert await stage.plays() == 0
    for _ in range(3):
        await stage.client.get(address, headers={"range": "bytes=0-1"})
    assert await stage.plays() == 1
    await stage.client.get(stage.media(resource))
    assert await stage.plays() == 2


async def test_segments_pictures_and_failures_are_no_playbacks(stage: Stage) -> None:
    addresses = await every_address(stage)
    before = await stage.plays()
    for address in addresses[3:]:
        await stage.client.get(address)
    await stage.client.get(stage.media("3.mp4"))
    await stage.client.get(stage.media("1.mp4") + "x")
    assert await stage.plays() == before


async def test_a_server_that_started_anew_does_not_count_an_address_again(stage: Stage) -> None:
    address = stage.media("1.mp4")
    await stage.client.get(address)
    async with staged(stage.settings, stage.database) as other:
        await other.client.get(address.replace(stage.address, other.address))
    assert await stage.plays() == 1


# --- trouble --------------------------------------------------------------------------------------------------


async def test_an_object_that_is_missing_is_not_found_never_a_defect(stage: Stage) -> None:
    await stage.store.delete_prefix(f"works/{FILE_ID}")
    for resource in ("1.mp4", "img.jpg"):
        token = stage.signer.review(SLUG, 60)
        reply = await stage.client.get(f"{stage.address}/media/{token}/{SLUG}/{resource}")
        assert reply.status_code == 404
        assert "message" in reply.json()


class AwayStore:
    """A store that has gone away, for what reads it."""

    def __init__(self) -> None:
        self._inner = store_at("memory://")

    def __getattr__(self, name: str) -> object:
        if name in {"local_path", "put"}:
            return getattr(self._inner, name)

        def gone(*_: object) -> object:
            raise StorageUnavailable("The store at secret.example does not answer.")

        return gone


async def test_a_store_that_is_away_is_a_503_that_says_when_to_come_back(stage: Stage) -> None:
    async with staged(stage.settings, stage.database, AwayStore()) as away:  # type: ignore[arg-type]
        reply = await away.client.get(away.media("1.mp4"))
        assert reply.status_code == 503
        assert reply.headers["retry-after"] == "5"
        assert "secret.example" not in reply.text
        # Playlists come from the database alone.
        assert (await away.client.get(away.media("master.m3u8"))).status_code == 200


async def test_a_database_that_is_away_is_a_503(stage: Stage) -> None:
    address = stage.media("1.mp4")
    await stage.database.__aexit__()
    reply = await stage.client.get(address)
    assert reply.status_code == 503
    assert reply.headers["content-type"] == "application/json"


async def test_browsers_may_ask_from_anywhere(stage: Stage) -> None:
    origin = {"origin": "https://player.example", "access-control-request-headers": "range"}
    reply = await stage.client.options(f"{stage.address}/media/any/thing/at/all", headers=origin)
    assert reply.status_code == 204
    assert reply.headers["access-control-allow-origin"] == "*"
    assert "range" in reply.headers["access-control-allow-headers"].lower()
    assert "GET, HEAD" in reply.headers["access-control-allow-methods"]
    for address in (stage.media("1.mp4"), stage.media("master.m3u8"), stage.addresses.picture(SLUG, "img")):
        reply = await stage.client.get(address, headers=origin)
        assert reply.headers["access-control-allow-origin"] == "*"
        assert "content-range" in reply.headers["access-control-expose-headers"].lower()
    assert (await stage.client.post(stage.media("1.mp4"))).status_code == 405


async def test_a_proxy_path_before_ours_stands_in_playlists(stage: Stage) -> None:
    settings = stage.settings.model_copy(update={"media_url": "https://cdn.example/videos/"})
    async with staged(settings, stage.database, stage.store) as other:
        reply = await other.client.get(other.media("master.m3u8"))
        master = m3u8.loads(reply.text)
        assert all(p.uri.startswith("/videos/media/s") for p in master.playlists)
        assert urljoin("https://cdn.example/videos/media/x/y/master.m3u8", master.playlists[0].uri).startswith(
            "https://cdn.example/videos/media/"
        )


async def test_nginx_may_send_the_bytes(stage: Stage) -> None:
    settings = stage.settings.model_copy(update={"accel_prefix": "/objects/"})
    async with staged(settings, stage.database, stage.store) as other:
        reply: httpx.Response = await other.client.get(other.media("1.mp4"), headers={"range": "bytes=0-9"})
        assert reply.headers["x-accel-redirect"] == f"/objects/works/{FILE_ID}/run1/mp4/1.mp4"
        assert reply.headers["content-type"] == "video/mp4"
        assert reply.content == b""
        assert (await other.client.get(other.media("master.m3u8"))).text.startswith("#EXTM3U")
