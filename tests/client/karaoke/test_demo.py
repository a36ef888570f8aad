"""`openstage demo karaoke` against a real server, and the parts it is made of."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest
import zxingcpp
from typer.testing import CliRunner

from openstage.cli import app
from openstage.cli.demo_karaoke import qr_rows
from openstage.client.karaoke import callback_secret
from openstage.demo.receiver import NoCallbackError, receiving
from openstage.demo.song import make_song
from tests.conftest import free_port
from tests.support.openstage_server import OpenstageServer

ADDRESS = "http://192.168.100.200:8080/qr/abcdefghijkm"


def test_the_terminal_shows_a_qr_code_that_a_phone_reads() -> None:
    light = {" ": (0, 0), "▀": (1, 0), "▄": (0, 1), "█": (1, 1)}
    rows = [list(zip(*(light[character] for character in row), strict=True)) for row in qr_rows(ADDRESS)]
    modules = np.array([line for upper_and_lower in rows for line in upper_and_lower], dtype=np.uint8)
    picture = np.kron(modules, np.full((6, 6), 255, dtype=np.uint8))
    assert [found.text for found in zxingcpp.read_barcodes(picture)] == [ADDRESS]
    assert len(rows) <= 24  # it fits a terminal's smallest window with the lines around it
    assert len(rows[0][0]) <= 80


def test_the_demonstration_goes_the_whole_way(
    openstage: OpenstageServer, credentials: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openstage.demo.song.SECONDS", 2)
    for name, value in openstage.environment.items():
        if name.startswith("OPENSTAGE_"):
            monkeypatch.setenv(name, value)
    given = ["--client-id", credentials[0], "--client-secret", credentials[1]]
    done = CliRunner().invoke(
        app, ["demo", "karaoke", "--base-url", openstage.address, *given, "--confirm", "--keep", "--json"]
    )
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    names = [step["name"] for step in told["steps"]]
    assert names[-2:] == ["Hide it", "Delete it"]
    assert names.count("Hear the callback") == 2
    notes = {step["name"]: step["note"] for step in told["steps"]}
    assert notes["Hear the callback"].startswith("ugc.published, signed, evt_")
    assert "2.0 s decoded without an error" in notes["Play it to the end"]
    assert httpx.get(told["share_url"]).status_code == 200  # kept
    assert "The page must show" in done.stderr


def test_the_melody_is_what_a_phone_would_send(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openstage.demo.song.SECONDS", 2)
    make_song(tmp_path / "song.mp3")
    assert (tmp_path / "song.mp3").stat().st_size > 30_000


def test_the_receiver_believes_only_what_is_signed(tmp_path: Path) -> None:
    (tmp_path / "七里香.mp3").write_bytes(b"sound")
    with receiving(callback_secret("secret")) as receiver:
        assert httpx.get(receiver.offer(tmp_path / "七里香.mp3")).content == b"sound"
        assert httpx.get(receiver.address + "/other").status_code == 404
        assert httpx.post(receiver.callback_url, json={"type": "ugc.published", "data": {}}).status_code == 400
        with pytest.raises(NoCallbackError, match="was not believed"):
            receiver.wait("ugc", {"ugc.published"}, 0.1)


@pytest.mark.slow
def test_the_demonstration_with_a_server_of_its_own(tmp_path: Path) -> None:
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENSTAGE_")}
    environment |= {"OPENSTAGE_LISTEN": "127.0.0.1:0", "OPENSTAGE_DATA": str(tmp_path / "none")}
    command = [sys.executable, "-m", "openstage.cli", "demo", "karaoke", "--confirm", "--json"]
    command += ["--public-url", f"http://localhost:{port}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["own_server"] is True
    assert told["share_url"].startswith(f"http://localhost:{port}/s/")
    assert [step["name"] for step in told["steps"]].count("Delete it") == 2
    assert not (tmp_path / "none").exists()
