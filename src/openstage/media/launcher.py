"""Starts confined processes, quickly: `python -I -S launcher.py ORDER`, with a socket as standard input.

A program of its own that imports nothing of Openstage but the files beside it that are named here. It is kept running
and has loaded what confined processes need (PyAV above all), so that starting one is a fork: a few milliseconds. It
never looks at a medium itself; whatever does is a child of its own that confines itself first (`jail.py`) and then
either becomes another program or does a task of `inside/`. Each file meets a child that has seen no other.

ORDER is a JSON object: `packages` is the folder that holds PyAV.

A message on the socket is a JSON object `{"spec": …, "argv": […]}` or `{"spec": …, "order": {…}}` together with four
descriptors: what the child has as stdin, stdout and stderr, and a socket of its own, by which the caller hears the
child's exit status (a number in four bytes, negative for a signal) and says which signals to send to it (a byte
each). The end of that socket ends the child. The end of standard input ends everything.
"""

import contextlib
import gc
import importlib
import importlib.util
import json
import os
import select
import signal
import socket
import struct
import sys
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
FDS = 4
MOST = 256 * 1024  # bytes of a message
STATUS = struct.Struct("i")


def load(name: str, path: str, folder: str | None = None) -> Any:
    """Import a file as a module, without a search for modules in its folder."""
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=[folder] if folder else None)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


jail = load("jail", f"{HERE}/jail.py")


def warm_up(packages: str) -> None:
    """Load what tasks need; where it can't be, each task will say so itself."""
    sys.path.append(packages)
    with contextlib.suppress(ImportError):
        import av.logging  # noqa: PLC0415 - found only now

        av.logging.set_level(av.logging.PANIC)
        load("inside", f"{HERE}/inside/__init__.py", f"{HERE}/inside")
        for entry in sorted(os.listdir(f"{HERE}/inside")):  # noqa: PTH208
            if entry.endswith(".py") and entry != "__init__.py":
                importlib.import_module(f"inside.{entry[:-3]}")
    gc.collect()
    gc.freeze()  # pages that nobody writes to stay shared with the children


class Child:
    """A confined process; `wire` is the socket to who wanted it."""

    def __init__(self, pid: int, wire: socket.socket) -> None:
        self.pid = pid
        self.wire = wire

    def signal(self, number: int) -> None:
        """Send a signal to it and to whatever it has started."""
        for send in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                send(self.pid, number)

    def hear(self) -> None:
        """Do what the caller says; end the child if it has gone."""
        try:
            said = self.wire.recv(64)
        except OSError:
            said = b""
        for number in said or bytes([signal.SIGKILL]):
            self.signal(number)


class Launcher:
    """The loop: takes orders, hears callers, tells who has ended."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.children: dict[int, Child] = {}
        self.poll = select.poll()
        self.poll.register(control.fileno(), select.POLLIN)
        self.ended, ending = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(ending, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.poll.register(self.ended, select.POLLIN)

    def run(self) -> None:
        """Work until the caller has gone."""
        while True:
            for descriptor, _ in self.poll.poll():
                if descriptor == self.control.fileno():
                    if not self.take():
                        return
                elif descriptor == self.ended:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self.ended, 4096)
                    self.reap()
                elif descriptor in self.children:
                    self.children[descriptor].hear()

    def take(self) -> bool:
        """Start what is wanted; False if the caller has gone."""
        message, fds, _, _ = socket.recv_fds(self.control, MOST, FDS)
        if not message:
            return False
        wire = socket.socket(fileno=fds[3])
        parent = os.getpid()
        pid = os.fork()
        if not pid:
            become(message, fds[:3], parent)
        for descriptor in fds[:3]:
            os.close(descriptor)
        self.children[wire.fileno()] = Child(pid, wire)
        self.poll.register(wire.fileno(), select.POLLIN)
        return True

    def reap(self) -> None:
        """Tell the callers of those that have ended."""
        for descriptor, child in list(self.children.items()):
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if not pid:
                continue
            self.poll.unregister(descriptor)
            del self.children[descriptor]
            with contextlib.suppress(OSError):
                child.wire.send(STATUS.pack(os.waitstatus_to_exitcode(status)))
            child.wire.close()


def become(content: bytes, fds: list[int], parent: int) -> None:
    """In the child: confine it, then do what is wanted. Doesn't return."""
    status = jail.FAILED
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        for target, descriptor in enumerate(fds):
            os.dup2(descriptor, target)
        message = json.loads(content)
        try:
            jail.confine({**message["spec"], "parent": parent})
            if "argv" in message:
                os.execve(message["argv"][0], message["argv"], {})  # noqa: S606 - that is what this program is for
        except (OSError, ValueError) as error:
            os.write(2, f"jail: {error}\n".encode())
            os._exit(jail.FAILED)
        status = 1
        perform(message["order"])
        status = 0
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(status)


def perform(order: dict[str, Any]) -> None:
    """Do a task and write its result to stdout as JSON."""
    if "inside" not in sys.modules:
        importlib.import_module("av.logging")  # says what is missing
    task = importlib.import_module(f"inside.{order['task']}")
    content = json.dumps(task.result(order)).encode()
    while content:
        content = content[os.write(1, content) :]


def main() -> None:
    """Load everything, then serve."""
    os.setsid()
    control = socket.socket(fileno=os.dup(0))
    nothing = os.open("/dev/null", os.O_RDWR)
    os.dup2(nothing, 0)
    warm_up(json.loads(sys.argv[1])["packages"])
    Launcher(control).run()


if __name__ == "__main__":
    main()
