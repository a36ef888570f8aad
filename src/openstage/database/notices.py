"""Hearing at once of what has changed (LISTEN/NOTIFY), for thousands who wait, through one connection of the process.

What is heard is only that something may have changed: who waits looks it up again. So nothing is lost where a notice
is: while the connection is away those who wait look now and then by themselves.
"""

import asyncio
import contextlib
from collections.abc import Iterator

import psycopg
from psycopg import sql

from openstage.database.engine import Database
from openstage.observability.logs import get_logger

log = get_logger("database")

RETRY_SECONDS = 2.0
"""Between two tries to connect, and between two looks of those who wait while there is no connection."""


class Notices:
    """One channel. The connection is made when somebody first waits, and kept."""

    def __init__(self, database: Database, channel: str) -> None:
        """Prepare to listen to a channel; the payload of a notice is what somebody waits for."""
        self._database = database
        self._channel = channel
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._count = 0
        self._task: asyncio.Task[None] | None = None
        self._heard = asyncio.Event()
        self._ended = False

    @property
    def waiting(self) -> int:
        """How many wait at the moment."""
        return self._count

    @property
    def ended(self) -> bool:
        """Whether nobody shall wait any more."""
        return self._ended

    @contextlib.contextmanager
    def bell(self, payload: str) -> Iterator[asyncio.Event]:
        """Lend what is set when a notice with this payload comes, or when one may have been missed."""
        bell = asyncio.Event()
        self._waiting.setdefault(payload, set()).add(bell)
        self._count += 1
        if self._task is None and not self._ended:
            self._task = asyncio.create_task(self._listen())
        try:
            yield bell
        finally:
            self._count -= 1
            bells = self._waiting[payload]
            bells.discard(bell)
            if not bells:
                del self._waiting[payload]

    async def wait(self, bell: asyncio.Event, seconds: float) -> None:
        """Wait for a bell, for so many seconds at most; less where notices can't be heard at the moment."""
        if not self._heard.is_set():
            seconds = min(seconds, RETRY_SECONDS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await bell.wait()
        bell.clear()

    def end(self) -> None:
        """Let everybody go who waits, as the server is about to end."""
        self._ended = True
        self._ring_all()

    async def close(self) -> None:
        """Stop listening."""
        self.end()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _listen(self) -> None:
        while True:
            try:
                await self._hear()
            except psycopg.Error as error:
                log.warning("can't hear of changes", channel=self._channel, reason=str(error).strip())
            finally:
                self._heard.clear()
            await asyncio.sleep(RETRY_SECONDS)

    async def _hear(self) -> None:
        connection = await psycopg.AsyncConnection.connect(
            self._database.address, autocommit=True, application_name="openstage notices"
        )
        async with connection:
            await connection.execute(sql.SQL("listen {}").format(sql.Identifier(self._channel)))
            self._heard.set()
            self._ring_all()  # what came before was not heard
            async for notice in connection.notifies():
                for bell in self._waiting.get(notice.payload, ()):
                    bell.set()

    def _ring_all(self) -> None:
        for bells in self._waiting.values():
            for bell in bells:
                bell.set()
