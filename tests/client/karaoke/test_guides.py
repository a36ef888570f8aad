"""What the guides say is so: their code runs, their lines work in a shell, their tables are whole."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import openstage.client.karaoke as package
from openstage.dialects.karaoke.errors import CODES, FAILURE
from openstage.dialects.karaoke.fields import LinkFields
from openstage.dialects.karaoke.ugcs import UgcInfo
from tests.support.fixtures import make_clip
from tests.support.openstage_server import OpenstageServer
from tests.support.phone import Phone
from tests.support.waiting import wait_for

DOCS = Path(__file__).parents[3] / "docs"
CLIENT = DOCS / "karaoke-client.md"
SIGN_IN = DOCS / "karaoke-sign-in.md"
DIALECT = DOCS / "karaoke-dialect.md"


def test_the_clients_guide_runs_from_top_to_bottom(
    openstage: OpenstageServer,
    credentials: tuple[str, str],
    phone: Phone,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("song.mp3").write_bytes(make_clip("mp3", None, "mp3", duration=2).read_bytes())
    printed: list[str] = []
    appid, secret = credentials
    names: dict[str, Any] = {"appid": appid, "secret": secret, "print": lambda *words: printed.append(f"{words}")}
    blocks = re.findall(r"```python\n(.*?)```", CLIENT.read_text(), re.DOTALL)

    def confirm() -> None:
        wait_for(lambda: any("/qr/" in line for line in printed), what="the address of the QR code")
        phone.decide(re.findall(r"http[^']+/qr/\w+", "".join(printed))[0])

    with ThreadPoolExecutor() as pool:
        deciding = pool.submit(confirm)
        for block in blocks:
            code = block.replace("http://127.0.0.1:8080", openstage.address)
            exec(compile(code, str(CLIENT), "exec"), names)
        deciding.result()
    assert any("/s/" in line for line in printed)
    assert "('nobody came',)" in printed
    assert "('100%',)" in printed
    assert "/play/" in names["address"] or ".m3u8" in names["address"]


def test_the_lines_of_the_sign_in_guide_sign_somebody_in(
    openstage: OpenstageServer, credentials: tuple[str, str], phone: Phone
) -> None:
    script = "".join(re.findall(r"```sh\n(.*?)```", SIGN_IN.read_text(), re.DOTALL))
    filled = (
        script.replace("http://127.0.0.1:8080", openstage.address)
        .replace("APPID=…", f"APPID={credentials[0]}")
        .replace("SECRET=…", f"SECRET={credentials[1]}")
        .replace("--user 小明", f'--user "{phone.name}"')
    )
    assert "…" not in filled
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.run(
        ["bash", "-euc", filled.replace("\ncurl", "\necho; curl")],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env=dict(openstage.environment) | {"PATH": path},
    )
    assert run.returncode == 0, run.stderr
    assert f"{openstage.address}/qr/" in run.stdout
    assert re.search(r"^[A-Z]{4}-[A-Z]{4}$", run.stdout, re.MULTILINE)
    assert '"code":0,"msg":"请求成功","data":{"has_more":' in run.stdout
    assert re.search(
        r'^\{"access_token":"[^"]+","expires_in":\d+,"error_code":0,"error_msg":""\}', run.stdout, re.MULTILINE
    )


def test_the_reference_names_every_code_and_every_field() -> None:
    text = DIALECT.read_text()
    rows = "\n".join(re.findall(r"^\| [0-9, ]+ \|", text, re.MULTILINE))
    assert not [code for code in {*CODES.values(), FAILURE, 1110, 1111, 1112, 1113} if str(code) not in rows]
    fields = [*LinkFields.__struct_fields__, *UgcInfo.__struct_fields__]
    assert not [
        name for name in fields if f"`{name}" not in text and f"{name}`" not in text and f" {name}," not in text
    ]


def test_the_clients_guide_names_every_export() -> None:
    guide = CLIENT.read_text()
    results = {"Event", "Progress", "Recording", "Song", "TicketState", "TicketStatus", "UserInfo", "WorkPage"}
    assert not [name for name in package.__all__ if name not in guide and name not in results]
