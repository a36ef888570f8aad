"""The benchmark runs from end to end, at a size at which its figures mean nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path


def test_a_small_run_measures_every_part_and_leaves_nothing_behind(tmp_path: Path) -> None:
    results, scratch = tmp_path / "results", tmp_path / "scratch"
    scratch.mkdir()
    environment = os.environ | {
        "BENCH_SCALE": "0.002",
        "BENCH_WITHOUT": "tus",  # it would be fetched from npm
        "BENCH_RESULTS": str(results),
        "TMPDIR": str(scratch),
    }
    command = [sys.executable, "-m", "bench"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert run.returncode == 0, run.stdout + run.stderr

    (file,) = results.glob("*.json")
    sections = {section["title"].split()[0]: section for section in json.loads(file.read_text())["sections"]}
    assert set(sections) == {"Uploads", "Ranged", "Small", "Memory"}
    ours = [row for row in sections["Uploads"]["rows"] if row["ours"]]
    assert len(ours) == 4  # raw and multipart, one and four at once; below 4 MiB there is one size of piece
    assert all(row["median"] > 0 and row["reached"] in {True, False} for row in ours)
    assert sections["Memory"]["rows"]
    assert file.with_suffix(".md").read_text().startswith("# Measured on")
    assert list(scratch.iterdir()) == []
