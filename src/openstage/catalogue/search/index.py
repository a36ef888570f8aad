"""The search index as a server has it: reads what the indexer writes, and keeps an indexer running."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import psycopg

from openstage.catalogue import queries, text
from openstage.catalogue.errors import BadValue, TooDeep
from openstage.catalogue.models import DEEPEST, LARGEST_PAGE, Categories, Search
from openstage.catalogue.query.nodes import Node
from openstage.catalogue.query.parser import parse
from openstage.catalogue.search.folder import IndexFolder
from openstage.catalogue.search.indexer import BUSY
from openstage.catalogue.search.reader import Hits, Names, Reader, check
from openstage.catalogue.search.schema import SCHEMA, open_index
from openstage.database import launch
from openstage.database.engine import Database
from openstage.errors import Unavailable
from openstage.observability.logs import get_logger
from openstage.settings import Settings

LOOK_EVERY: Final = 0.15
"""Seconds between two looks at whether the indexer has written something: two system calls."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before an indexer that ended is started again."""
STANDBY_PAUSE: Final = 2.0
"""Seconds between two tries while another server's indexer writes."""
THREADS: Final = 4

_log = get_logger("search")


class SearchIndex:
    """Searches the catalogue. Nothing happens before `start`."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._folder = IndexFolder(settings.search_folder)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="search")
        self._reader: Reader | None = None
        self._mark: tuple[str, int] = ("", 0)
        self._names: Names | None = None
        self._filled = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Read the index that is there, and follow it; start an indexer once there are tracks."""
        if self._tasks:
            return
        await self._look()
        self._tasks = [
            asyncio.create_task(self._listen(), name="search-listen"),
            asyncio.create_task(self._watch(), name="search-watch"),
            asyncio.create_task(self._keep_indexer(), name="search-indexer"),
        ]

    async def close(self) -> None:
        """End the indexer and all that was started."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def find(self, wanted: Search) -> Hits:
        """Return a page of what is found.

        Raises:
            BadQuery: the text can't be understood; its message says where.
            BadValue: a page, a size or a range that can't be.
            UnknownCategory: there is no such band of tempo.
            TooDeep: the page lies beyond the first `DEEPEST` tracks.
            Unavailable: the index isn't there yet, or the database is away.

        """
        check(wanted)
        if not 1 <= wanted.per_page <= LARGEST_PAGE:
            raise BadValue(f"per_page is {wanted.per_page}; it may be 1 to {LARGEST_PAGE}.")
        if (wanted.page - 1) * wanted.per_page >= DEEPEST:
            raise TooDeep(
                f"Page {wanted.page} lies beyond the first {DEEPEST} tracks, which is as far as pages go:"
                " narrow the search instead."
            )
        names = await self.names()
        reader = self._reader
        if reader is not None and (known := reader.remembered(wanted, names)) is not None:
            return known
        node = parse(wanted.text)
        if reader is None:
            return await self._missing()
        return await asyncio.get_running_loop().run_in_executor(self._threads, _find, reader, wanted, node, names)

    async def categories(self) -> Categories:
        """Return all categories, bands and levels; remembered, once started, until one changes."""
        return (self._names or await self._load_names()).categories

    async def _missing(self) -> Hits:
        """What is found while there is no index: nothing in an empty catalogue."""
        if not self._filled.is_set() and not await self._has_tracks():
            return Hits([], 0)
        progress = await asyncio.to_thread(self._folder.progress)
        done = f" ({100 * progress.done // max(progress.total, 1)} % of it is done)" if progress else ""
        raise Unavailable(f"The search index is being made{done}; try again in a moment.")

    async def _has_tracks(self) -> bool:
        row = await self._database.fetch_one("select exists (select from track)")
        return bool(row and row[0])

    async def names(self) -> Names:
        """Return the categories: as this process knows them, where it hears of their changes; else as they are."""
        return self._names or await self._load_names()

    # --- categories -------------------------------------------------------------------------------------------
    async def _load_names(self) -> Names:
        async with self._database.connection() as connection:
            categories = await queries.categories(connection)
        names = Names.of(categories)
        if self._tasks:  # else nobody would tell when they change
            self._names = names
        return names

    async def _listen(self) -> None:
        """Hear from the database when categories change, and when the first tracks come."""
        while True:
            with contextlib.suppress(psycopg.OperationalError, Unavailable):
                async with self._listening() as connection:
                    if await self._has_tracks():
                        self._filled.set()
                    await self._load_names()
                    async for heard in connection.notifies():
                        if heard.payload == "track":
                            self._filled.set()
                        else:
                            await self._load_names()
            self._names = None  # it may have changed unheard
            await asyncio.sleep(1)

    @contextlib.asynccontextmanager
    async def _listening(self) -> AsyncIterator["psycopg.AsyncConnection[tuple[object, ...]]"]:
        connection = await psycopg.AsyncConnection.connect(
            self._database.address, autocommit=True, application_name="openstage search"
        )
        async with connection:
            await connection.execute("listen catalogue")
            yield connection

    # --- the index --------------------------------------------------------------------------------------------
    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            await self._look()

    async def _look(self) -> None:
        """Read the index anew if something has been written."""
        mark = self._folder.mark()
        if mark == self._mark or not mark[0]:
            return
        try:
            reader = await asyncio.get_running_loop().run_in_executor(self._threads, self._open)
        except (ValueError, OSError) as error:
            # It may have been replaced just now; what is damaged for good is made anew by the indexer.
            _log.warning("the search index can't be read", reason=str(error))
            self._mark = mark
            return
        if reader is not None:
            self._reader = reader
        self._mark = mark

    def _open(self) -> Reader | None:
        generation = self._folder.current()
        followed = self._folder.followed(generation) if generation else None
        if generation is None or followed is None or followed.schema != SCHEMA:
            return None
        if self._reader is None:
            text.warm_up()  # rather now than in the first search that needs it
        return Reader(open_index(generation))

    # --- the indexer ------------------------------------------------------------------------------------------
    async def _keep_indexer(self) -> None:
        await self._filled.wait()
        pause = FIRST_PAUSE
        while True:
            status = await self._run_indexer()
            if status == BUSY:
                pause = STANDBY_PAUSE
            else:
                _log.warning("the indexer ended and starts again", status=status, pause=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE) if status != BUSY else FIRST_PAUSE

    async def _run_indexer(self) -> int:
        settings = self._settings
        environment = os.environ | {
            "OPENSTAGE_DATABASE_URL": self._database.address,
            "OPENSTAGE_DATA": str(settings.folder),
            "OPENSTAGE_LOG_FORMAT": settings.log_format,
            "OPENSTAGE_LOG_LEVEL": settings.log_level,
        }
        # It dies with this process, however that ends.
        launcher = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), str(int(signal.SIGKILL))]
        program = [sys.executable, "-m", "openstage.catalogue.search.indexer"]
        process = await asyncio.create_subprocess_exec(
            *launcher, "-1", "-1", "0", *program, env=environment, stdin=asyncio.subprocess.DEVNULL
        )
        try:
            return await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def _find(reader: Reader, wanted: Search, node: Node | None, names: Names) -> Hits:
    return reader.find(wanted, node, names)
