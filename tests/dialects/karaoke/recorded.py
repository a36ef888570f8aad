"""Recordings entered straight into the database, where a test is not about how they came; and people at a browser."""

import secrets
from collections.abc import Mapping
from typing import Any

from openstage.identity.models import Account, Caller
from openstage.works import recordings
from openstage.works.models import Access
from openstage.works.recordings import ACCESS, About, Recording
from openstage.works.service import new_slug
from tests.dialects.karaoke.conftest import Karaoke, Reply, Singer

USER = "/karaoke/user/v2"


async def enter(
    karaoke: Karaoke,
    singer: Singer,
    *,
    song: str = "song",
    access: Access = "public",
    state: str = "published",
    plays: int = 0,
    age: int = 0,
    **about: Any,
) -> Recording:
    """Enter a recording without media; `age` is in seconds."""
    caller = await caller_of(karaoke, singer)
    said = About(**{"song_id": song, "song_name": f"The {song}", "publish_type": ACCESS.index(access), **about})
    async with karaoke.services.database.transaction() as connection:
        row = await (
            await connection.execute(
                """
                insert into work (file_id, slug, app_id, user_id, state, pending, play_count, created_at)
                values (%(file)s, %(slug)s, %(app)s, %(user)s, %(state)s, %(state)s = 'publishing', %(plays)s,
                        now() - make_interval(secs => %(age)s))
                returning id
                """,
                {
                    "file": secrets.token_hex(16),
                    "slug": new_slug(),
                    "app": caller.app_id,
                    "user": caller.user_id,
                    "state": state,
                    "plays": plays,
                    "age": age,
                },
            )
        ).fetchone()
        assert row
        made = await recordings.create(connection, row[0], said)
        await connection.execute("update recording set heat = heat - %s where work_id = %s", (age, made.work_id))
    return made


async def caller_of(karaoke: Karaoke, singer: Singer) -> Caller:
    """Whom a singer's token speaks for."""
    return await karaoke.services.identity.resolve(singer.headers["X-Open-Access-Token"])


async def account_of(karaoke: Karaoke, name: str) -> Account:
    """The account of a name."""
    return await karaoke.services.identity.accounts.find(name)


async def browser_of(karaoke: Karaoke, name: str) -> dict[str, str]:
    """The cookies of a browser in which somebody is signed in."""
    return {"openstage_session": await karaoke.services.identity.sessions.begin(await account_of(karaoke, name))}


async def ask(karaoke: Karaoke, singer: Singer | Mapping[str, str], call: str, **body: Any) -> Reply:
    """Make one of the calls under `USER`."""
    headers = singer.headers if isinstance(singer, Singer) else dict(singer)
    return await karaoke.post(f"{USER}/{call}", headers, body)


async def listed(karaoke: Karaoke, singer: Singer | Mapping[str, str], call: str, **body: Any) -> list[str]:
    """Every ugc_id of a list, page by page."""
    found: list[str] = []
    passback = ""
    while True:
        reply = await ask(karaoke, singer, call, passback=passback, **body)
        assert reply["code"] == 0, reply
        page = reply["data"]
        found += [ugc["ugc_id"] for ugc in page["ugcs"]]
        assert page["has_more"] == bool(page["passback"])
        if not page["has_more"]:
            return found
        passback = page["passback"]
