"""The index follows the database: on every server, within a second, whatever order transactions end in."""

import asyncio
import os
import signal
import time
from pathlib import Path

import psycopg

from openstage.catalogue.editing import Editing
from openstage.catalogue.search.folder import IndexFolder
from openstage.database.engine import Database
from openstage.settings import Settings
from tests.catalogue.shelf import another_server, found, put, searching, until
from tests.support.waiting import wait_for


async def test_changes_are_found_on_every_server_within_a_second(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    await put(database, [{"external_id": "1", "title": "First", "genres": "Pop"}])
    other = another_server(settings, tmp_path / "another")
    async with searching(database, settings) as here, searching(database, other) as there:
        for server in (here, there):
            await until(server, lambda page: page.total == 1, "first")
        took: list[float] = []
        for number in range(5):
            began = time.monotonic()
            await put(database, [{"external_id": "1", "title": f"Renamed{number}"}])
            for server in (here, there):
                await until(server, lambda page: page.total == 1, f"renamed{number}")
            took.append(time.monotonic() - began)
        assert sorted(took)[2] < 1.0
        await put(database, [{"external_id": "2", "title": "Second", "genres": "Pop"}])
        await until(there, lambda page: page.total == 2, "pop")
        pop = (await there.categories()).genres[0]
        await Editing(database).edit_category(pop.id, name="Polka")
        await until(there, lambda page: page.total == 2, "polka")
        [number_of_first] = [track.id for track in (await Editing(database).tracks(limit=1)).tracks]
        await Editing(database).remove([number_of_first])
        await until(there, lambda page: page.total == 1, "polka")
        offer = await Editing(database).create_offer("Online", 1)  # type: ignore[arg-type]
        await Editing(database).attach(offer.id, None)
        await until(here, lambda page: page.total == 1, "")


async def test_a_transaction_that_began_early_and_ended_late_is_not_missed(
    database: Database, settings: Settings
) -> None:
    await put(database, [{"external_id": "1", "title": "First"}])
    async with searching(database, settings) as catalogue:
        await until(catalogue, lambda page: page.total == 1)
        async with await psycopg.AsyncConnection.connect(settings.database_url) as early:
            await early.execute("insert into track (external_id, title) values ('early', 'Early')")
            await put(database, [{"external_id": "late", "title": "Late"}])
            await until(catalogue, lambda page: page.total == 1, "late")
            assert await found(catalogue, "early") == []
            await early.commit()
        await until(catalogue, lambda page: page.total == 1, "early")


async def test_another_process_takes_over_where_the_indexer_is_killed(database: Database, settings: Settings) -> None:
    await put(database, [{"external_id": "1", "title": "First"}])
    async with searching(database, settings) as catalogue:
        await until(catalogue, lambda page: page.total == 1)
        os.kill(_indexer(settings), signal.SIGKILL)
        await put(database, [{"external_id": "2", "title": "Second"}])
        await until(catalogue, lambda page: page.total == 2)


async def test_an_index_of_an_old_version_serves_until_the_new_one_is_made(
    database: Database, settings: Settings
) -> None:
    await put(database, [{"external_id": "1", "title": "First"}])
    async with searching(database, settings) as catalogue:
        await until(catalogue, lambda page: page.total == 1)
    folder = IndexFolder(settings.search_folder)
    old = folder.current()
    assert old is not None
    note = old / "followed.json"
    note.write_text(note.read_text().replace('"content":1', '"content":0'))
    await put(database, [{"external_id": "2", "title": "Second"}])
    async with searching(database, settings) as catalogue:
        assert await found(catalogue, "first") == ["First"]  # at once: nobody waits for the new one
        await until(catalogue, lambda page: page.total == 2)
    assert folder.current() != old
    assert not old.exists()


async def test_damage_and_a_restored_database_are_noticed(database: Database, settings: Settings) -> None:
    await put(database, [{"external_id": "1", "title": "First"}])
    async with searching(database, settings) as catalogue:
        await until(catalogue, lambda page: page.total == 1)
    folder = IndexFolder(settings.search_folder)
    generation = folder.current()
    assert generation is not None
    (generation / "meta.json").write_text("no index")
    async with database.connection() as connection:
        # As after a restore: numbers of transactions that are another cluster's, far beyond this one's.
        await connection.execute("alter table track disable trigger track_changed")
        await connection.execute("update track set changed_xid = '999999999', title = 'Restored'")
        await connection.execute("alter table track enable trigger track_changed")
        await connection.execute("update catalogue_epoch set cluster = 'another'")
    async with searching(database, settings) as catalogue:
        await until(catalogue, lambda page: page.total == 1, "restored")
        await put(database, [{"external_id": "1", "title": "After"}])
        await until(catalogue, lambda page: page.total == 1, "after")


async def test_searching_keeps_the_loop_free(database: Database, settings: Settings) -> None:
    await put(database, [{"external_id": str(n), "title": f"night love {n}"} for n in range(3000)])
    async with searching(database, settings) as catalogue:
        await until(catalogue, lambda page: page.total == 3000)
        longest = 0.0

        async def beat() -> None:
            nonlocal longest
            while True:
                began = time.perf_counter()
                await asyncio.sleep(0.001)
                longest = max(longest, time.perf_counter() - began)

        heart = asyncio.create_task(beat())
        await asyncio.gather(*(found(catalogue, f"love not nigh {n} or .*{n}") for n in range(40)))
        heart.cancel()
        assert longest < 0.5


def _indexer(settings: Settings) -> int:
    """The process that writes the index of a folder."""

    def pid() -> int | None:
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                command = (entry / "cmdline").read_bytes()
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if b"catalogue.search.indexer" in command and f"OPENSTAGE_DATA={settings.folder}\0".encode() in environment:
                return int(entry.name)
        return None

    found_pid = wait_for(pid)
    assert found_pid is not None
    return found_pid
