"""`kill -9` at a bad moment, then a start: nothing that was acknowledged is lost, and nothing is left behind."""

import contextlib
import hashlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.conftest import free_port
from tests.support.fixtures import make_clip
from tests.support.openstage_server import OpenstageServer, running_openstage
from tests.support.video_session import Session
from tests.support.waiting import wait_for

PIECE = 100_000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OpenstageServer]:
    with running_openstage(tmp_path / "data folder", free_port()) as server:
        yield server


@pytest.fixture
def session(server: OpenstageServer) -> Iterator[Session]:
    with Session(server) as session:
        yield session


def family(server: OpenstageServer) -> list[psutil.Process]:
    """Every process of the server."""
    assert server.process is not None
    parent = psutil.Process(server.process.pid)
    return [parent, *parent.children(recursive=True)]


def kill_supervisor(server: OpenstageServer) -> None:
    """`kill -9` the one process; the others must notice by themselves."""
    processes = family(server)
    assert {"postgres", "python"} <= {process.name().rstrip("0123456789.") for process in processes}
    server.end(signal.SIGKILL)
    wait_for(
        lambda: not any(map(lives, processes)),
        within=20,
        what="the end of every process",
    )


def send(session: Session, file_id: str, content: bytes, start: int) -> None:
    piece = content[start : start + PIECE]
    reply = session.http.post(
        "/upload",
        headers={"file_id": file_id, "file_size": str(len(content)), "range": f"{start}-{start + len(piece) - 1}"},
        content=piece,
    )
    assert reply.json()["code"] == "A00000"


def open_upload(session: Session, content: bytes) -> str:
    reply = session.http.get(
        "/openupload", params={"access_token": session.token, "filetype": "mp4", "filesize": str(len(content))}
    )
    file_id: str = reply.json()["data"]["file_id"]
    session.describe(file_id)
    return file_id


def finish(session: Session, file_id: str) -> Any:
    return session.http.get(
        "/uploadfinish", params={"access_token": session.token, "file_id": file_id, "range_finished": "true"}
    ).json()


def test_a_killed_server_keeps_every_acknowledged_piece(server: OpenstageServer, session: Session) -> None:
    content = make_clip("mp4", size="640x360", duration=4).read_bytes()
    file_id = open_upload(session, content)
    starts = range(0, len(content), PIECE)
    assert len(starts) >= 3
    for start in starts[::2]:
        send(session, file_id, content, start)

    kill_supervisor(server)
    server.start()

    status = session.call("/uploadstatus", file_id=file_id)["data"]
    assert [first for first, _ in status["received"]] == list(starts[::2])
    assert finish(session, file_id)["code"] == "A00010"
    for start in starts[1::2]:
        send(session, file_id, content, start)
    assert finish(session, file_id)["code"] == "A00000"
    session.whole(file_id)
    original = next(server.data.glob(f"objects/works/{file_id}/original*"))
    assert hashlib.sha256(original.read_bytes()).digest() == hashlib.sha256(content).digest()


def test_a_publication_goes_on_after_the_server_was_killed(server: OpenstageServer, session: Session) -> None:
    content = make_clip("mp4", size="640x360", duration=12).read_bytes()
    file_id = open_upload(session, content)
    for start in range(0, len(content), PIECE):
        send(session, file_id, content, start)
    assert finish(session, file_id)["code"] == "A00000"
    wait_for(lambda: encoder_of(server), what="an encoder", every=0.01)

    kill_supervisor(server)
    server.start()

    data = session.whole(file_id)
    assert data["urllist"]["m3u8"].keys() == {"96", "1", "2"}
    assert not list((server.data / "staging").glob(file_id))


def test_a_killed_worker_is_replaced_and_its_work_goes_on(server: OpenstageServer, session: Session) -> None:
    content = make_clip("mp4", size="640x360", duration=12).read_bytes()
    file_id = open_upload(session, content)
    for start in range(0, len(content), PIECE):
        send(session, file_id, content, start)
    assert finish(session, file_id)["code"] == "A00000"
    encoder = wait_for(lambda: encoder_of(server), what="an encoder", every=0.01)
    worker = next(process for process in family(server) if command_of(process)[-1:] == ["worker"])
    worker.kill()
    assert encoder is not None
    wait_for(lambda: not lives(encoder), within=10, what="the encoder's end")
    assert session.published(file_id)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything(server: OpenstageServer, session: Session, number: int) -> None:
    content = make_clip("mp4", size="640x360", duration=12).read_bytes()
    file_id = open_upload(session, content)
    for start in range(0, len(content), PIECE):
        send(session, file_id, content, start)
    finish(session, file_id)
    wait_for(lambda: encoder_of(server), what="an encoder", every=0.01)
    processes = family(server)
    assert server.end(number) in {0, 128 + number, -number}
    assert not [process for process in processes if lives(process)]
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{server.address}/healthz", timeout=2)
    assert not [path for path in Path("/proc").glob("[0-9]*/cwd") if points_into(path, server.data)]


def encoder_of(server: OpenstageServer) -> psutil.Process | None:
    """An encoder that runs for the server at the moment."""
    for process in family(server):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "ffmpeg" in process.name():
                return process
    return None


def command_of(process: psutil.Process) -> list[str]:
    """Command line of a process; empty if it is gone."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return list(process.cmdline())
    return []


def lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def points_into(link: Path, folder: Path) -> bool:
    try:
        return str(link.readlink()).startswith(str(folder))
    except OSError:
        return False
