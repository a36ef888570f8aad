"""The HTTP server's process: granian around the application. Run as `python -m openstage.server.web HOST PORT TARGET`.

Two processes: granian's own, which listens and replaces a worker that died, and its one worker, which loads the
application. The worker is killed with granian's process, as that is with the supervisor.

Granian's own process loads next to nothing (it is told the address and doesn't read the settings): that is memory and
time to start.
"""

import ctypes
import functools
import importlib
import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

from granian import Granian
from granian.constants import Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels

from openstage.database.launch import die_with_parent
from openstage.errors import DomainError

App = Callable[[Any, Any, Any], Awaitable[None]]

MIB = 1024**2
ENDING = signal.SIGUSR1
"""Tells the worker process that it is about to be ended (`openstage.app.ENDING`)."""
KEPT_MEMORY = 32 * MIB
"""Freed bytes that the process keeps for its next buffers."""
MOST_FILES = 65536
"""Files and connections that the process may have open, where the hard limit allows it."""
MOST_CONNECTIONS = 16384
"""Connections at once; further ones wait to be accepted. Granian's own default would be the backlog, 1,024."""
END_WITHIN = 4
"""Seconds that requests under way have at the end of the server; then their connections are cut."""


def application(parent: int, target: str) -> App:
    """Load the application, in granian's worker process.

    Args:
        parent: process id of granian's own process.
        target: `module:factory`.

    """
    signal.signal(ENDING, signal.SIG_IGN)  # until the application listens to it
    if not die_with_parent(parent, signal.SIGKILL):
        sys.exit(1)
    keep_freed_memory()
    module_name, _, name = target.partition(":")
    inner: App = getattr(importlib.import_module(module_name), name)()

    async def lifespan(scope: Any, receive: Any, send: Any) -> None:
        try:
            await inner(scope, receive, send)
        except DomainError as error:
            # A setting that can't work, or a database that is away: one line, and no further try from here. What
            # comes next is the supervisor's to decide.
            sys.stderr.write(f"openstage: {error.message}\n")
            sys.stderr.flush()
            os.kill(parent, signal.SIGKILL)
            os._exit(1)

    def app(scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        return lifespan(scope, receive, send) if scope["type"] == "lifespan" else inner(scope, receive, send)

    return app


def keep_freed_memory() -> None:
    """Let the C library keep some of what is freed.

    It would give each buffer of an upload back to the kernel, and get the next one as fresh pages, which must be
    cleared: a fifth of what receiving costs.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's
    if set_option is not None:
        trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h
        set_option(trim_threshold, KEPT_MEMORY)
        set_option(mmap_threshold, 4 * MIB)


def allow_connections() -> None:
    """Let the process hold as many connections as the machine allows it: the usual soft limit is 1,024 files.

    Devices that wait for a sign-in and pages that follow a work hold one each, thousands of them.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def announce_end() -> None:
    """Tell the worker process before granian ends it: replies that have no end of their own are ended in time."""

    def tell_and_end(number: int, frame: FrameType | None) -> None:
        for child in multiprocessing.active_children():
            if child.pid is not None:
                os.kill(child.pid, ENDING)
        granian_ends[number](number, frame)

    granian_ends: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in granian_ends:
        signal.signal(number, tell_and_end)


def main(host: str, port: str, target: str) -> None:
    """Serve until SIGTERM or SIGINT."""
    allow_connections()
    server = Granian(
        target,
        address=host,
        port=int(port),
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        websockets=False,
        backlog=1024,
        backpressure=MOST_CONNECTIONS,
        http1_settings=HTTP1Settings(max_buffer_size=MIB),
        log_access=False,
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
        workers_kill_timeout=END_WITHIN,
    )
    server.on_startup(announce_end)
    server.serve(target_loader=functools.partial(application, os.getpid(), target), wrap_loader=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
