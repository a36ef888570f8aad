"""The code that docs/callbacks.md gives integrators verifies what we sign, and nothing else."""

import base64
import datetime as dt
import hashlib
import hmac
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openstage.client.karaoke.callbacks import callback_secret as clients_secret
from openstage.events.signing import callback_secret, headers
from openstage.settings import Settings
from tests.support.node import NODE

GUIDE = (Path(__file__).parents[2] / "docs" / "callbacks.md").read_text()
BODY = '{"type":"ugc.published","data":{"song_name":"七里香"}}'
OURS = callback_secret("5f7a0c1d")

Verify = Callable[[str, dict[str, str], bytes], bool]


def code(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    assert found
    return found[1]


def in_python(_: Path) -> Verify:
    names: dict[str, Any] = {}
    exec(code("python"), names)

    def verify(secret: str, fields: dict[str, str], body: bytes) -> bool:
        try:
            return bool(names["verify"](secret, fields, body) == json.loads(BODY))
        except ValueError:
            return False

    return verify


def in_node(folder: Path) -> Verify:
    (folder / "verify.mjs").write_text(code("js"))
    (folder / "ask.mjs").write_text(
        """
        import { readFileSync } from "node:fs";
        import { isDeepStrictEqual } from "node:util";
        import { verify } from "./verify.mjs";
        const [secret, fields, body, expected] = JSON.parse(readFileSync(0, "utf8"));
        let found;
        try { found = verify(secret, fields, Buffer.from(body, "base64")); } catch (error) { found = String(error); }
        console.log(isDeepStrictEqual(found, expected));
        """
    )

    def verify(secret: str, fields: dict[str, str], body: bytes) -> bool:
        asked = json.dumps([secret, fields, base64.b64encode(body).decode(), json.loads(BODY)])
        run = subprocess.run([NODE, folder / "ask.mjs"], input=asked, capture_output=True, text=True, check=True)
        return {"true\n": True, "false\n": False}[run.stdout]

    return verify


def in_java(folder: Path) -> Verify:
    if shutil.which("java") is None or shutil.which("javac") is None:
        pytest.skip("no Java development kit")
    ask = """
        class Ask {
            public static void main(String[] given) throws Exception {
                byte[] body = java.util.Base64.getDecoder().decode(given[4]);
                for (int i = 1; i < 4; i++) {
                    given[i] = given[i].equals("missing") ? null : given[i];
                }
                System.out.println(Callbacks.verify(given[0], given[1], given[2], given[3], body));
            }
        }
    """
    (folder / "Ask.java").write_text(code("java") + ask)
    subprocess.run(["javac", "Ask.java"], cwd=folder, check=True)

    def verify(secret: str, fields: dict[str, str], body: bytes) -> bool:
        sent = [fields.get(f"webhook-{name}", "missing") for name in ("id", "timestamp", "signature")]
        command = ["java", "-Xshare:auto", "-cp", str(folder), "Ask", secret, *sent, base64.b64encode(body).decode()]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        return {"true\n": True, "false\n": False}[run.stdout]

    return verify


def in_php(folder: Path) -> Verify:
    if shutil.which("php") is None:
        pytest.skip("no PHP")
    # The guide's page, told by a file what a web server would tell it.
    page = code("php").replace("php://input", str(folder / "body"))
    (folder / "page.php").write_text(f"{page}\necho json_encode($event == json_decode(base64_decode($argv[1]), true));")

    def verify(secret: str, fields: dict[str, str], body: bytes) -> bool:
        (folder / "body").write_bytes(body)
        told = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in fields.items()}
        command = ["php", "-d", "variables_order=EGPCS", "page.php", base64.b64encode(BODY.encode()).decode()]
        environment = {"CALLBACK_SECRET": secret, "PATH": "/usr/bin:/bin", **told}
        run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert run.returncode in (0, 255), run.stderr  # 255: it threw
        return run.returncode == 0 and run.stdout == "true"

    return verify


@pytest.mark.parametrize(
    "made",
    [in_python, in_node, pytest.param(in_java, marks=pytest.mark.slow), pytest.param(in_php, marks=pytest.mark.slow)],
)
def test_the_guides_code_believes_what_we_sign_and_nothing_else(made: Callable[[Path], Verify], tmp_path: Path) -> None:
    verify = made(tmp_path)
    now = dt.datetime.now(dt.UTC)
    signed = headers("evt_1", BODY, now, [callback_secret("the next"), OURS])
    assert verify(OURS, signed, BODY.encode())
    assert verify(callback_secret("the next"), signed, BODY.encode())
    assert not verify(callback_secret("another"), signed, BODY.encode())
    assert not verify(OURS, signed, BODY.replace("published", "refused").encode())
    assert not verify(OURS, signed | {"webhook-id": "evt_2"}, BODY.encode())
    for minutes in (-6, 6):
        late = headers("evt_1", BODY, now + dt.timedelta(minutes=minutes), [OURS])
        assert not verify(OURS, late, BODY.encode())
    # What anybody may send is an answer of "no", and no failure of another kind.
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        assert not verify(OURS, {other: value for other, value in signed.items() if other != name}, BODY.encode())
        for value in ("", "now", "v1", "v1,", "v1,=", "v1,好"):
            assert not verify(OURS, signed | {name: value}, BODY.encode())


def test_the_secret_is_what_the_guide_says() -> None:
    assert "HMAC-SHA256 over the text `openstage-callbacks`" in GUIDE
    digest = hmac.new(b"5f7a0c1d", b"openstage-callbacks", hashlib.sha256).digest()
    assert OURS == "whsec_" + base64.b64encode(digest).decode() == clients_secret("5f7a0c1d")
    if shutil.which("openssl"):
        found = re.search(r"```sh\n(printf openstage-callbacks .*?)\n```", GUIDE)
        assert found
        shell = ["sh", "-c", found[1]]
        run = subprocess.run(shell, env={"CLIENT_SECRET": "5f7a0c1d"}, capture_output=True, text=True, check=True)
        assert run.stdout.strip() == OURS


def test_the_guides_schedule_is_the_settings() -> None:
    names = {"s": 1, "min": 60, "h": 3600}
    row = re.search(r"\| after \| (.*) \|", GUIDE)
    assert row
    told = [int(number) * names[unit] for number, unit in (cell.split() for cell in row[1].split(" | "))]
    assert told == Settings.model_fields["callback_retries"].default
