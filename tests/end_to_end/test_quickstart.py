"""The lines of docs/quickstart.md, pasted into a shell, do what they say."""

import json
import os
import re
import subprocess
from pathlib import Path

from tests.support.fixtures import make_clip
from tests.support.openstage_server import OpenstageServer

DOCUMENT = Path(__file__).parents[2] / "docs" / "quickstart.md"


def test_the_curl_lines_upload_a_video(openstage: OpenstageServer, tmp_path: Path) -> None:
    block = re.search(r"## 2\..*?```sh\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert block is not None
    credentials = openstage.create_app()
    clip = tmp_path / "假 期.mp4"
    clip.write_bytes(make_clip("mp4", size="320x180", duration=1).read_bytes())
    filled = (
        block[1]
        .replace("http://127.0.0.1:8080", openstage.address)
        .replace("CLIENT_ID=…", f"CLIENT_ID={credentials['client_id']}")
        .replace("CLIENT_SECRET=…", f"CLIENT_SECRET={credentials['client_secret']}")
        .replace("FILE=holiday.mp4", f'FILE="{clip}"')
    )
    assert "…" not in filled
    script = filled.replace("\ncurl", "\necho; curl")
    run = subprocess.run(
        ["bash", "-euc", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={"PATH": os.environ["PATH"]},
    )
    replies = [json.loads(line) for line in run.stdout.splitlines() if line.strip()]
    assert [reply["code"] for reply in replies][:3] == ["A00000"] * 3
    assert replies[-1]["code"] in {"A00000", "A00001"}
