"""Running a media tool so that a hostile file can harm nothing but its own scratch folder.

`run()` starts the tool through a launcher that is kept warm (`launching.py`); the new process confines itself as
`jail.py` says. This side keeps the wall clock, takes in what the tool says, and sees to it that nothing is left
running: not after an error, a time-out or a cancellation.
"""

import asyncio
import functools
import logging
import os
import platform
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from openstage.media import jail
from openstage.media.errors import ScratchFull, TookTooLong, ToolKilled, ToolMissing, Unplayable
from openstage.media.launching import Tool, launching, read

log = logging.getLogger(__name__)

MIB = 1024**2
GIB = 1024**3
NICE = 2  # of what somebody waits for: behind the server, before all else
TAIL = 8 * 1024  # bytes of a tool's stderr that are kept
LIBRARIES = ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/nix/store", "/etc/ld.so.cache")
FULL = (b"No space left on device", b"Disk quota exceeded")
CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGSYS, signal.SIGTRAP}

OnLine = Callable[[str], None]
OnStart = Callable[[Tool], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one run of a tool may use.

    Attributes:
        seconds: wall clock; None: the caller keeps it.
        cpu_seconds: of all its threads together.
        memory: bytes of private writable memory.
        file_size: bytes of the largest file it may write.
        open_files: files it may have open.
        output: bytes it may write to stdout when they are collected.
        nice: how far it steps back behind the server.
        cores: numbers of the processors that it may run on; empty: all.

    """

    seconds: float | None
    cpu_seconds: int
    memory: int = 4 * GIB
    file_size: int = 64 * GIB
    open_files: int = 256
    output: int = 8 * MIB
    nice: int = 10
    cores: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A tool that ended by itself: exit status, what it wrote to stdout, the end of what it wrote to stderr."""

    status: int
    stdout: bytes
    stderr: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Confinement:
    """What this machine's kernel can enforce: version of Landlock (0: none), system call filter."""

    landlock_abi: int
    seccomp: bool


@functools.cache
def confinement() -> Confinement:
    """What tools are confined by here; a line in the log, once, if something is missing."""
    found = Confinement(jail.landlock_abi(), bool(jail.seccomp_program(platform.machine(), 1)))
    if not found.landlock_abi:
        log.warning("the kernel has no Landlock: media tools can read whatever the server can read")
    if not found.seccomp:
        log.warning("no system call filter for %s: media tools could open connections", platform.machine())
    return found


def warm_up() -> None:
    """Start what starts tools, so that the first one of them is fast; a line in the log if that can't be done."""
    confinement()
    try:
        launching.warm_up()
    except ToolMissing as error:
        log.warning("%s", error.message)


async def run(
    argv: Sequence[str],
    *,
    limits: Limits,
    readable: Sequence[Path] = (),
    writable: Path | None = None,
    libraries: Sequence[Path] = (),
    devices: Sequence[Path] = (),
    on_line: OnLine | None = None,
    stdin: int | None = None,
    on_start: OnStart | None = None,
) -> Finished:
    """Run a tool in the sandbox until it ends.

    Args:
        argv: program (an absolute path) and arguments.
        limits: what it may use.
        readable: the only files it can read, besides the program and libraries.
        writable: the only folder it can write to, which it works in; None: none.
        libraries: folders beside the system's ones from which it may load code.
        devices: hardware that it may use; nothing of it is reached otherwise.
        on_line: called with each line of stdout, which then isn't collected.
        stdin: descriptor that it reads from; closed here once it has been handed over, or could not be.
        on_start: called with the process once it is on its way; it may be stopped and continued, but is ended here.

    Returns:
        How it ended; a non-zero exit status is no error here.

    Raises:
        TookTooLong: over the wall clock or processor time.
        Unplayable: it crashed, or wrote more than it may.
        ScratchFull: the disk is full.
        ToolKilled: somebody else ended it.
        ToolMissing: it couldn't be started or confined.

    """
    spec = _spec(limits, readable, writable, libraries, devices, program=argv[0])
    return await _run({"argv": list(argv), "spec": spec}, limits, on_line, stdin, on_start)


async def perform(
    order: dict[str, object], *, limits: Limits, readable: Sequence[Path] = (), libraries: Sequence[Path] = ()
) -> Finished:
    """Do a task of `inside/` in the sandbox, in a process that has loaded what it needs already.

    Args:
        order: `task` is the module's name; the rest is the task's.
        limits: what it may use.
        readable: the only files it can read, besides libraries.
        libraries: folders beside the system's ones from which it may load code.

    Returns:
        How it ended, its result in JSON as `stdout`.

    Raises:
        TookTooLong, Unplayable, ScratchFull, ToolKilled, ToolMissing: as `run()`.

    """
    return await _run({"order": order, "spec": _spec(limits, readable, None, libraries)}, limits)


async def _run(
    message: dict[str, object],
    limits: Limits,
    on_line: OnLine | None = None,
    stdin: int | None = None,
    on_start: OnStart | None = None,
) -> Finished:
    """Have the launcher start what the message says, and stay with it until it has ended."""
    confinement()
    started = time.monotonic()
    reads_from = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC) if stdin is None else stdin
    try:
        tool = launching.start(message, reads_from)
    finally:
        os.close(reads_from)
    said = _Said()
    try:
        async with asyncio.timeout(limits.seconds):
            if on_start:
                on_start(tool)
            stdout, status = await _follow(tool, said, limits.output, on_line)
    except TimeoutError as error:
        raise TookTooLong(f"Working on the file took longer than {limits.seconds:.0f} s and was given up.") from error
    finally:
        await tool.end()
    _judge(status, said)
    return Finished(status=status, stdout=stdout, stderr=said.text, seconds=time.monotonic() - started)


def _spec(  # noqa: PLR0917 - what it may use, read, write, load, control, become
    limits: Limits,
    readable: Sequence[Path],
    writable: Path | None,
    libraries: Sequence[Path],
    devices: Sequence[Path] = (),
    program: str = "",
) -> dict[str, object]:
    """How the process confines itself (`jail.py`)."""
    return {
        "cwd": str(writable or "/"),
        "nice": limits.nice,
        "cpu_seconds": limits.cpu_seconds,
        "memory": limits.memory,
        "file_size": limits.file_size,
        "open_files": limits.open_files,
        "read": [str(path) for path in readable],
        "execute": [*([os.path.realpath(program)] if program else []), *LIBRARIES, *map(str, libraries)],
        "write": [str(writable)] if writable else [],
        "devices": [str(path) for path in devices],
        "cores": list(limits.cores),
    }


class _Said:
    """What a tool writes to stderr: the end of it, and whether the disk was full."""

    def __init__(self) -> None:
        self.tail = b""
        self.full = False

    async def read(self, descriptor: int) -> None:
        while chunk := await read(descriptor):
            seen = self.tail + chunk
            self.full = self.full or any(sign in seen for sign in FULL)
            self.tail = seen[-TAIL:]

    @property
    def text(self) -> str:
        return self.tail.decode("utf-8", "replace").strip()


async def _follow(tool: Tool, said: _Said, most: int, on_line: OnLine | None) -> tuple[bytes, int]:
    """Take in both outputs until the process has ended; its stdout unless `on_line` has taken that, and its status."""
    errors = asyncio.create_task(said.read(tool.stderr))
    try:
        stdout = await (_lines(tool.stdout, on_line) if on_line else _collect(tool.stdout, most))
        await errors
        return stdout, await tool.ended()
    finally:
        errors.cancel()
        await asyncio.wait([errors])


async def _collect(descriptor: int, most: int) -> bytes:
    """All that comes out of a pipe."""
    parts: list[bytes] = []
    size = 0
    while chunk := await read(descriptor):
        size += len(chunk)
        if size > most:
            raise Unplayable("The file has more to tell about itself than is taken in.")
        parts.append(chunk)
    return b"".join(parts)


async def _lines(descriptor: int, on_line: OnLine) -> bytes:
    """Hand over what comes out of a pipe line by line; a line longer than 64 KiB loses its beginning."""
    rest = b""
    while chunk := await read(descriptor):
        *whole, rest = (rest + chunk).split(b"\n")
        rest = rest[-64 * 1024 :]
        for line in whole:
            on_line(line.decode("utf-8", "replace"))
    return b""


def _judge(status: int, said: _Said) -> None:
    """Raise what the end of a tool means, if it isn't an ordinary exit."""
    if said.full:
        raise ScratchFull("There is no room on the disk for working on the file; it goes on when there is.")
    if status == jail.FAILED and said.text.startswith("jail:"):
        raise ToolMissing(f"A media tool can't be started here: {said.text.removeprefix('jail: ')}.")
    if status >= 0:
        return
    ended_by = signal.Signals(-status)
    if ended_by == signal.SIGXCPU:
        raise TookTooLong("Working on the file took more processor time than is allowed and was given up.")
    if ended_by == signal.SIGXFSZ:
        raise Unplayable("The file becomes too large when it is converted.")
    if ended_by in CRASHES:
        raise Unplayable(f"The file is damaged in a way that makes the decoder crash ({ended_by.name}).")
    raise ToolKilled(f"Working on the file was ended from outside ({ended_by.name}); it is tried again.")
