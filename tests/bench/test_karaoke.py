"""The measurement of karaoke runs from end to end, at a size at which its figures mean nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.karaoke.plan import PARTS, Plan


def test_parts_are_named_or_all_are_run() -> None:
    assert Plan.read([]).parts == PARTS
    assert Plan.read(["upload", "poll"]).parts == ("poll", "upload")
    with pytest.raises(ValueError, match="pool"):
        Plan.read(["pool"])


@pytest.mark.slow
def test_a_small_run_measures_every_part(tmp_path: Path) -> None:
    results, scratch = tmp_path / "results", tmp_path / "scratch"
    scratch.mkdir()
    environment = os.environ | {"BENCH_SCALE": "0.002", "BENCH_RESULTS": str(results), "TMPDIR": str(scratch)}
    command = [sys.executable, "-m", "bench", "karaoke"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert run.returncode == 0, run.stdout + run.stderr

    (file,) = results.glob("*-karaoke-*.json")
    calls, poll, wait, upload = json.loads(file.read_text())["sections"]
    assert [section["left_out"] for section in (calls, poll, wait, upload)] == [[]] * 4
    assert calls["rows"][0]["ratios"]["bare granian"]["median"] > 0
    assert poll["rows"][0]["median"] > 0
    assert wait["rows"][0]["reached"] is True  # all were answered
    assert upload["rows"][0]["reached"] is True  # none was lost
    assert list(scratch.iterdir()) == []
