"""Beginning to produce a work while its upload comes in."""

import asyncio

from openstage.errors import Unavailable
from openstage.observability.logs import get_logger
from openstage.publishing.tasks import Tasks

_log = get_logger("intake")


class EarlyStart:
    """Begins runs beside the requests that bring the bytes. What can't be begun now begins at finish."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._begins: set[asyncio.Task[None]] = set()

    def begun(self, file_id: str) -> None:
        """Begin with an upload whose first bytes have been recorded; the caller goes on."""
        task = asyncio.create_task(self._begin(file_id), name="early start")
        self._begins.add(task)
        task.add_done_callback(self._begins.discard)

    async def close(self) -> None:
        """Wait for what has been asked for."""
        await asyncio.gather(*self._begins)

    async def _begin(self, file_id: str) -> None:
        try:
            await self._tasks.begin_early(file_id)
        except Unavailable as error:
            _log.warning("an upload isn't begun with before its end", error=error.message)
        except Exception:
            _log.exception("an upload can't be begun with before its end")
