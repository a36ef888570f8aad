"""Starting confined processes by way of a launcher that is kept warm (`launcher.py`)."""

import asyncio
import contextlib
import functools
import importlib.util
import json
import os
import signal
import socket
import struct
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from openstage.media import jail
from openstage.media.errors import ToolKilled, ToolMissing

PROGRAM = Path(jail.__file__).with_name("launcher.py")
MOST_MESSAGE = 160 * 1024  # bytes: what a socket's buffer takes at once
STATUS = struct.Struct("i")


@functools.cache
def packages_folder() -> str:
    """The folder that holds PyAV; empty if there is none."""
    found = importlib.util.find_spec("av")
    return str(Path(found.origin).parent.parent) if found and found.origin else ""


class Tool:
    """A confined process, or one that is about to be started.

    Attributes:
        stdout: descriptor from which its output is read, not blocking; likewise `stderr`.

    """

    def __init__(self, wire: socket.socket, stdout: int, stderr: int) -> None:
        wire.setblocking(False)
        os.set_blocking(stdout, False)
        os.set_blocking(stderr, False)
        self._wire = wire
        self.stdout = stdout
        self.stderr = stderr
        self._status: int | None = None

    def send_signal(self, number: int) -> None:
        """Send it a signal; nothing happens if it has ended."""
        with contextlib.suppress(OSError):
            self._wire.send(bytes([number]))

    async def ended(self) -> int:
        """Wait for its end.

        Returns:
            Its exit status, negative for a signal.

        Raises:
            ToolKilled: the launcher was ended, and it with it.

        """
        while self._status is None:
            try:
                said = self._wire.recv(STATUS.size)
            except BlockingIOError:
                await readable(self._wire.fileno())
                continue
            except OSError:
                said = b""
            if not said:
                raise ToolKilled("Working on the file was ended from outside; it is tried again.")
            self._status = STATUS.unpack(said)[0]
        return self._status

    async def end(self) -> None:
        """Kill it unless it has ended, and wait until it is gone, whoever cancels us meanwhile."""
        if self._status is None:
            self.send_signal(signal.SIGKILL)
        gone = asyncio.ensure_future(self.ended())
        cancelled = False
        while not gone.done():
            try:
                await asyncio.wait([gone])
            except asyncio.CancelledError:
                cancelled = True
        with contextlib.suppress(ToolKilled):
            gone.result()
        self.close()
        if cancelled:
            raise asyncio.CancelledError

    def close(self) -> None:
        """Let go of the descriptors."""
        self._wire.close()
        os.close(self.stdout)
        os.close(self.stderr)


class Launching:
    """The way to this process's launcher, which is started when it is needed. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control = -1  # a bare descriptor: open until this process ends, which ends the launcher
        self._owner = 0
        self._pid = 0

    def start(self, message: dict[str, Any], stdin: int) -> Tool:
        """Start a confined process.

        Args:
            message: as `launcher.py` takes it.
            stdin: descriptor that the process reads from; stays the caller's.

        Raises:
            ToolMissing: the launcher can't be started.

        """
        content = json.dumps(message).encode()
        if len(content) > MOST_MESSAGE:
            raise ToolMissing("A media tool is asked too much at once.")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        out, into_out = os.pipe2(os.O_CLOEXEC)
        err, into_err = os.pipe2(os.O_CLOEXEC)
        tool = Tool(ours, out, err)
        try:
            self._send(content, [stdin, into_out, into_err, theirs.fileno()])
        except BaseException:
            tool.close()
            raise
        finally:
            theirs.close()
            os.close(into_out)
            os.close(into_err)
        return tool

    def warm_up(self) -> None:
        """Start the launcher now, so that the first use of it is fast.

        Raises:
            ToolMissing: it can't be started.

        """
        with self._lock:
            self._connect()

    def _send(self, content: bytes, fds: Sequence[int]) -> None:
        with self._lock:
            try:
                self._connect()
                try:
                    self._pass_on(content, fds)
                except OSError:  # somebody has ended it
                    self._forget()
                    self._connect()
                    self._pass_on(content, fds)
            except OSError as error:
                raise ToolMissing(f"The launcher of media tools can't be started: {error}.") from error

    def _pass_on(self, content: bytes, fds: Sequence[int]) -> None:
        with socket.socket(fileno=os.dup(self._control)) as control:
            socket.send_fds(control, [content], fds)

    def _connect(self) -> None:
        """Have a launcher of our own; one that a parent process has started isn't."""
        if self._control >= 0 and self._owner == os.getpid():
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            command = [sys.executable, "-I", "-S", "-B", str(PROGRAM), json.dumps({"packages": packages_folder()})]
            actions = [(os.POSIX_SPAWN_DUP2, theirs.fileno(), 0), (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
            self._pid = os.posix_spawn(sys.executable, command, {}, file_actions=actions, setsigmask=[])
            self._control = ours.detach()
        self._owner = os.getpid()

    def _forget(self) -> None:
        """Let go of a launcher that has ended."""
        os.close(self._control)
        self._control = -1
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


async def readable(descriptor: int) -> None:
    """Wait until something can be read from a descriptor, or its other end is closed."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


async def read(descriptor: int, most: int = 64 * 1024) -> bytes:
    """The next bytes of a pipe that doesn't block; none at its end."""
    while True:
        try:
            return os.read(descriptor, most)
        except BlockingIOError:
            await readable(descriptor)


launching = Launching()
