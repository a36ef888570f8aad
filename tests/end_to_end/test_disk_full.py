"""A full disk: what is refused says so, what was acknowledged stays, and everything else goes on.

The folders in question are small file systems in memory, mounted in a namespace of the server's own.
"""

import concurrent.futures
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import free_port
from tests.support.database import TestServer
from tests.support.fixtures import make_clip
from tests.support.openstage_server import OpenstageServer
from tests.support.video_session import Session
from tests.support.waiting import wait_for

MIB = 1024**2

# Root may mount in a namespace of mounts; others need one in which they are root.
ROOT = os.geteuid() == 0
UNSHARE = ["unshare", "--mount"] if ROOT else ["unshare", "--user", "--map-root-user", "--mount"]
NSENTER = ["--mount"] if ROOT else ["--user", "--mount", "--preserve-credentials"]


def can_mount() -> bool:
    if not shutil.which("unshare"):
        return False
    probe = [*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not can_mount(), reason="this machine allows no mounts of our own")


class CrampedServer(OpenstageServer):
    """A server one of whose folders is a file system of a few megabytes."""

    cramped = "staging"
    size = "12m"

    def command_line(self) -> list[str]:
        folder = self.data / self.cramped
        folder.mkdir(parents=True, exist_ok=True)
        script = 'mount -t tmpfs -o "size=$1" tmpfs "$2" && shift 2 && exec "$@"'
        inside = ["sh", "-c", script, "sh", self.size, str(folder), *super().command_line()]
        return [*UNSHARE, *inside]

    def resize(self, size: str) -> None:
        assert self.process is not None
        enter = ["nsenter", "--target", str(self.process.pid), *NSENTER]
        folder = str(self.data / self.cramped)
        subprocess.run([*enter, "mount", "-o", f"remount,size={size}", folder], check=True)


@pytest.fixture
def server(tmp_path: Path, postgres: TestServer) -> Iterator[CrampedServer]:
    with postgres.database() as address:
        settings = {"database_url": address, "min_free": "0"}
        server = CrampedServer(tmp_path / "data", f"http://127.0.0.1:{free_port()}", settings)
        yield server
        if server.process is not None and server.process.poll() is None:
            server.end(signal.SIGTERM)


def open_upload(session: Session, size: int) -> str:
    reply = session.http.get("/openupload", params={"access_token": session.token, "filesize": str(size)}).json()
    assert reply["code"] == "A00000", reply
    file_id: str = reply["data"]["file_id"]
    session.describe(file_id)
    return file_id


def test_an_upload_that_no_longer_fits_is_told_so_and_can_go_on_later(server: CrampedServer) -> None:
    server.start()
    with Session(server) as session:
        size, step = 24 * MIB, 4 * MIB
        server.resize("64m")  # opening asks for room for all of it
        file_id = open_upload(session, size)
        server.resize(CrampedServer.size)

        def send(start: int) -> tuple[int, Any]:
            headers = {"file_id": file_id, "file_size": str(size), "range": f"{start}-{start + step - 1}"}
            reply = session.http.post("/upload", headers=headers, content=bytes([start // step]) * step)
            return reply.status_code, reply.json()

        starts = list(range(0, size, step))
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            answers = dict(zip(starts, pool.map(send, starts), strict=True))
        taken = sorted(
            start for start, (status, reply) in answers.items() if (status, reply["code"]) == (200, "A00000")
        )
        assert taken
        refused = [answer for start, answer in answers.items() if start not in taken]
        assert refused
        assert {status for status, _ in refused} == {503}
        assert all("room" in reply["msg"] or "full" in reply["msg"] for _, reply in refused)
        received = session.call("/uploadstatus", file_id=file_id)["data"]["received"]
        assert sum(end - start + 1 for start, end in received) == len(taken) * step

        assert session.http.get("/healthz").status_code == 200
        server.resize("64m")
        for start in starts:
            assert send(start)[1]["code"] == "A00000"
        finish = {"access_token": session.token, "file_id": file_id, "range_finished": "true"}
        assert session.http.get("/uploadfinish", params=finish).json() == {"code": "A00000"}


@pytest.mark.slow
def test_a_publication_waits_for_room(server: CrampedServer) -> None:
    server.cramped, server.size = "scratch", "100k"
    server.start()
    with Session(server) as session:
        content = make_clip("mp4", size="640x360", duration=4).read_bytes()
        file_id = open_upload(session, len(content))
        headers = {"file_id": file_id, "range": f"0-{len(content) - 1}"}
        assert session.http.post("/upload", headers=headers, content=content).json()["code"] == "A00000"
        finish = {"access_token": session.token, "file_id": file_id, "range_finished": "true"}
        assert session.http.get("/uploadfinish", params=finish).json() == {"code": "A00000"}
        wait_for(lambda: server.command("work", "show", file_id)["last_fault"], within=60, what="the fault", every=0.5)
        assert session.call("/api/file/fullStatus", file_id=file_id)["code"] == "A00001"
        server.resize("200m")
        assert session.published(file_id)
