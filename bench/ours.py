"""Openstage itself: the shipped program in a data folder of its own, driven as clients drive it."""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from bench.http import Connection, LoadError, Slice
from bench.processes import free_port, process_tree, running, wait_for

Form = Literal["raw", "multipart"]


@dataclass
class Openstage:
    """A running server with an app and its token."""

    port: int
    data: Path
    process: "subprocess.Popen[bytes]"
    environment: dict[str, str]
    token: str = ""
    bytes_received: int = 0
    """Bytes of all pieces that were sent to it and acknowledged."""
    _piece_digests: dict[tuple[int, int], str] = field(default_factory=dict)

    @contextlib.contextmanager
    def connection(self) -> Iterator[Connection]:
        """Connect as a client."""
        with Connection(self.port) as connection:
            yield connection

    def command(self, *arguments: str) -> Any:
        """Run `openstage … --json` beside the server."""
        command = [sys.executable, "-m", "openstage.cli", *arguments, "--json"]
        run = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True)
        return json.loads(run.stdout)

    def authorise(self) -> None:
        """Make an app and get its token."""
        app = self.command("app", "create", "--name", "Benchmark")
        target = f"/api/iqiyi/authorize?client_id={app['client_id']}&client_secret={app['client_secret']}"
        self.token = self.call(target)["data"]["access_token"]

    def call(self, target: str, method: str = "GET", **headers: str) -> dict[str, Any]:
        """Make one call of the video dialect that should succeed."""
        with self.connection() as connection:
            reply = connection.request(method, target, headers)
        return accepted(target, reply.body)

    def open_upload(self, size: int, file_type: str = "bin") -> tuple[str, str]:
        """Return the `file_id` of a new upload and the path to send it to."""
        data = self.call("/openupload", access_token=self.token, filetype=file_type, filesize=str(size))["data"]
        return data["file_id"], urlsplit(data["upload_url"]).path

    def upload(self, content: Slice, piece: int, form: Form, digests: list[str] | None = None) -> str:
        """Send a file in pieces, one after the other, on one connection; returns its `file_id`.

        Args:
            content: the file.
            piece: bytes of a piece.
            form: how the pieces are packed.
            digests: MD5 of the pieces, compared with the replies'.

        """
        file_id, target = self.open_upload(content.length)
        with self.connection() as connection:
            for number, start in enumerate(range(0, content.length, piece)):
                length = min(piece, content.length - start)
                headers = {
                    "file_id": file_id,
                    "file_size": str(content.length),
                    "range": f"{start}-{start + length - 1}",
                }
                part = Slice(content.descriptor, content.start + start, length)
                if form == "multipart":
                    part = _as_multipart(part, headers)
                else:
                    headers["Content-Type"] = "application/x-www-form-urlencoded"
                reply = accepted(target, connection.request("POST", target, headers, part).body)
                if reply["file_range_accepted"] != length or (digests and reply["range_md5"] != digests[number]):
                    raise LoadError(f"Piece {number} was not taken as it was sent: {reply}")
        return file_id

    def cancel(self, file_id: str) -> None:
        """Give an upload up, which frees its bytes."""
        self.call("/cancelupload", access_token=self.token, file_id=file_id, status="2")

    def publish(self, file: Path) -> str:
        """Upload a small video and wait until it is published; returns its `file_id`."""
        with file.open("rb") as source:
            size = file.stat().st_size
            file_id, target = self.open_upload(size, file.suffix.lstrip("."))
            with self.connection() as connection:
                headers = {"file_id": file_id, "file_size": str(size), "range": f"0-{size - 1}"}
                accepted(target, connection.request("POST", target, headers, Slice(source.fileno(), 0, size)).body)
        own = f"access_token={self.token}&file_id={file_id}"
        self.call(f"/api/file/info?{own}&file_name={quote('Benchmark')}&description=")
        self.call("/uploadfinish", access_token=self.token, file_id=file_id, range_finished="true")
        deadline = time.monotonic() + 120
        while (status := self._status(file_id))["code"] != "A00000" or len(status["data"]["urllist"]["mp4"]) < 2:
            if status["code"] not in {"A00000", "A00001", "A00004"} or time.monotonic() > deadline:
                raise LoadError(f"The clip is not published: {status}")
            time.sleep(0.2)
        return file_id

    def _status(self, file_id: str) -> dict[str, Any]:
        with self.connection() as connection:
            reply = connection.request("GET", f"/api/file/fullStatus?access_token={self.token}&file_id={file_id}")
        status: dict[str, Any] = json.loads(reply.body)
        return status

    def pids(self) -> list[int]:
        """All processes of the server and its worker."""
        return process_tree(self.process.pid)

    def memory(self) -> "Memory":
        """Memory in use now."""
        sizes = {"server": 0, "worker": 0, "database": 0}
        for pid in self.pids():
            with contextlib.suppress(OSError):  # it has just ended
                command = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
                sizes[_purpose(command)] += _proportional(pid)
        return Memory(**sizes)


@dataclass(frozen=True)
class Memory:
    """Bytes of main memory, by what they serve; shared pages count in proportion (PSS)."""

    server: int
    """The supervisor and the processes of the HTTP server."""
    worker: int
    database: int


def _purpose(command: list[str]) -> str:
    if "postgres" in command[0]:
        return "database"
    return "worker" if "worker" in command else "server"


def _proportional(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def accepted(target: str, body: bytes) -> dict[str, Any]:
    """Return a reply of the video dialect.

    Raises:
        LoadError: it is a refusal.

    """
    reply: dict[str, Any] = json.loads(body)
    if reply["code"] != "A00000":
        raise LoadError(f"{target.partition('?')[0]} answers {reply}")
    return reply


def _as_multipart(part: Slice, headers: dict[str, str]) -> Slice:
    boundary = "----openstage" + secrets.token_hex(12)
    headers["Content-Type"] = f"multipart/form-data; boundary={boundary}"
    head = (
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="file"; filename="clip.mp4"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return Slice(part.descriptor, part.start, part.length, head.encode(), f"\r\n--{boundary}--\r\n".encode())


@contextlib.contextmanager
def running_openstage(scratch: Path, **settings: str) -> Iterator[Openstage]:
    """Run it for the length of the block, with an app of its own and its defaults but for some settings.

    Raises:
        NotHere: it did not start.

    """
    port = free_port()
    data = scratch / "openstage"
    # The defaults are what is measured, whatever the one who measures has set for himself.
    own = {name: value for name, value in os.environ.items() if not name.startswith("OPENSTAGE_")}
    own |= {"OPENSTAGE_DATA": str(data), "OPENSTAGE_LISTEN": f"127.0.0.1:{port}", "OPENSTAGE_CONFIG": os.devnull}
    own |= {f"OPENSTAGE_{name.upper()}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "openstage.cli", "serve"]
    with running(command, log=scratch / "openstage.log", port=port, environment=own) as process:
        server = Openstage(port, data, process, own)
        # Without its own worker it isn't ready before another one has come.
        wait_for(server_ready(port, "/readyz" if settings.get("worker") != "false" else "/healthz"), "Openstage")
        server.authorise()
        yield server


def server_ready(port: int, address: str = "/readyz") -> Any:
    """Return a condition: an address answers 200."""

    def ready() -> bool:
        with contextlib.suppress(OSError, LoadError), Connection(port) as connection:
            return connection.request("GET", address).status == 200
        return False

    return ready
