"""What runs on this machine: for tests that start, kill and count processes."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil


def alive(pid: int) -> bool:
    """Whether a process lives (a zombie doesn't)."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


def descendants(pid: int) -> list[int]:
    """All processes below one."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    return []


def working_in(folder: Path) -> list[int]:
    """Processes whose working folder is `folder` or below it: a PostgreSQL server works in its cluster."""
    found = []
    inside = str(folder.resolve())
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            where = process.cwd()
            if (where == inside or where.startswith(inside + "/")) and alive(process.pid):
                found.append(process.pid)
    return found


@contextlib.contextmanager
def ended_after(pids: list[int]) -> Iterator[None]:
    """Kill what is left of `pids` at the end of the block, so that a failing test leaves nothing behind."""
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
