"""Scratch folders go with their worker, however it ends."""

import os
import time
from pathlib import Path

import pytest

from openstage.errors import Unavailable
from openstage.publishing.scratch import Scratch


def test_a_job_folder_is_fresh_and_goes_with_the_job(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "scratch")
    with scratch.job_folder("run") as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_text("x")
    assert not folder.exists()
    scratch.close()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_folder_goes_with_an_error_too(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    with pytest.raises(ValueError, match="broken"), scratch.job_folder("run") as folder:
        raise ValueError("broken")
    assert not folder.exists()


def test_living_neighbours_are_left_alone_and_dead_ones_removed(tmp_path: Path) -> None:
    ours, neighbour = Scratch(tmp_path), Scratch(tmp_path)
    for number in (7, 8, 7):
        neighbour.note_worker(number)
    assert ours.remove_dead() == []
    assert neighbour.folder.exists()
    os.close(neighbour._lock)  # as its death does
    assert ours.remove_dead() == [7, 8]
    assert not neighbour.folder.exists()
    assert ours.remove_dead() == []
    assert ours.folder.exists()


def test_what_is_just_being_made_is_left_alone(tmp_path: Path) -> None:
    ours = Scratch(tmp_path)
    young, old = tmp_path / ".young", tmp_path / ".old"
    young.mkdir()
    half_removed = tmp_path / "half-removed"
    (half_removed / "run").mkdir(parents=True)
    old.mkdir()
    for folder in (old, half_removed):
        os.utime(folder, (time.time() - 10_000,) * 2)
    (tmp_path / "not a scratch folder").write_text("x")
    ours.remove_dead()
    assert sorted(path.name for path in tmp_path.iterdir() if path != ours.folder) == [".young", "not a scratch folder"]


def test_a_place_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(Unavailable, match="can't be written"):
        Scratch(tmp_path / "file")
