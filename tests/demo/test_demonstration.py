"""`openstage demo music`, the whole way, as somebody runs it who has nothing yet."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.licensing.papers import qr_of, text_of
from tests.support.server import free_port

STEPS = [
    "Start a server of its own",
    "Synthesise music",
    "Import them",
    "Search",
    "Preview",
    "Buy a licence",
    "Download",
    "Fetch the certificate",
    "Verify it, offline",
]


@pytest.mark.slow
def test_from_an_empty_folder_to_a_proven_licence(tmp_path: Path) -> None:
    out = tmp_path / "bought 音乐"
    env = {name: value for name, value in os.environ.items() if not name.startswith("OPENSTAGE_")}
    env |= {"OPENSTAGE_DATA": str(tmp_path / "none"), "OPENSTAGE_LISTEN": f"127.0.0.1:{free_port()}"}
    command = [sys.executable, "-m", "openstage.cli"]
    done = subprocess.run(
        [*command, "demo", "music", "--pieces", "6", "--out", str(out), "--json"],
        env=env, cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [step["name"] for step in told["steps"]] == STEPS
    paper = (out / "certificate.pdf").read_bytes()
    assert qr_of(paper) == told["page_url"]
    assert "彩云之南" in text_of(paper)
    assert (out / "彩云之南 - 苏婉.mp3").stat().st_size > 100_000
    # Its server and its data are gone: what is left proves the licence.
    verified = subprocess.run(
        [*command, "certificate", "verify", str(out / "certificate.pdf"), "--keys", str(out / "keys.json")],
        env=env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert verified.returncode == 0, verified.stderr
    assert "云上剧场" in verified.stdout
