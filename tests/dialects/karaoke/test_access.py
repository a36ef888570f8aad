"""Who may see a recording, everywhere it could be seen: also by addresses that were given out before."""

import asyncio
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
import pytest

from openstage.identity.models import App
from openstage.works.recordings import ACCESS
from tests.dialects.karaoke.conftest import Karaoke, recording
from tests.dialects.karaoke.recorded import account_of, ask, browser_of, listed
from tests.oauth.person import Person as Somebody
from tests.support.waiting import wait_until

NAMES = ("owner", "friend", "stranger")


@dataclass
class Person:
    """Somebody who wants to see it: by an app's token, by a browser, or by neither."""

    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    is_owner: bool = False
    """By the app that it came by, or signed in."""
    in_circle: bool = False
    """The owner, however they come, or a friend."""

    def sees(self, access: str) -> bool:
        return {"public": True, "friends": self.in_circle, "private": self.is_owner}[access]


@dataclass
class Case:
    """A published recording, and everybody who may or may not see it."""

    karaoke: Karaoke
    people: dict[str, Person]
    ugc_id: str
    share_id: str
    slug: str
    openid: str
    song: str
    others_openid: str

    async def get(self, address: str, who: Person | None = None) -> httpx.Response:
        """Fetch an address, at this server, as somebody."""
        parts = urlsplit(address)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        cookie = {"Cookie": "; ".join(f"{n}={v}" for n, v in who.cookies.items())} if who and who.cookies else {}
        return await self.karaoke.http.get(path, headers={**(who.headers if who else {}), **cookie})

    async def set_access(self, access: str) -> None:
        owner = self.people["owner's app"].headers
        reply = await ask(self.karaoke, owner, "set_ugc_access", ugc_id=self.ugc_id, access=ACCESS.index(access))
        assert reply["code"] == 0, reply

    async def addresses_below(self, playlist: str, who: Person | None = None) -> list[str]:
        """A playlist, and all that it lists, down to the segments."""
        found = [playlist]
        answer = await self.get(playlist, who)
        assert answer.status_code == 200, playlist
        for line in answer.text.splitlines():
            for listed_there in re.findall(r'URI="([^"]+)"', line) if line.startswith("#") else [line] if line else []:
                address = str(httpx.URL(playlist).join(listed_there))
                found += await self.addresses_below(address, who) if address.endswith(".m3u8") else [address]
        return found


@pytest.fixture(scope="module")
async def case(stage: Karaoke) -> Case:
    karaoke = stage
    identity = karaoke.services.identity
    credentials = await identity.apps.create("Another device")
    await karaoke.services.database.fetch_one("update app set scopes = '{profile,works.read,works.write}' returning id")
    other_app: App = await identity.authenticate(credentials.client_id, credentials.client_secret)
    here = {name: await karaoke.singer(name) for name in NAMES}
    there = {name: await karaoke.singer(name, app=other_app) for name in NAMES}
    owner, friend = [await account_of(karaoke, name) for name in NAMES[:2]]
    await karaoke.services.identity.friends.befriend(owner, friend)
    people = {"nobody known": Person(), "the app itself": Person(await karaoke.app_headers())}
    for name in NAMES:
        circle = name != "stranger"
        people[f"{name}'s app"] = Person(here[name].headers, {}, name == "owner", circle)
        people[f"{name}'s other app"] = Person(there[name].headers, {}, is_owner=False, in_circle=circle)
        people[f"{name}'s browser"] = Person({}, await browser_of(karaoke, name), name == "owner", circle)
    made = (await karaoke.upload(here["owner"], recording(9.0, 523), song_id="s-access", cover=""))["data"]
    await karaoke.reached(made["ugc_id"])

    async def whole() -> bool:
        row = await karaoke.services.database.fetch_one(
            "select pending from work where slug = %(slug)s", {"slug": made["vid"]}
        )
        return row is not None and not row[0]

    await wait_until(whole, within=150, what="everything is made of the recording")
    return Case(
        karaoke,
        people,
        made["ugc_id"],
        made["share_id"],
        made["vid"],
        here["owner"].openid,
        "s-access",
        there["owner"].openid,
    )


@pytest.mark.parametrize("access", ["friends", "private", "public"])
async def test_a_recording_exists_for_those_who_may_see_it_alone(case: Case, access: str) -> None:
    await case.set_access(access)
    unknown = {
        path: (await case.get(path)).text
        for path in ("/s/0123456789abcdef", "/w/0123456789abcdef", "/e/0123456789abcdef", "/w/0123456789abcdef/play")
    }
    for name, who in case.people.items():
        sees = who.sees(access)
        if who.headers:
            await _check_calls(case, name, who, access)
        else:
            for path in (f"/w/{case.slug}", f"/e/{case.slug}", f"/w/{case.slug}/play"):
                answer = await case.get(path, who)
                assert answer.status_code == (200 if sees else 404), (name, path)
                if not sees:
                    assert answer.text == unknown[path.replace(case.slug, "0123456789abcdef")], (name, path)
            page = await case.get(f"/s/{case.share_id}", who)
            asked_in = access == "friends" and name == "nobody known"
            assert page.status_code == (200 if sees else 403 if asked_in else 404), name
            if asked_in:
                assert f"/sign-in?next=%2Fs%2F{case.share_id}" in page.text
                assert "七里香" not in page.text
                assert "owner" not in page.text
            elif not sees:
                assert page.text == unknown["/s/0123456789abcdef"], name
            async with case.karaoke.http.stream(
                "GET",
                f"/w/{case.slug}/events",
                headers={"Cookie": "; ".join(f"{n}={v}" for n, v in who.cookies.items())},
            ) as events:
                assert events.status_code == (200 if sees else 404), name
        lasting = await case.get(f"/play/{case.share_id}", who if who.headers else None)
        if who.headers:
            assert lasting.status_code == (302 if sees else 404), name
        else:
            assert lasting.status_code == (302 if access == "public" else 404), "a player isn't known by cookies"
    home = (await case.get("/")).text
    assert (case.slug in home) == (access == "public")
    await case.set_access("public")


async def _check_calls(case: Case, name: str, who: Person, access: str) -> None:
    """What the calls of the dialect tell somebody, and whether it plays."""
    sees = who.sees(access)
    karaoke, user = case.karaoke, bool(who.headers["X-Open-ID"])
    info = await ask(karaoke, who.headers, "get_work_info", ugc_id=case.ugc_id)
    missing = await ask(karaoke, who.headers, "get_work_info", ugc_id="0" * 48)
    assert info["code"] == (0 if sees else 1301), name
    if sees:
        address = info["data"]["paly_url"]
        played = await case.get(address)
        if played.status_code == 302:
            played = await case.get(played.headers["location"])
        assert played.status_code == 200, (name, address)
    else:
        assert info == missing, name
    hot = await listed(karaoke, who.headers, "get_recom_work", song_id=case.song)
    assert (case.ugc_id in hot) == (access == "public"), name
    if not user:
        return
    is_here = not name.endswith("other app")
    openid = case.openid if is_here else case.others_openid
    works = await listed(karaoke, who.headers, "get_user_work", openid=openid)
    assert (case.ugc_id in works) == (sees and is_here), name
    friends = await listed(karaoke, who.headers, "get_friend_work")
    assert (case.ugc_id in friends) == (sees and name.startswith("friend")), name
    if not name.startswith("owner's app"):
        for call in ("del_user_work", "set_ugc_access"):
            changed = await ask(karaoke, who.headers, call, ugc_id=case.ugc_id, access=0)
            assert changed["code"] == 1301, (name, call)


async def test_addresses_that_were_given_out_before_obey_at_once(case: Case) -> None:
    await case.set_access("public")
    work = await case.karaoke.services.works.by_slug(case.slug)
    everybody = case.karaoke.services.addresses
    given = await case.addresses_below(everybody.master(case.slug))
    files = await everybody.urllist(case.slug)
    given += [*files["mp3"].values(), *files["mp4"].values(), *files["m3u8"].values(), everybody.waveform(case.slug)]
    given += [everybody.picture(case.slug, kind) for kind in work.pictures]
    assert len([address for address in given if address.endswith(".m4s")]) >= 2
    assert len(work.pictures) == 3
    for access, status in (("public", 200), ("friends", 404), ("private", 404), ("public", 200)):
        await case.set_access(access)
        answers = await asyncio.gather(*(case.get(address) for address in given))
        assert {answer.status_code for answer in answers} == {status}, access


async def test_who_may_see_it_gets_addresses_that_play_and_end_with_their_right(case: Case) -> None:
    friends = case.karaoke.services.identity.friends
    owner, friend = [await account_of(case.karaoke, name) for name in NAMES[:2]]
    await case.set_access("friends")
    browser = case.people["friend's browser"]
    given = (await case.get(f"/w/{case.slug}/play", browser)).json()
    theirs = [*await case.addresses_below(given["master"]), given["waveform"]]
    assert {(await case.get(address)).status_code for address in theirs} == {200}, "signed: no cookie is asked for"
    await friends.unfriend(friend, owner)
    assert {(await case.get(address)).status_code for address in theirs} == {404}
    assert (await case.get(f"/s/{case.share_id}", browser)).status_code == 404
    await friends.befriend(friend, owner)
    assert {(await case.get(address)).status_code for address in theirs} == {200}
    await case.set_access("private")
    assert {(await case.get(address)).status_code for address in theirs} == {404}
    own = (await ask(case.karaoke, case.people["owner's app"].headers, "get_work_info", ugc_id=case.ugc_id))["data"]
    whole = [*await case.addresses_below(own["paly_url"]), own["cover_img"]]
    assert {(await case.get(address)).status_code for address in whole} == {200}
    page = (await case.get(f"/s/{case.share_id}", case.people["owner's browser"])).text
    posters = re.findall(r'data-poster[^>]*|src="([^"]*/media/[^"]*)"', page)
    assert any(posters), "the picture's address is signed as well"
    assert "og:title" not in page
    assert "noindex" in page
    await case.set_access("public")


async def test_a_page_that_is_open_is_told_when_it_may_see_no_more(case: Case) -> None:
    await case.set_access("public")
    # Somebody makes something of it, as far as the page can tell; with a claim no worker takes it for forgotten.
    await case.karaoke.services.database.fetch_one(
        "update work set pending = true, claim = 'a test' where slug = %(slug)s returning id", {"slug": case.slug}
    )
    try:
        async with case.karaoke.http.stream("GET", f"/w/{case.slug}/events") as events:
            lines = events.aiter_lines()
            async for line in lines:
                if line.startswith("data:"):
                    break
            assert '"published"' in line
            await case.set_access("private")
            told = [line async for line in lines if line.startswith("data:")]
            assert told == ['data: {"stage":"gone"}'], "and the stream has ended"
    finally:
        await case.karaoke.services.database.fetch_one(
            "update work set pending = false, claim = '' where slug = %(slug)s returning id", {"slug": case.slug}
        )
        await case.set_access("public")


async def test_owners_of_videos_play_what_they_have_hidden(case: Case) -> None:
    """A recording is a video of its app as well."""
    await case.set_access("private")
    token = case.people["owner's app"].headers["X-Open-Access-Token"]
    work = await case.karaoke.services.works.by_slug(case.slug)
    answer = await case.get(f"/api/file/fullStatus?access_token={token}&file_id={work.file_id}")
    data = answer.json()["data"]
    addresses = [data["img"], *data["urllist"]["mp4"].values(), *data["urllist"]["m3u8"].values()]
    assert len(addresses) > 2
    assert {(await case.get(address)).status_code for address in addresses} == {200}
    await case.set_access("public")


async def test_a_person_ends_a_friendship_on_their_account_page(case: Case) -> None:
    karaoke = case.karaoke
    await karaoke.singer("keen")
    owner, keen = [await account_of(karaoke, name) for name in ("owner", "keen")]
    assert await karaoke.services.identity.friends.befriend(owner, keen)
    await case.set_access("friends")
    async with Somebody(karaoke.address) as person, Somebody(karaoke.address) as other:
        assert (await other.sign_in("keen", "correct horse battery")).status_code == 303
        assert (await other.get(f"/s/{case.share_id}")).status_code == 200
        assert (await person.sign_in("owner", "correct horse battery")).status_code == 303
        page = await person.get("/account")
        assert "keen" in page.text
        forged = await person.http.post(
            "/account/unfriend", data={"friend": "keen"}, headers={"Origin": "http://evil.test"}
        )
        assert forged.status_code == 403
        assert (await other.get(f"/s/{case.share_id}")).status_code == 200
        done = await person.post(page, "/account/unfriend", friend="keen")
        assert "You are friends no more." in done.text
        assert "keen" not in done.text
        assert (await other.get(f"/s/{case.share_id}")).status_code == 404
    await case.set_access("public")
