"""The examples of the documents run as they stand."""

import asyncio
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.client.fake_cloud import FakeCloud
from tests.support.fixtures import make_clip
from tests.support.openstage_server import OpenstageServer

ROOT = Path(__file__).parent.parent.parent
GUIDE = ROOT / "docs" / "python-client.md"


def test_the_guide_runs_from_top_to_bottom(
    fake: FakeCloud, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    film.rename("holiday.mp4")
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert len(blocks) >= 5
    names: dict[str, Any] = {"client_id": "app", "client_secret": "s3cret-of-app", "__name__": "guide"}
    for block in blocks:
        exec(compile(block.replace("http://127.0.0.1:8080", fake.address), str(GUIDE), "exec"), names)
    printed = capsys.readouterr().out
    assert "http://page/" in printed
    assert "100% of 51234 bytes" in printed
    assert names["titles"] == ["Holiday", "holiday", "Holiday"]
    assert not fake.files  # delete_all was the last


def test_every_error_and_export_is_in_the_guide() -> None:
    import openstage.client as package  # noqa: PLC0415

    guide = GUIDE.read_text()
    groups = {"VideoStateError", "TokenStore", "Page", "Status", "Video", "Addresses", "State"}
    assert not [name for name in package.__all__ if f"{name}" not in guide and name not in groups]


@pytest.fixture
def credentials(openstage: OpenstageServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An app of its own on the shared server, in the variables that the examples read."""
    made = openstage.create_app()
    monkeypatch.setenv("OPENSTAGE_SERVER", openstage.address)
    for name, value in made.items():
        monkeypatch.setenv(f"OPENSTAGE_{name.upper()}", value)
    return made


@pytest.mark.usefixtures("credentials")
def test_upload_and_wait(
    openstage: OpenstageServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["upload_and_wait.py", str(make_clip(size="160x90", duration=1))])
    runpy.run_path(str(ROOT / "examples" / "upload_and_wait.py"), run_name="__main__")
    told = capsys.readouterr()
    assert told.out.startswith(f"{openstage.address}/w/")
    assert "100.0%" in told.err
    assert "published" in told.err


@pytest.mark.usefixtures("credentials")
def test_upload_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("one.mp4", "二.MP4"):
        (folder / name).write_bytes(b"no video, but a file: " + name.encode())
    (folder / "empty.mov").touch()
    (folder / "notes.txt").write_text("not a video")
    example = runpy.run_path(str(ROOT / "examples" / "upload_folder.py"))
    asyncio.run(example["main"](folder))
    lines = sorted(capsys.readouterr().out.splitlines())
    assert [re.sub("[0-9a-f]{32}", "ID", line.split(": /")[0]) for line in lines] == [
        "empty.mov: the file is empty",
        "one.mp4: ID",
        "二.MP4: ID",
    ]
