"""One owner per data folder, and clear words for whoever comes second."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import openstage
from openstage.database.errors import DataFolderBusy
from openstage.database.ownership import DataFolder


def test_a_server_refuses_a_folder_that_another_server_holds_and_says_whose_it_is(tmp_path: Path) -> None:
    first, second = DataFolder(tmp_path), DataFolder(tmp_path)
    first.own("serve", embedded=True)
    with pytest.raises(
        DataFolderBusy, match=rf"in use by openstage serve \(pid {os.getpid()}, since 20\d\d-"
    ) as caught:
        second.own("serve", embedded=True)
    assert "\n" not in caught.value.message
    first.disown()
    second.own("serve", embedded=True)
    second.disown()


def test_a_server_waits_for_a_command_that_holds_the_folder_for_a_moment(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.database.program", str(tmp_path)],
        cwd=Path(openstage.__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"postgresql://")
    place = DataFolder(tmp_path)
    assert not place.try_own("serve", embedded=True)
    assert process.stdin is not None
    process.stdin.close()
    place.own("serve", embedded=True, patience=20.0)
    assert process.wait(10) == 0
    place.disown()
    process.stdout.close()


def test_a_command_that_does_not_end_is_named(tmp_path: Path) -> None:
    holder, place = DataFolder(tmp_path), DataFolder(tmp_path)
    holder.own("command", embedded=True)
    with pytest.raises(DataFolderBusy, match=f"another openstage command .pid {os.getpid()}"):
        place.own("serve", embedded=True, patience=0.2)
    holder.disown()


def test_a_lock_ends_with_its_holder(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.database.program", str(tmp_path), "serve-lock"],
        cwd=Path(openstage.__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"owned\n"
        process.kill()
        process.wait()
        place = DataFolder(tmp_path)
        place.own("serve", embedded=True, patience=5.0)
        place.disown()
