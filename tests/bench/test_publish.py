"""The measurement of publication runs from end to end, on a short sound, at which its figures mean nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.publish.plan import PARTS, Plan


def test_parts_are_named_or_all_are_run() -> None:
    assert Plan.read([]).parts == PARTS
    assert Plan.read(["kill", "play"]).parts == ("play", "kill")
    with pytest.raises(ValueError, match="paly"):
        Plan.read(["paly"])


def test_a_small_run_measures_time_to_play(tmp_path: Path) -> None:
    results, scratch, cache = (tmp_path / name for name in ("results", "scratch", "cache"))
    scratch.mkdir()
    environment = os.environ | {
        "BENCH_SCALE": "0.01",
        "BENCH_SOURCES": "f",
        "BENCH_RESULTS": str(results),
        "BENCH_CACHE": str(cache),
        "TMPDIR": str(scratch),
    }
    command = [sys.executable, "-m", "bench", "publish", "play"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert run.returncode == 0, run.stdout + run.stderr

    (file,) = results.glob("*-publish-play-*.json")
    (section,) = json.loads(file.read_text())["sections"]
    assert section["left_out"] == []
    measured, told, reference = section["rows"]
    assert measured["median"] >= told["median"] > 0
    assert measured["ratios"]["encode everything"]["median"] > 0
    assert reference["median"] > 0
    assert list(scratch.iterdir()) == []
