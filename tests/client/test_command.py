"""`openstage upload`: shows what it does, and a killed run is gone on with."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from openstage.cli import app
from tests.client.conftest import PIECE
from tests.client.fake_cloud import FakeCloud
from tests.support.waiting import wait_for

PIECES = f"--piece-size={PIECE / 1024**2!r}"


def variables_for(fake: FakeCloud, **others: str) -> dict[str, str]:
    """Environment that names the server and its app."""
    given = {"OPENSTAGE_SERVER": fake.address, "OPENSTAGE_CLIENT_ID": "app", "OPENSTAGE_CLIENT_SECRET": "s3cret-of-app"}
    return {**given, **others}


def run(fake: FakeCloud, *arguments: str, **variables: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(app, ["upload", *arguments], env=variables_for(fake, **variables))


def start(fake: FakeCloud, *arguments: str) -> "subprocess.Popen[str]":
    """Run the command in a process of its own, that can be killed."""
    return subprocess.Popen(
        [sys.executable, "-m", "openstage.cli", "upload", *arguments],
        env={**os.environ, **variables_for(fake)},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_file_is_uploaded_and_published(fake: FakeCloud, film: Path) -> None:
    done = run(fake, str(film), "--title", "[b]Film[/b]", "--tags", "a, b,", "--category", "16", "--wait")
    assert done.exit_code == 0, done.stderr
    [file_id] = fake.files
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Uploaded [b]Film[/b]: 50.0 KiB, ")
    assert lines[1] == f"file_id {file_id}"
    assert lines[2].endswith(" s: http://page/")
    file = fake.the_file()
    assert file.whole() == film.read_bytes()
    assert file.metadata is not None
    assert (file.metadata["tags"], file.metadata["file_type"]) == ("a,b", "16")


def test_scripts_get_one_json_object(fake: FakeCloud, film: Path) -> None:
    done = run(fake, str(film), "--json", "--uid", "alice")
    told = json.loads(done.stdout)
    assert told["file_id"] in fake.files
    assert (told["size"], told["state"], told["resumed"]) == (51234, "publishing", 0)
    assert fake.the_file().user == "person:alice"
    assert done.stderr == ""


@pytest.mark.parametrize("status_call", [False, True])
def test_a_killed_upload_is_gone_on_with(
    status_call: bool, fake: FakeCloud, fake_with_status: FakeCloud, film: Path
) -> None:
    cloud = fake_with_status if status_call else fake
    cloud.fail("upload", "none", 3)
    cloud.fail("upload", "stall", 9)
    with start(cloud, str(film), PIECES, "--parallel", "1") as process:
        wait_for(lambda: cloud.stalled, what="the fourth piece")
        process.send_signal(signal.SIGKILL)
    cloud.faults.clear()
    cloud.seen.clear()
    done = run(cloud, str(film), PIECES, "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["resumed"] == 3 * PIECE
    assert cloud.bytes_sent() == 51234 - 3 * PIECE
    assert cloud.the_file().whole() == film.read_bytes()
    assert cloud.the_file().state == "finished"


def test_an_interrupted_upload_says_how_to_go_on(fake: FakeCloud, film: Path) -> None:
    fake.fail("upload", "none")
    fake.fail("upload", "stall", 9)
    with start(fake, str(film), PIECES) as process:
        wait_for(lambda: fake.stalled == 3, what="pieces under way")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "openstage: stopped; the same command goes on where it stopped"
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "variables", "status", "said"),
    [
        (["FILE"], {"OPENSTAGE_CLIENT_SECRET": ""}, 2, "OPENSTAGE_CLIENT_SECRET"),
        (["FILE"], {"OPENSTAGE_CLIENT_SECRET": "wr0ng"}, 1, "A21324"),
        (["FILE", "--server", "nowhere"], {}, 1, "not an address"),
        (["nothing.mp4"], {}, 2, "nothing.mp4"),
        (["FILE", "--parallel", "0"], {}, 2, "--parallel"),
    ],
)
def test_what_goes_wrong_is_said(
    arguments: list[str], variables: dict[str, str], status: int, said: str, fake: FakeCloud, film: Path
) -> None:
    done = run(fake, *[str(film) if each == "FILE" else each for each in arguments], **variables)
    assert done.exit_code == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "wr0ng" not in done.stderr
    assert not fake.files
