"""Works on the way through a running server: sent as clients send them, looked at in the database beside it."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, LiteralString
from urllib.parse import quote

import psycopg

from bench.http import Connection, LoadError, Slice
from bench.ours import Openstage, accepted
from bench.processes import process_tree, wait_for
from openstage.database.embedded import running_database
from openstage.settings import Settings

MIB: Final = 1024**2
PIECE: Final = 8 * MIB
PARALLEL: Final = 3
"""As our own client does; others send two or three pieces at once."""
PACED_PIECE: Final = MIB // 4
SLOW_LINE: Final = 20_000_000
"""Bits per second."""


@dataclass
class Bench:
    """A server, and a look into its database."""

    server: Openstage
    database: "psycopg.Connection[tuple[Any, ...]]"

    def send(self, file: Path, *, bits_per_second: float | None = None) -> str:
        """Send all pieces of a file, without finishing it; returns its `file_id`.

        Args:
            file: what is sent.
            bits_per_second: of a slow line; None: as fast as the loopback goes, three pieces at a time.

        """
        size = file.stat().st_size
        file_id, target = self.server.open_upload(size, file.suffix.lstrip("."))
        own = f"access_token={self.server.token}&file_id={file_id}"
        self.server.call(f"/api/file/info?{own}&file_name={quote(file.stem)}&description=")
        step = PACED_PIECE if bits_per_second else PIECE
        starts = iter(range(0, size, step))
        began, lock = time.monotonic(), threading.Lock()
        failures: list[Exception] = []

        def sender(descriptor: int) -> None:
            try:
                with self.server.connection() as connection:
                    while True:
                        with lock:
                            start = next(starts, None)
                        if start is None or failures:
                            return
                        length = min(step, size - start)
                        if bits_per_second:  # a piece is there when its last byte has come through the line
                            due = began + (start + length) * 8 / bits_per_second
                            time.sleep(max(0.0, due - time.monotonic()))
                        self._piece(connection, target, file_id, Slice(descriptor, start, length), size)
            except (LoadError, OSError) as error:
                failures.append(error)

        with file.open("rb") as opened:
            count = 1 if bits_per_second else PARALLEL
            threads = [threading.Thread(target=sender, args=(opened.fileno(),)) for _ in range(count)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        if failures:
            raise failures[0]
        return file_id

    @staticmethod
    def _piece(connection: Connection, target: str, file_id: str, piece: Slice, size: int) -> None:
        headers = {
            "file_id": file_id,
            "file_size": str(size),
            "range": f"{piece.start}-{piece.start + piece.length - 1}",
        }
        accepted(target, connection.request("POST", target, headers, piece).body)

    def finish(self, file_id: str, connection: Connection | None = None) -> float:
        """Finish an upload; returns the moment of the reply (`time.monotonic()`)."""
        headers = {"access_token": self.server.token, "file_id": file_id, "range_finished": "true"}
        with contextlib.ExitStack() as stack:
            connection = connection or stack.enter_context(self.server.connection())
            reply = connection.request("GET", "/uploadfinish", headers)
            replied = time.monotonic()
        accepted("/uploadfinish", reply.body)
        return replied

    def delete(self, file_id: str) -> None:
        """Delete a work and wait until nobody works for it any more."""
        self.server.call(f"/api/file/delete?access_token={self.server.token}&delete_type=1&file_ids={file_id}")
        self.quiet()

    def quiet(self) -> None:
        """Wait until no media tool runs."""
        wait_for(lambda: not tools_of(self.server.pids()), "the end of the media tools", within=120)

    def one(self, query: LiteralString, *values: object) -> tuple[Any, ...]:
        """Return the one row that a query finds."""
        row = self.database.execute(query, values).fetchone()
        if row is None:
            raise LoadError(f"nothing found by {query}")
        return row

    def whole(self, file_id: str, within: float = 3600) -> float:
        """Wait until nothing more is going to be made of a work; returns the moment."""

        def settled() -> bool:
            state, pending, reason = self.one("select state, pending, reason from work where file_id = %s", file_id)
            if state == "failed":
                raise LoadError(f"The work failed: {reason}")
            return state == "published" and not pending

        wait_for(settled, "the whole ladder", within)
        return time.monotonic()


def tools_of(pids: list[int]) -> list[int]:
    """Return those processes that run ffmpeg."""
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):  # it has just ended
            if "ffmpeg" in Path(f"/proc/{pid}/cmdline").read_text(errors="replace").partition("\0")[0]:
                found.append(pid)
    return found


def cpu_seconds(root: int) -> float:
    """Return what a process, those that descend from it and those of them that have ended used of the processors."""
    ticks = 0
    for pid in process_tree(root):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(field) for field in fields[11:15])  # own user and system time, and of ended children
    return ticks / 100  # USER_HZ of every Linux that we know


@contextlib.contextmanager
def database_of(server: Openstage) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
    """Connect to the database of a running server."""
    with (
        running_database(Settings(data=server.data)) as address,
        psycopg.connect(address, autocommit=True) as connection,
    ):
        yield connection
