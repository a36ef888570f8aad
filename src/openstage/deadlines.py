"""Time limits of waits that are many and short."""

import asyncio
from types import TracebackType


class Within:
    """`with Within(seconds): await …` raises TimeoutError where the block takes longer.

    It does what `asyncio.timeout` does, for a third of the time, which each small call and each chunk of an upload
    would pay; in turn its end can't be moved. For use inside a task.
    """

    __slots__ = ("_cancellations", "_over", "_seconds", "_task", "_timer")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._over = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("A time limit is for what runs in a task.")
        self._task = task
        self._cancellations = task.cancelling()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._end)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._timer.cancel()
        # Who else has cancelled the task meanwhile goes before: it shall end, not be told of a limit.
        if self._over and self._task.uncancel() <= self._cancellations and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _end(self) -> None:
        self._over = True
        self._task.cancel()
