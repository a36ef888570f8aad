"""The process tree of `openstage serve`: it starts, restarts what dies, refuses clearly, and leaves nothing behind."""

import contextlib
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from tests.support.fixtures import make_clip
from tests.support.processes import alive, descendants, working_in
from tests.support.serve import COMMAND, Serving, environment, run, serve
from tests.support.waiting import wait_for

TRIVIAL = ("--target", "tests.server.trivial:create")


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that has been served once."""
    data = tmp_path_factory.mktemp("served") / "data"
    with serve(data, *TRIVIAL, worker="false"):
        pass
    return data


@pytest.fixture
def data(tmp_path: Path, made_once: Path) -> Iterator[Path]:
    """A data folder that has been served before, to be served again; no process of it may be left."""
    folder = tmp_path / "my data 数据"
    subprocess.run(["cp", "-a", made_once, folder], check=True)
    yield folder
    assert working_in(folder) == []


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory, made_once: Path) -> Iterator[Serving]:
    """A server for tests that leave it running."""
    folder = tmp_path_factory.mktemp("lasting") / "data"
    subprocess.run(["cp", "-a", made_once, folder], check=True)
    with serve(folder, *TRIVIAL, worker="false") as served:
        yield served


def database_pid(served: Serving) -> int:
    return next(pid for pid in descendants(served.pid) if psutil.Process(pid).name() == "postgres")


def answer(served: Serving) -> tuple[int, str]:
    """Process id of the application and the address of its database; from a connection of its own."""
    pid, address = httpx.get(served.url, timeout=10).text.split(" ", 1)
    return int(pid), address


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything_within_seconds(data: Path, number: signal.Signals) -> None:
    with serve(data, *TRIVIAL, worker="false") as served:
        assert len(served.tree()) > 5
        assert served.end(number) == 0
    assert "Traceback" not in served.log.read_text()


def test_signals_that_follow_each_other_at_once_end_it_too(data: Path) -> None:
    """`make` passes on a SIGTERM that its whole group got; children end meanwhile (SIGCHLD)."""
    with serve(data, *TRIVIAL, worker="false") as served:
        for _ in range(20_000):
            os.kill(served.pid, signal.SIGCHLD)
        assert served.end(signal.SIGTERM) == 0


def test_who_listens_or_waits_does_not_hold_up_the_end(data: Path) -> None:
    with serve(data, worker="false") as served, ThreadPoolExecutor(1) as aside:
        app = json.loads(run(data, "app", "create", "--name", "x", "--json").stdout)
        credentials = {name: app[name] for name in ("client_id", "client_secret")}
        granted = httpx.get(f"{served.url}/api/iqiyi/authorize", params=credentials).json()["data"]
        opened = {"access_token": granted["access_token"], "filetype": "mp4", "filesize": "100"}
        assert httpx.get(f"{served.url}/openupload", params=opened).json()["code"] == "A00000"
        (work,) = json.loads(run(data, "work", "list", "--json").stdout)
        proof = {"appid": app["client_id"], "secret": app["client_secret"]}
        ticket = httpx.post(f"{served.url}/oauth/v2/light_qr", json=proof).json()
        asked = {"appid": app["client_id"], "qr_ticket": ticket["qr_ticket"], "wait": 30}
        with httpx.stream("GET", f"{served.url}/w/{work['slug']}/events", timeout=30) as events:
            lines = events.iter_lines()
            assert next(line for line in lines if line.startswith("data:")).startswith('data: {"stage":"waiting"')
            device = aside.submit(httpx.post, f"{served.url}/oauth/v2/light_qr_stat", json=asked, timeout=60)
            # These two, and the question itself.
            wait_for(lambda: "_in_flight 3.0" in httpx.get(f"{served.url}/metrics").text, what="the device waits")
            began = time.monotonic()
            served.process.send_signal(signal.SIGTERM)
            assert list(lines) == [""], "ended, not cut off"
            assert device.result(20).json() == {"status": 0, "code": "", "error_code": 0, "error_msg": ""}
            assert served.process.wait(20) == 0
        assert time.monotonic() - began < 3.5, "the web server would have waited for 4 s"


def test_thousands_of_connections_that_stay_open_keep_nobody_out(lasting: Serving) -> None:
    """Devices and pages that wait hold one each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    host, port = lasting.url.removeprefix("http://").split(":")
    try:
        with contextlib.ExitStack() as opened:
            for _ in range(1500):
                connection = opened.enter_context(socket.create_connection((host, int(port)), timeout=20))
                connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_signal_ends_it_though_a_client_holds_on(data: Path) -> None:
    with serve(data, *TRIVIAL, worker="false") as served, httpx.stream("GET", f"{served.url}/slow") as response:
        assert next(response.iter_raw()) == b"."
        served.end(within=15)


def test_killing_the_supervisor_takes_everything_with_it(data: Path) -> None:
    with serve(data, *TRIVIAL) as served:
        wait_for(lambda: len(served.tree()) > 7, what="the worker")
        assert served.end(signal.SIGKILL) == -signal.SIGKILL
    with serve(data, *TRIVIAL, worker="false") as again:
        assert answer(again)


def test_the_application_is_started_again_if_it_is_killed(lasting: Serving) -> None:
    first, _ = answer(lasting)
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: answered_by_another(lasting, first), what="another process of the application")


def answered_by_another(served: Serving, first: int) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return answer(served)[0] != first
    return False


def test_granians_own_process_is_started_again_and_takes_its_worker_along(lasting: Serving) -> None:
    first, _ = answer(lasting)
    parent = psutil.Process(first).ppid()
    assert parent != lasting.pid
    os.kill(parent, signal.SIGKILL)
    wait_for(lambda: not alive(first), what="the end of its worker")
    wait_for(lambda: answered_by_another(lasting, first), what="another web server")
    assert "The web server ended (killed by SIGKILL)" in lasting.log.read_text()


def test_the_database_is_started_again_where_it_was(lasting: Serving) -> None:
    _, address = answer(lasting)
    first = database_pid(lasting)
    os.kill(first, signal.SIGKILL)

    def back() -> bool:
        with contextlib.suppress(psycopg.OperationalError, StopIteration), psycopg.connect(address) as connection:
            return connection.execute("select 1").fetchone() == (1,) and database_pid(lasting) != first
        return False

    wait_for(back, what="the database")


def test_a_second_server_on_the_folder_says_whose_it_is_and_harms_nothing(lasting: Serving) -> None:
    second = run(Path(lasting.announced["data"]), "serve")
    assert second.returncode == 1
    assert f"in use by openstage serve (pid {lasting.pid}, since 20" in second.stderr
    assert "Traceback" not in second.stderr
    assert answer(lasting)


def test_a_taken_port_is_said_in_one_line(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        result = run(data, "serve", listen=f"127.0.0.1:{port}")
    assert result.returncode == 1
    assert result.stderr.strip() == (
        f"openstage: Can't listen on 127.0.0.1:{port}: Address already in use. "
        "Choose another address with OPENSTAGE_LISTEN."
    )


def test_an_address_of_another_machine_is_said_in_one_line(data: Path) -> None:
    result = run(data, "serve", listen="192.0.2.1:8080")
    assert result.returncode == 1
    assert "Can't listen on 192.0.2.1:8080" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("listen", "127.0.0.1:99999", "no port 99999"),
        ("database_url", "postgresql://x@127.0.0.1:1/x", "database does not answer"),
        ("storage_url", "nonsense://bucket", "nonsense"),
    ],
)
def test_a_setting_that_can_not_work_is_said_without_a_traceback(
    data: Path, setting: str, value: str, words: str
) -> None:
    result = run(data, "serve", **{setting: value})
    assert result.returncode == 1
    first = result.stderr.splitlines()[0]
    assert first.startswith("openstage: ")
    assert words in first
    assert "Traceback" not in result.stderr


def test_a_folder_that_can_not_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run(tmp_path / "file" / "data", "serve")
    assert result.returncode == 1
    assert "OPENSTAGE_DATA" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_newer_schema_is_refused_at_the_start(data: Path) -> None:
    with serve(data, *TRIVIAL, worker="false") as served, psycopg.connect(answer(served)[1]) as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    result = run(data, "serve")
    assert result.returncode == 1
    assert "9999" in result.stderr
    assert "newer" in result.stderr


def test_an_application_that_can_not_start_ends_the_server(data: Path) -> None:
    result = run(data, "serve", "--target", "tests.server.trivial:broken", worker="false")
    assert result.returncode == 1
    assert "The web server ended before it was ready" in result.stderr


def test_commands_work_beside_a_server_and_without_one(data: Path) -> None:
    alone = run(data, "app", "create", "--name", "alone", "--json")
    assert alone.returncode == 0, alone.stderr
    with serve(data, *TRIVIAL, worker="false"):
        beside = run(data, "app", "list", "--json")
        assert beside.returncode == 0, beside.stderr
        assert [app["name"] for app in json.loads(beside.stdout)] == ["alone"]


def test_migrate_says_what_there_is(data: Path) -> None:
    result = run(data, "migrate", "--check", "--json")
    assert result.returncode == 0, result.stderr
    said = json.loads(result.stdout)
    assert said["schema"] == said["newest"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_media_tool_is_left_and_publication_goes_on_at_the_next_start(data: Path, number: signal.Signals) -> None:
    with serve(data, "--first-app", encoder_threads="1") as served:
        client = Client(served)
        file_id = client.hand_in(make_clip(size="640x360", duration=4))
        wait_for(lambda: media_tools(served), within=60, what="ffmpeg")
        served.end(number)
    if number == signal.SIGINT:
        return  # what follows is the same
    with serve(data, "--first-app") as served:
        again = Client(served)
        wait_for(lambda: again.status(file_id)["code"] == "A00000", within=90, what="publication", every=0.2)


class Client:
    """A client of the first app."""

    def __init__(self, served: Serving) -> None:
        self._url = served.url
        credentials = {name: served.announced[name] for name in ("client_id", "client_secret")}
        self._token = self._get("/api/iqiyi/authorize", **credentials)["data"]["access_token"]

    def _get(self, path: str, **parameters: str) -> Any:
        return httpx.get(f"{self._url}{path}", params=parameters, timeout=30).json()

    def hand_in(self, file: Path) -> str:
        size, mine = file.stat().st_size, {"access_token": self._token}
        file_id = str(self._get("/openupload", **mine, filetype="mp4", filesize=str(size))["data"]["file_id"])
        headers = {"file_id": file_id, "range": f"0-{size - 1}", "file_size": str(size)}
        assert httpx.post(f"{self._url}/upload", content=file.read_bytes(), headers=headers).json()["code"] == "A00000"
        assert self._get("/api/file/info", **mine, file_id=file_id, file_name="n", description="d")["code"] == "A00000"
        assert self._get("/uploadfinish", **mine, file_id=file_id)["code"] == "A00000"
        return file_id

    def status(self, file_id: str) -> Any:
        return self._get("/api/file/fullStatus", access_token=self._token, file_id=file_id)


def media_tools(served: Serving) -> list[int]:
    found = []
    for pid in served.tree():
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).name().startswith("ffmpeg"):
                found.append(pid)
    return found


# --- the first app ----------------------------------------------------------------------------------------------
def test_the_first_app_is_made_once_and_told_at_each_start(data: Path) -> None:
    with serve(data, *TRIVIAL, "--first-app", worker="false") as served:
        first = served.announced
    assert len(first["client_id"]) == len(first["client_secret"]) == 32
    assert (data / "first-app.json").stat().st_mode & 0o777 == 0o600
    with serve(data, *TRIVIAL, "--first-app", worker="false") as served:
        assert served.announced["client_secret"] == first["client_secret"]
    rotated = run(data, "app", "rotate-secret", first["client_id"], "--json", secret_grace="0")
    assert rotated.returncode == 0, rotated.stderr
    with serve(data, *TRIVIAL, "--first-app", worker="false") as served:
        assert "client_id" not in served.announced  # what is kept no longer works, and there is an app


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_printed_lines_upload_a_file_and_ask_for_its_status(data: Path, tmp_path: Path) -> None:
    video = tmp_path / "我的 'video' & more.mp4"
    shutil.copy(make_clip(), video)
    process = subprocess.Popen(
        [*COMMAND, "serve", "--first-app"],
        env=environment(data),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=tmp_path,
    )
    served = Serving(process, tmp_path / "log")
    try:
        assert process.stdout is not None
        printed: list[str] = []
        while not printed or "fullStatus" not in printed[-1]:
            printed.append(process.stdout.readline())
            assert printed[-1], "".join(printed)
        lines = [line for line in printed if line.startswith("  ")]
        script = "".join(lines[lines.index("  file=video.mp4\n") + 1 :])
        result = subprocess.run(
            ["bash", "-c", "file=$1\n" + script, "bash", str(video)], capture_output=True, text=True, check=True
        )
        replies = [json.loads(line) for line in result.stdout.splitlines()]
        assert [reply["code"] for reply in replies[:3]] == ["A00000"] * 3
        assert replies[3]["code"] in {"A00000", "A00001"}
    finally:
        served.end()
        process.stdout and process.stdout.close()
