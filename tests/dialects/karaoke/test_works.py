"""A user's recordings and those of others: lists that can be turned while they change, and single ones."""

import random
import uuid
from typing import Any

import pytest

from openstage.works.recordings import Recording
from tests.dialects.karaoke.conftest import Karaoke, Singer
from tests.dialects.karaoke.recorded import USER, account_of, ask, enter, listed


def unlike(name: str) -> str:
    """A name that no other test has: they share a server."""
    return f"{name} {uuid.uuid4().hex[:8]}"


async def befriended(karaoke: Karaoke, one: str, other: str) -> None:
    friends = karaoke.services.identity.friends
    assert await friends.befriend(await account_of(karaoke, one), await account_of(karaoke, other))


async def delete(karaoke: Karaoke, singer: Singer, made: Recording) -> None:
    reply = await ask(karaoke, singer, "del_user_work", ugc_id=made.ugc_id)
    assert reply["code"] == 0, reply


# --- paging -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["own", "another's", "a song's", "a city's", "friends'"])
async def test_a_list_that_changes_while_it_is_turned_skips_and_repeats_nothing(karaoke: Karaoke, kind: str) -> None:
    chance = random.Random(kind)
    name, other, song, city = unlike("singer"), unlike("reader"), unlike("song"), chance.randrange(1, 999_999)
    singer = await karaoke.singer(name)
    await karaoke.services.identity.profiles.set_city(await account_of(karaoke, name), city)
    reader = singer if kind == "own" else await karaoke.singer(other)
    if kind == "friends'":
        await befriended(karaoke, other, name)
    calls: dict[str, tuple[str, dict[str, Any]]] = {
        "own": ("get_user_work", {}),
        "another's": ("get_user_work", {"openid": singer.openid}),
        "a song's": ("get_recom_work", {"song_id": song}),
        "a city's": ("get_city_work", {"city_id": city}),
        "friends'": ("get_friend_work", {}),
    }
    call, body = calls[kind]
    # Several of the same second, as a shower of uploads is.
    there = [await enter(karaoke, singer, song=song, age=chance.randrange(4)) for _ in range(40)]
    stays = {made.ugc_id for made in there}
    seen: list[str] = []
    passback = ""
    while True:
        num = chance.randrange(1, 8)
        page = (await ask(karaoke, reader, call, num=num, passback=passback, **body))["data"]
        assert len(page["ugcs"]) == num or not page["has_more"]
        seen += [ugc["ugc_id"] for ugc in page["ugcs"]]
        if not page["has_more"]:
            break
        passback = page["passback"]
        for _ in range(2):
            await enter(karaoke, singer, song=song, age=chance.randrange(-2, 6))
        gone = there.pop(chance.randrange(len(there)))
        await delete(karaoke, singer, gone)
        stays.discard(gone.ugc_id)
    assert len(seen) == len(set(seen)), "a recording came twice"
    assert stays <= set(seen), "a recording was skipped"
    assert page["passback"] == ""


async def test_pages_have_as_many_as_were_asked_for(karaoke: Karaoke) -> None:
    singer = await karaoke.singer(unlike("many"))
    for _ in range(52):
        await enter(karaoke, singer)
    sizes = {1: 1, "7": 7, None: 20, 50: 50, 2**70: 50}
    for num, size in sizes.items():
        page = (await ask(karaoke, singer, "get_user_work", num=num))["data"]
        assert (len(page["ugcs"]), page["has_more"]) == (size, True)
    for wrong in (0, -1, 1.5, "many", [1]):
        assert (await ask(karaoke, singer, "get_user_work", num=wrong))["code"] == 1001


async def test_a_passback_is_good_for_its_own_list_alone(karaoke: Karaoke) -> None:
    singer, other = await karaoke.singer(unlike("one")), await karaoke.singer(unlike("other"))
    for each in (singer, other):
        for _ in range(3):
            await enter(karaoke, each, song="passed")

    async def code(passback: object, call: str = "get_user_work", who: Singer = singer, **body: Any) -> object:
        return (await ask(karaoke, who, call, num=1, passback=passback, **body))["code"]

    good = (await ask(karaoke, singer, "get_user_work", num=1))["data"]["passback"]
    assert await code(good) == 0
    assert await code(good) == 0, "it may be used again"
    assert await code(good, who=other) == 1008, "another user's list"
    assert await code(good, "get_recom_work") == 1008, "another list"
    songs = (await ask(karaoke, singer, "get_recom_work", num=1, song_id="passed"))["data"]["passback"]
    assert await code(songs, "get_recom_work", song_id="passed") == 0
    assert await code(songs, "get_recom_work", song_id="another") == 1008
    changed = good[:20] + ("A" if good[20] != "A" else "B") + good[21:]
    for broken in (changed, good[:-3], good + "AAAA", "x", "%%%", "页", "A" * 60_000, "0"):
        assert await code(broken) == 1008, broken
    assert await code(5) == 1008
    assert await code(["x"]) == 1001
    assert await code(None) == 0


# --- what is listed ---------------------------------------------------------------------------------------------------
async def test_a_recording_is_told_in_full(karaoke: Karaoke) -> None:
    name = unlike("told")
    singer = await karaoke.singer(name)
    made = await enter(
        karaoke, singer, song="s1", plays=3, score=1234, score_rank=2, content="我唱的", sentence_count=9
    )
    (ugc,) = (await ask(karaoke, singer, "get_user_work"))["data"]["ugcs"]
    info = (await ask(karaoke, singer, "get_work_info", ugc_id=made.ugc_id))["data"]
    by_share_id = (await ask(karaoke, singer, "get_work_info", share_id=made.share_id))["data"]
    assert info == by_share_id
    assert ugc.items() <= info.items()
    assert ugc == {
        "ugc_id": made.ugc_id,
        "share_id": made.share_id,
        "share_url": f"{karaoke.address}/s/{made.share_id}",
        "paly_url": f"{karaoke.address}/play/{made.share_id}",
        "song_id": "s1",
        "song_name": "The s1",
        "song_type": 0,
        "share_type": 0,
        "score": 1234,
        "score_rank": 2,
        "is_segment": False,
        "segment_start": 0,
        "segment_end": 0,
        "sentence_count": 9,
        "content": "我唱的",
        "cover_img": "",
        "create_time": ugc["create_time"],
        "duration": 0,
        "nick_name": name,
        "openid": singer.openid,
        "play_count": 3,
        "access": 0,
        "state": "published",
        "is_own": True,
    }
    assert isinstance(ugc["create_time"], int)
    stranger = await karaoke.singer(unlike("stranger"))
    theirs = (await ask(karaoke, stranger, "get_work_info", ugc_id=made.ugc_id))["data"]
    assert (theirs["is_own"], theirs["openid"], theirs["file_id"], theirs["vid"]) == (False, singer.openid, "", "")


async def test_what_is_not_published_yet_is_listed_to_its_singer_alone(karaoke: Karaoke) -> None:
    singer, stranger = await karaoke.singer(unlike("early")), await karaoke.singer(unlike("stranger"))
    made = {state: await enter(karaoke, singer, state=state) for state in ("publishing", "refused", "uploading")}
    assert set(await listed(karaoke, singer, "get_user_work")) == {
        made["publishing"].ugc_id,
        made["refused"].ugc_id,
    }
    assert await listed(karaoke, stranger, "get_user_work", openid=singer.openid) == []
    for state, recording in made.items():
        own = await ask(karaoke, singer, "get_work_info", ugc_id=recording.ugc_id)
        assert (own["data"]["state"], own["data"]["paly_url"]) == (state, "")
        assert (await ask(karaoke, stranger, "get_work_info", ugc_id=recording.ugc_id))["code"] == 1301


async def test_recordings_of_a_song_are_listed_by_plays_and_freshness(karaoke: Karaoke) -> None:
    singer, song = await karaoke.singer(unlike("hot")), unlike("song")
    day = 24 * 3600
    old = await enter(karaoke, singer, song=song, age=3 * day)
    older = await enter(karaoke, singer, song=song, age=4 * day)
    fresh = await enter(karaoke, singer, song=song)
    await enter(karaoke, singer, song=song, access="friends")

    async def play(made: Recording, times: int) -> None:
        row = await karaoke.services.database.fetch_one("select slug from work where id = %(id)s", {"id": made.work_id})
        assert row
        for _ in range(times):
            assert await karaoke.services.works.count_playback(uuid.uuid4().hex, row[0])

    async def order() -> list[str]:
        return await listed(karaoke, await karaoke.app_headers(), "get_recom_work", song_id=song)

    assert await order() == [fresh.ugc_id, old.ugc_id, older.ugc_id]
    await play(older, 1)  # half a day newer: not enough
    assert await order() == [fresh.ugc_id, old.ugc_id, older.ugc_id]
    await play(older, 3)  # three doublings
    assert await order() == [fresh.ugc_id, older.ugc_id, old.ugc_id]
    await play(old, 63)  # six doublings, and the seventh
    await play(old, 1)
    assert await order() == [old.ugc_id, fresh.ugc_id, older.ugc_id]


async def test_a_city_lists_what_was_sung_by_people_who_lived_there(karaoke: Karaoke) -> None:
    name = unlike("citizen")
    singer = await karaoke.singer(name)
    nowhere = await enter(karaoke, singer)
    away = await enter(karaoke, singer, city_id=440_309)
    assert await listed(karaoke, singer, "get_city_work", city_id=440_309) == [away.ugc_id]
    assert (await ask(karaoke, singer, "get_city_work"))["code"] == 1001
    await karaoke.services.identity.profiles.set_city(await account_of(karaoke, name), 440_301)
    here = await enter(karaoke, singer)
    await enter(karaoke, singer, access="private")
    await karaoke.services.identity.profiles.set_city(await account_of(karaoke, name), 440_302)
    there = await enter(karaoke, singer)
    assert await listed(karaoke, singer, "get_city_work", city_id=440_301) == [here.ugc_id]
    assert await listed(karaoke, singer, "get_city_work") == [there.ugc_id]
    assert nowhere.ugc_id not in await listed(karaoke, singer, "get_city_work", city_id=0)
    app = await karaoke.app_headers()
    assert await listed(karaoke, app, "get_city_work", city_id=440_301) == [here.ugc_id]
    assert (await ask(karaoke, app, "get_city_work"))["code"] == 1001
    assert (await ask(karaoke, app, "get_city_work", city_id=-1))["code"] == 1001


async def test_friends_show_each_other_what_is_for_friends(karaoke: Karaoke) -> None:
    names = [unlike(name) for name in ("anna", "bert", "carl")]
    anna, bert, carl = [await karaoke.singer(name) for name in names]
    await befriended(karaoke, names[0], names[1])
    shown = [await enter(karaoke, bert, access="friends"), await enter(karaoke, bert)]
    await enter(karaoke, bert, access="private")
    await enter(karaoke, carl)
    assert await listed(karaoke, anna, "get_friend_work") == [made.ugc_id for made in reversed(shown)]
    assert await listed(karaoke, carl, "get_friend_work") == []
    friend, other = [await account_of(karaoke, name) for name in names[:2]]
    assert await karaoke.services.identity.friends.unfriend(other, friend)
    assert await listed(karaoke, anna, "get_friend_work") == []
    assert await listed(karaoke, anna, "get_user_work", openid=bert.openid) == [shown[1].ugc_id]
    assert (await ask(karaoke, anna, "get_user_work", openid="nobody"))["code"] == 1304


# --- changing ---------------------------------------------------------------------------------------------------------
async def test_a_deleted_recording_is_gone_at_once_and_can_be_brought_back(karaoke: Karaoke) -> None:
    singer, stranger, song = await karaoke.singer(unlike("gone")), await karaoke.singer(unlike("other")), unlike("song")
    made = await enter(karaoke, singer, song=song)
    for who in (stranger, await karaoke.singer(unlike("third"))):
        assert (await ask(karaoke, who, "del_user_work", ugc_id=made.ugc_id))["code"] == 1301
    assert (await karaoke.http.get(f"/s/{made.share_id}")).status_code == 200
    await delete(karaoke, singer, made)
    assert await listed(karaoke, singer, "get_user_work") == []
    assert await listed(karaoke, singer, "get_recom_work", song_id=song) == []
    assert (await ask(karaoke, singer, "get_work_info", ugc_id=made.ugc_id))["code"] == 1301
    assert (await ask(karaoke, singer, "del_user_work", ugc_id=made.ugc_id))["code"] == 1301
    assert (await karaoke.http.get(f"/s/{made.share_id}")).status_code == 404
    row = await karaoke.services.database.fetch_one("select slug from work where id = %(id)s", {"id": made.work_id})
    assert row
    async with karaoke.services.database.transaction() as connection:
        await karaoke.services.works.restore(connection, row[0])
    assert await listed(karaoke, singer, "get_user_work") == [made.ugc_id]


async def test_bad_input_changes_nothing(karaoke: Karaoke) -> None:
    singer = await karaoke.singer(unlike("careful"))
    made = await enter(karaoke, singer)
    cases: list[tuple[str, dict[str, Any], int]] = [
        ("set_ugc_access", {"ugc_id": made.ugc_id}, 1001),
        ("set_ugc_access", {"ugc_id": made.ugc_id, "access": 3}, 1001),
        ("set_ugc_access", {"ugc_id": made.ugc_id, "access": -1}, 1001),
        ("set_ugc_access", {"ugc_id": made.ugc_id, "access": "private"}, 1001),
        ("set_ugc_access", {"access": 2}, 1001),
        ("set_ugc_access", {"ugc_id": "0" * 48, "access": 2}, 1301),
        ("del_user_work", {}, 1001),
        ("del_user_work", {"ugc_id": ["x"]}, 1001),
        ("get_work_info", {"ugc_id": "x" * 50_000}, 1301),
        ("get_work_info", {}, 1001),
        ("user_feature_song", {"num": 0}, 1001),
    ]
    for call, body, code in cases:
        assert (await ask(karaoke, singer, call, **body))["code"] == code, (call, body)
    app = await karaoke.app_headers()
    own = ("get_user_work", "get_friend_work", "del_user_work", "set_ugc_access", "get_user_info", "user_feature_song")
    for call in own:
        assert (await ask(karaoke, app, call, ugc_id=made.ugc_id, access=2))["code"] == 1106, call
    assert await listed(karaoke, singer, "get_user_work") == [made.ugc_id]
    assert (await ask(karaoke, singer, "get_work_info", ugc_id=made.ugc_id))["data"]["access"] == 0


# --- the user, and songs for them -------------------------------------------------------------------------------------
async def test_a_user_is_told_what_is_known_of_them(karaoke: Karaoke) -> None:
    name, other = unlike("known"), unlike("friend")
    singer = await karaoke.singer(name)
    await karaoke.singer(other)
    await befriended(karaoke, name, other)
    await enter(karaoke, singer, access="private")
    await karaoke.services.identity.profiles.set_city(await account_of(karaoke, name), 110_100)
    data = (await ask(karaoke, singer, "get_user_info"))["data"]
    assert data.pop("create_time") > 1_700_000_000
    assert data == {"openid": singer.openid, "nick_name": name, "city_id": 110_100, "ugc_num": 1, "friend_num": 1}


async def test_a_body_that_is_not_needed_must_be_one_all_the_same(karaoke: Karaoke) -> None:
    singer = await karaoke.singer(unlike("careless"))
    for body, code in ((b"", 0), (b'{"any": 1}', 0), (b"{", 1002), (b"[]", 1002), (b" " * 70_000, 1003)):
        assert (await karaoke.post(f"{USER}/get_user_info", singer.headers, body))["code"] == code, body[:9]


async def test_songs_are_picked_from_what_people_sing_who_sing_the_same(karaoke: Karaoke) -> None:
    me, near, far = [await karaoke.singer(unlike(name)) for name in ("me", "near", "far")]
    ours, theirs, hot, hidden = [unlike(song) for song in ("ours", "theirs", "hot", "hidden")]
    await enter(karaoke, me, song=ours, access="private")
    await enter(karaoke, near, song=ours)
    await enter(karaoke, near, song=theirs, song_type=4)
    await enter(karaoke, near, song=hidden, access="friends")
    for _ in range(3):
        await enter(karaoke, far, song=hot, plays=5, age=-3600)
    songs = (await ask(karaoke, me, "user_feature_song", num=50))["data"]["songs"]
    found = {song["song_id"]: place for place, song in enumerate(songs)}
    assert found[theirs] < found[hot] < found[ours], "from those who sing the same; what is hot; what was sung before"
    assert hidden not in found, "what isn't public doesn't count"
    first = songs[found[theirs]]
    assert (first["song_name"], first["song_type"], first["play_count"]) == (f"The {theirs}", 4, 0)
    assert songs[found[hot]]["play_count"] == 15
    shape: dict[type, list[str]] = {str: [], int: [], bool: [], list: []}
    for name, value in first.items():
        shape[type(value)].append(name)
    assert set(shape[bool]) == {"has_hq", "has_midi", "has_mv", "has_ori_song", "mv_has_lyric", "need_vip"}
    assert shape[list] == ["tag_id_list"]
    assert {"singer_id", "singer_name", "album_img", "song_desc", "mv_cover"} <= set(shape[str])
    assert {"480_mv_size", "1080_mv_cover_size", "mv_width", "qqmusic_id", "has_lyric"} <= set(shape[int])
    assert len((await ask(karaoke, me, "user_feature_song", num=1))["data"]["songs"]) == 1
