"""Running a media tool so that a hostile file can harm nothing but its own scratch folder.

`run()` starts the tool through `jail.py`, which says what holds inside. This side keeps the wall clock, takes in what
the tool says, and sees to it that nothing is left running: not after an error, a time-out or a cancellation.
"""

import asyncio
import contextlib
import functools
import json
import logging
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from openstage.media import jail
from openstage.media.errors import ScratchFull, TookTooLong, ToolKilled, ToolMissing, Unplayable

log = logging.getLogger(__name__)

MIB = 1024**2
GIB = 1024**3
TAIL = 8 * 1024  # bytes of a tool's stderr that are kept
LIBRARIES = ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/nix/store", "/etc/ld.so.cache")
FULL = (b"No space left on device", b"Disk quota exceeded")
CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGSYS, signal.SIGTRAP}

OnLine = Callable[[str], None]
OnStart = Callable[[asyncio.subprocess.Process], None]


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
        on_start: called with the process once it runs; it may be stopped and continued, but is ended here.

    Returns:
        How it ended; a non-zero exit status is no error here.

    Raises:
        TookTooLong: over the wall clock or processor time.
        Unplayable: it crashed, or wrote more than it may.
        ScratchFull: the disk is full.
        ToolKilled: somebody else ended it.
        ToolMissing: it couldn't be started or confined.

    """
    confinement()
    started = time.monotonic()
    command = _command(argv, limits, readable=readable, writable=writable, libraries=libraries, devices=devices)
    try:
        process = await _spawn(command, stdin)
    finally:
        if stdin is not None:
            os.close(stdin)
    said = _Said()
    try:
        async with asyncio.timeout(limits.seconds):
            if on_start:
                on_start(process)
            stdout = await _follow(process, said, limits.output, on_line)
    except TimeoutError as error:
        raise TookTooLong(f"Working on the file took longer than {limits.seconds:.0f} s and was given up.") from error
    finally:
        await _end(process)
    status = process.returncode or 0
    _judge(status, said)
    return Finished(status=status, stdout=stdout, stderr=said.text, seconds=time.monotonic() - started)


def _command(
    argv: Sequence[str],
    limits: Limits,
    *,
    readable: Sequence[Path],
    writable: Path | None,
    libraries: Sequence[Path],
    devices: Sequence[Path],
) -> list[str]:
    """The command line that confines itself, then becomes `argv`."""
    spec = {
        "parent": os.getpid(),
        "cwd": str(writable or "/"),
        "nice": limits.nice,
        "cpu_seconds": limits.cpu_seconds,
        "memory": limits.memory,
        "file_size": limits.file_size,
        "open_files": limits.open_files,
        "read": [str(path) for path in readable],
        "execute": [os.path.realpath(argv[0]), *LIBRARIES, *(str(path) for path in libraries)],
        "write": [str(writable)] if writable else [],
        "devices": [str(path) for path in devices],
        "cores": list(limits.cores),
    }
    return [sys.executable, "-I", "-S", jail.__file__, json.dumps(spec), "--", *argv]


async def _spawn(command: list[str], stdin: int | None) -> asyncio.subprocess.Process:
    """Start the process; cancelled in the middle of it, end what has been started."""
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL if stdin is None else stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={},
            cwd="/",
            start_new_session=True,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with contextlib.suppress(OSError):
            await _end(await starting)
        raise
    except OSError as error:
        raise ToolMissing(f"A media tool can't be started: {error}.") from error


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill the process's group unless it has ended, and wait until it is gone, whoever cancels us meanwhile."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    gone = asyncio.ensure_future(process.communicate())  # drains the pipes too, so that they are closed
    cancelled = False
    while not gone.done():
        try:
            await asyncio.shield(gone)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError


class _Said:
    """What a tool writes to stderr: the end of it, and whether the disk was full."""

    def __init__(self) -> None:
        self.tail = b""
        self.full = False

    async def read(self, stream: asyncio.StreamReader) -> None:
        while chunk := await stream.read(64 * 1024):
            seen = self.tail + chunk
            self.full = self.full or any(sign in seen for sign in FULL)
            self.tail = seen[-TAIL:]

    @property
    def text(self) -> str:
        return self.tail.decode("utf-8", "replace").strip()


async def _follow(process: asyncio.subprocess.Process, said: _Said, most: int, on_line: OnLine | None) -> bytes:
    """Take in both outputs until the process has ended; what it wrote to stdout if nobody takes its lines."""
    assert process.stdout is not None
    assert process.stderr is not None
    errors = asyncio.create_task(said.read(process.stderr))
    try:
        stdout = await (_lines(process.stdout, on_line) if on_line else _collect(process.stdout, most))
        await errors
        await process.wait()
    finally:
        errors.cancel()
        await asyncio.wait([errors])
    return stdout


async def _collect(stream: asyncio.StreamReader, most: int) -> bytes:
    """All of a stream."""
    parts: list[bytes] = []
    size = 0
    while chunk := await stream.read(64 * 1024):
        size += len(chunk)
        if size > most:
            raise Unplayable("The file has more to tell about itself than is taken in.")
        parts.append(chunk)
    return b"".join(parts)


async def _lines(stream: asyncio.StreamReader, on_line: OnLine) -> bytes:
    """Hand a stream over line by line; a line longer than 64 KiB loses its beginning."""
    rest = b""
    while chunk := await stream.read(64 * 1024):
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
