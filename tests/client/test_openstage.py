"""The client, the command and the demonstration against a real server."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from openstage.cli import app
from openstage.client import (
    AsyncVideoCloud,
    FailedError,
    Partner,
    Person,
    Progress,
    PublishingFailedError,
    QuotaExceededError,
    Retry,
    State,
    UnknownFileError,
    VideoCloud,
    VideoNotFoundError,
)
from openstage.client.video.uploading import Framing
from tests.client.conftest import content_of
from tests.conftest import free_port
from tests.support.fixtures import make_clip
from tests.support.openstage_server import OpenstageServer, running_openstage
from tests.support.waiting import wait_for


@pytest.fixture(scope="module")
def credentials(openstage: OpenstageServer) -> dict[str, str]:
    """An app for this module."""
    return openstage.create_app("The client's tests")


@pytest.fixture
def cloud(openstage: OpenstageServer, credentials: dict[str, str]) -> Iterator[VideoCloud]:
    """A client of the shared server."""
    with client_of(openstage, credentials, retry=Retry(first_delay=0.05)) as cloud:
        yield cloud


def client_of(openstage: OpenstageServer, app: dict[str, str], **options: Any) -> VideoCloud:
    """A client of the shared server for an app."""
    return VideoCloud(app["client_id"], app["client_secret"], openstage.address, **options)


def original(openstage: OpenstageServer, file_id: str) -> Path:
    """The file as the server has it: in its object store, as soon as it has been moved there."""
    path = openstage.data / "objects" / "works" / file_id / "original"
    wait_for(path.exists, what=f"original of {file_id}")
    return path


def test_a_video_from_upload_to_deletion(openstage: OpenstageServer, cloud: VideoCloud) -> None:
    clip = make_clip(size="160x90", duration=1)
    uploaded = cloud.upload(clip, title="Film 片", description="<b>", tags=["a", "b"], category=16, piece_size=10_000)
    status = cloud.wait(uploaded.file_id, until="whole", timeout=120)
    assert status.image.startswith(openstage.address)
    assert "96" in status.addresses.m3u8
    video = cloud.video(uploaded.file_id)
    assert (video.title, video.description, video.state) == ("Film 片", "<b>", State.PUBLISHED)
    assert (video.size, video.duration) == (clip.stat().st_size, 1)
    assert video.page_url.startswith(f"{openstage.address}/w/")
    assert original(openstage, uploaded.file_id).read_bytes() == clip.read_bytes()
    assert [each.file_id for each in cloud.videos()] == [each.file_id for each in cloud.list()] == [uploaded.file_id]
    assert cloud.count() == 1
    assert cloud.addresses(uploaded.file_id).best_m3u8
    assert ".mp4" in cloud.download_address(uploaded.file_id)
    cloud.delete(uploaded.file_id)
    assert cloud.status(uploaded.file_id).state is State.GONE
    with pytest.raises((VideoNotFoundError, FailedError)):
        cloud.addresses(uploaded.file_id)
    assert cloud.count() == 0


async def test_the_same_in_tasks(openstage: OpenstageServer, credentials: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video at all\n" * 5000)
    client_id, client_secret = credentials["client_id"], credentials["client_secret"]
    async with AsyncVideoCloud(client_id, client_secret, openstage.address, grant=Person("alice")) as cloud:
        video = await cloud.upload(tmp_path / "text.mp4", piece_size=7000)
        with pytest.raises(PublishingFailedError) as caught:
            await cloud.wait(video.file_id, timeout=60)
        assert caught.value.message  # why, for a person
    content = original(openstage, video.file_id).read_bytes()
    assert content == (tmp_path / "text.mp4").read_bytes()


@pytest.mark.parametrize("framing", ["raw", "multipart"])
@pytest.mark.parametrize(
    "content",
    [
        b"-",
        b'--boundary\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--boundary--\r\n',
        b"range=0-9&file_id=1&access_token=x",
        b"\r\n" * 30,
        b"\x00" * 70_000,
    ],
    ids=["one byte", "form", "parameters", "line ends", "zeros"],
)
def test_content_that_looks_like_something_else_arrives_as_it_is(
    content: bytes, framing: Framing, openstage: OpenstageServer, credentials: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "odd.bin").write_bytes(content)
    with client_of(openstage, credentials, framing=framing) as cloud:
        video = cloud.upload(tmp_path / "odd.bin", piece_size=32_768)
    assert original(openstage, video.file_id).read_bytes() == content


def test_users_do_not_see_each_other(openstage: OpenstageServer, credentials: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"x")
    with (
        client_of(openstage, credentials, grant=Person("bob")) as bob,
        client_of(openstage, credentials, grant=Partner("7", nick="Carol")) as carol,
    ):
        file_id = bob.upload(tmp_path / "x.mp4").file_id
        assert bob.status(file_id).state is not State.GONE
        assert carol.status(file_id).state is State.GONE


def test_a_cancelled_upload_is_worth_nothing_any_more(cloud: VideoCloud, tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(content_of(30_000))
    seen: list[str] = []

    def cancel(progress: Progress) -> None:
        seen.append(progress.file_id)
        if len(seen) == 3:
            cloud.cancel(seen[0])

    video = cloud.upload(tmp_path / "x.mp4", piece_size=1000, parallel=1, on_progress=cancel)
    assert seen[0] != video.file_id  # it began anew, since the server took no more bytes
    assert cloud.status(seen[0]).state is State.CANCELLED
    with pytest.raises(UnknownFileError):
        cloud.cancel("0" * 32)


def test_what_the_operator_forbids_has_a_name(openstage: OpenstageServer, tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(bytes(2000))
    made = openstage.create_app("Small", "--quota", "1000")
    with client_of(openstage, made) as cloud, pytest.raises(QuotaExceededError):
        cloud.upload(tmp_path / "x.mp4")


def test_a_killed_command_sends_only_what_is_missing(
    openstage: OpenstageServer, credentials: dict[str, str], tmp_path: Path, state_folder: Path
) -> None:
    path = tmp_path / "long.bin"
    path.write_bytes(os.urandom(1024**2) * 24)
    names = {f"OPENSTAGE_{name.upper()}": value for name, value in credentials.items()}
    environment = {**os.environ, **names, "OPENSTAGE_SERVER": openstage.address}
    command = [sys.executable, "-m", "openstage.cli", "upload", str(path), "--piece-size", "0.125", "--json"]

    def recorded() -> int:
        for record in state_folder.glob("*.json"):
            return sum(end - start for start, end in json.loads(record.read_text())["received"])
        return 0

    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        wait_for(lambda: recorded() > 3 * 1024**2, every=0.005, what="some pieces")
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    before = recorded()
    assert before < path.stat().st_size
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert before <= told["resumed"] < path.stat().st_size
    assert original(openstage, told["file_id"]).read_bytes() == path.read_bytes()


def test_the_demonstration(
    openstage: OpenstageServer, credentials: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openstage.demo.clip.SECONDS", 2)
    names = {f"OPENSTAGE_{name.upper()}": value for name, value in credentials.items()}
    done = CliRunner().invoke(app, ["demo", "video", "--server", openstage.address, "--json"], env=names)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["own_server"] is False
    assert told["page_url"].startswith(f"{openstage.address}/w/")
    notes = {step["name"]: step["note"] for step in told["steps"]}
    assert notes["Wait for every quality"] == "180p 240p 360p 480p 720p"
    assert notes["Play to the end"].startswith("2.0 s of picture and sound")
    assert "published" in done.stderr


def test_the_demonstration_without_a_server_says_so(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["demo", "video", "--server", "http://127.0.0.1:9"])
    assert (done.exit_code, done.stderr) == (1, "openstage: no Openstage answers at http://127.0.0.1:9\n")


@pytest.mark.slow
def test_the_demonstration_with_a_server_of_its_own(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENSTAGE_")}
    environment |= {"OPENSTAGE_LISTEN": "127.0.0.1:0", "OPENSTAGE_DATA": str(tmp_path / "none")}
    command = [sys.executable, "-m", "openstage.cli", "demo", "video", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["own_server"] is True
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_a_server_that_is_killed_and_started_again_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "long.bin"
    path.write_bytes(os.urandom(1024**2) * 24)
    with running_openstage(tmp_path / "data", free_port()) as server:
        restarting: list[threading.Thread] = []

        def kill(progress: Progress) -> None:
            if progress.fraction > 0.3 and not restarting:
                assert server.process is not None
                server.process.kill()
                server.process.wait()
                restarting.append(threading.Thread(target=server.start))
                restarting[0].start()

        patient = Retry(attempts=60, first_delay=0.2, longest_delay=2.0)
        with client_of(server, server.create_app(), retry=patient) as cloud:
            video = cloud.upload(path, piece_size=256 * 1024, on_progress=kill)
        restarting[0].join()
        assert original(server, video.file_id).read_bytes() == path.read_bytes()
