"""How long a page of recordings takes with 10 and with 100,000 of them: `python -m bench.lists`.

Fills a database of its own with singers whose works are in all respects but their number the same, reads the first
page, one in the middle and the last, and prints the median of each in milliseconds.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from openstage.database.embedded import running_database
from openstage.database.engine import Database
from openstage.identity.models import Caller
from openstage.settings import Settings
from openstage.works.listing import Listing, Page, Place, Singer

FEW, MANY = 10, 100_000
FRIENDS = 200
PAGE = 20
STRIDE = 2000
"""Works of a page where one is only looking for the end."""
TRIES = 15

Read = Callable[[Place | None, int], Awaitable[Page]]


async def fill(database: Database) -> dict[int, Caller]:
    """Enter the singers: one with few works, one with many, and friends of both; returns them by number of works."""
    async with database.transaction() as connection:

        async def one(query: str, *values: object) -> int:
            row = await (await connection.execute(query.encode(), values)).fetchone()
            assert row
            return int(row[0])

        app = await one(
            "insert into app (client_id, name, secret, state) values ('c', 'n', '', 'approved') returning id"
        )
        callers = {}
        for number, count in enumerate((FEW, MANY, *[50] * FRIENDS)):
            account = await one(
                "insert into account (name, folded, password, city_id) values (%s, %s, '', %s) returning id",
                f"p{number}", f"p{number}", 1 + min(number, 2),
            )  # fmt: skip
            user = await one(
                "insert into end_user (app_id, realm, uid, account_id) values (%s, 'account', %s, %s) returning id",
                app, f"u{number}", account,
            )  # fmt: skip
            await connection.execute(
                """
                with entered as (
                    insert into work (file_id, slug, app_id, user_id, state, access, created_at, play_count)
                    select md5(%(user)s || '-' || n), substr(md5(%(user)s || '.' || n), 1, 16), %(app)s, %(user)s,
                           'published', (array['public', 'public', 'friends', 'private'])[1 + n %% 4],
                           now() - n * interval '1 second', n %% 100
                    from generate_series(1, %(count)s) n returning id, file_id, play_count
                )
                insert into recording (work_id, ugc_id, share_id, song_id, song_name, song_type, publish_type,
                    share_type, score, score_rank, content, cover, file_name, file_sha, is_segment, segment_start,
                    segment_end, sentence_count, imei, device_id, callback_url, city_id, heat)
                select id, file_id, substr(file_id, 1, 16) || id, 'song' || %(song)s, 'A song', 1, 0, 0, 1, 1, '', '',
                       '', '', false, 0, 0, 0, '', '', '', %(city)s, 1700000000 - id + play_count * 100
                from entered
                """,
                {"app": app, "user": user, "count": count, "song": min(number, 2), "city": 1 + min(number, 2)},
            )
            if number < 2:
                callers[count] = Caller(app, user, "approved", "c", f"u{number}", ("works.read",), account)
        await connection.execute(
            """
            insert into friendship (account_id, friend_id)
            select a.id, b.id from account a, account b
            where a.id <> b.id and (a.name in ('p0', 'p1')) <> (b.name in ('p0', 'p1'))
            """
        )
    async with database.connection() as connection:
        await connection.execute("analyze")
    return callers


async def places(read: Read) -> list[Place | None]:
    """Return where the first page, one in the middle and one at the end begin."""
    found: list[Place | None] = [None]
    while (end := (await read(found[-1], STRIDE)).end) is not None:
        found.append(end)
    return [found[0], found[len(found) // 2], found[-1]]


async def timed(read: Read, place: Place | None) -> float:
    """Return the median time of a page in milliseconds."""
    taken = []
    for _ in range(TRIES):
        began = time.perf_counter()
        await read(place, PAGE)
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


async def main() -> None:
    """Fill, read, print."""
    with tempfile.TemporaryDirectory() as folder, running_database(Settings(data=Path(folder))) as address:
        async with Database(address) as database:
            callers = await fill(database)
            print(f"{'list':34}{'begin':>10}{'middle':>10}{'end':>10}   (ms, medians of {TRIES})")
            for name, read in lists(Listing(database), callers[FEW], callers[MANY]).items():
                at = await places(read)
                times = [await timed(read, place) for place in at]
                print(f"{name:34}" + "".join(f"{each:10.2f}" for each in times), flush=True)


def lists(listing: Listing, few: Caller, many: Caller) -> dict[str, Read]:
    """Return what is read, by name."""
    assert few.account_id
    friend = few.account_id + 5
    found: dict[str, Read] = {}
    for number, caller, place in ((f"{FEW:,}", few, 0), (f"{MANY:,}", many, 1)):
        singer = Singer(caller.user_id, caller.account_id, "", caller.uid)
        found |= {
            f"own, {number}": partial(listing.own, caller),
            f"for anybody, {number}": partial(listing.of_singer, singer, None),
            f"for a friend, {number}": partial(listing.of_singer, singer, friend),
            f"a song's, {number}": partial(listing.hottest, f"song{place}"),
            f"a city's, {number}": partial(listing.of_city, 1 + place),
        }
    found[f"all, {MANY:,}"] = partial(listing.hottest, "")
    found[f"friends', {FRIENDS} friends"] = partial(listing.of_friends, few.account_id)
    return found


if __name__ == "__main__":
    asyncio.run(main())
