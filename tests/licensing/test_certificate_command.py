"""`openstage certificate …`, as an operator and as a stranger with nothing but the file and the public keys run it."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from openstage.cli.certificate import app
from openstage.settings import Settings
from openstage.storage.objects import open_store
from tests.licensing.papers import make_certificate, make_signer
from tests.licensing.shelf import add_item
from tests.licensing.shop import Shop


def verify_far_away(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run `verify` on a machine that has no server, no database, and no way out."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("OPENSTAGE_")}
    env |= {"OPENSTAGE_DATA": "/nonexistent", "OPENSTAGE_DATABASE_URL": "postgresql://127.0.0.1:1/none"}
    command = [sys.executable, "-m", "openstage.cli", "certificate", "verify", *map(str, arguments)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


Operate = Callable[..., Awaitable[str]]


@pytest.fixture
def operate(module_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Operate:
    """Run a command beside the server, in this process (a thread, as commands have an event loop of their own)."""
    monkeypatch.setenv("OPENSTAGE_DATA", str(module_settings.data))
    monkeypatch.setenv("OPENSTAGE_DATABASE_URL", module_settings.database_url)

    async def run(*arguments: str | Path) -> str:
        done = await asyncio.to_thread(CliRunner().invoke, app, [*map(str, arguments)])
        assert done.exit_code == 0, done.output
        return str(done.stdout)

    return run


async def test_a_certificate_from_the_operator_to_the_stranger(
    shop: Shop, operate: Operate, module_settings: Settings, tmp_path: Path
) -> None:
    item = await add_item(shop.database, open_store(module_settings), title="彩云之南")
    purchase = await shop.buy(await shop.customer("Studio"), item, "云上剧场")
    paper, keys = tmp_path / "证书.pdf", tmp_path / "keys.json"

    shown = json.loads(await operate("show", purchase.id, "--out", paper, "--json"))
    assert (shown["number"], shown["standing"]) == (purchase.number, "valid")
    keys.write_text(await operate("keys", "export"))
    rotated = json.loads(await operate("keys", "rotate", "--json"))
    listed = json.loads(await operate("keys", "list", "--json"))
    assert [(key["key_id"], key["signs"]) for key in listed] == [(rotated["key_id"], True), (shown["key_id"], False)]
    assert "BEGIN PUBLIC KEY" in await operate("keys", "export", "--pem", shown["key_id"])

    far_away = verify_far_away(paper, "--keys", keys, "--json")
    assert far_away.returncode == 0, far_away.stderr
    verified = json.loads(far_away.stdout)
    assert (verified["valid"], verified["key_id"]) == (True, shown["key_id"])
    assert verified["facts"]["licensee"]["name"] == "云上剧场"

    await shop.licensing.refund(purchase.id, "mistake")
    assert json.loads(await operate("verify", paper, "--json"))["standing"] == "refunded"


def test_what_was_changed_or_comes_from_elsewhere_is_refused(tmp_path: Path) -> None:
    ours, stranger = make_signer(1), make_signer(2)
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [ours.jwk]}))
    paper = tmp_path / "certificate.pdf"

    paper.write_bytes(make_certificate(stranger))
    done = verify_far_away(paper, "--keys", keys, "--json")
    assert (done.returncode, json.loads(done.stdout)["reason"]) == (1, "unknown_key")

    genuine = make_certificate(ours)
    paper.write_bytes(genuine[:1000] + bytes([genuine[1000] ^ 1]) + genuine[1001:])
    done = verify_far_away(paper, "--keys", keys)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "changed" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("keys", "said"),
    [("{}", "no list of public keys"), (None, "can't be read")],
)
def test_what_is_wrong_with_the_keys_is_said(tmp_path: Path, keys: str | None, said: str) -> None:
    (tmp_path / "paper.pdf").write_bytes(b"%PDF-")
    if keys is not None:
        (tmp_path / "keys.json").write_text(keys)
    done = verify_far_away(tmp_path / "paper.pdf", "--keys", tmp_path / "keys.json")
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
