"""Programs that are started for a run, and ended with it."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

START_SECONDS = 60.0
END_SECONDS = 30.0


class NotHere(Exception):
    """Something that a measurement needs is not on this machine; the message says what."""


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(condition: Callable[[], bool], what: str, within: float = START_SECONDS) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: it doesn't within so many seconds.

    """
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {within:g} s")
        time.sleep(0.05)


def listens(port: int) -> bool:
    """Whether somebody listens on a port of 127.0.0.1."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def running(
    command: Sequence[str],
    *,
    log: Path,
    port: int,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server that listens on `port` for the length of the block.

    Raises:
        NotHere: it did not start; the message ends with what it printed.

    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    try:
        wait_for(lambda: process.poll() is not None or listens(port), f"{command[0]} on port {port}")
        if process.poll() is not None:
            raise NotHere(f"{' '.join(command[:3])} ended at once: {log.read_text(errors='replace')[-500:]}")
        yield process
    finally:
        end(process)


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ask a process to end; kill it and its group if it doesn't."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its own session, see `running`
        process.wait()


def process_tree(root: int) -> list[int]:
    """Return the ids of a process and all that descend from it."""
    parents: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            # The second field, the name in parentheses, may hold spaces.
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
    tree = [root]
    for known in tree:  # grows while it is walked
        tree += [pid for pid, parent in parents.items() if parent == known]
    return tree
