"""`openstage certificate …`, as an operator and as a stranger with nothing but the file and the public keys run it."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from openstage.settings import Settings
from openstage.storage.objects import open_store
from tests.licensing.papers import make_certificate, make_signer
from tests.licensing.shelf import add_item
from tests.licensing.shop import Shop


def run(settings: Settings | None, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run the command; without settings on a machine that has no server, no database, and no way out."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("OPENSTAGE_")}
    if settings:
        env |= {"OPENSTAGE_DATA": str(settings.data), "OPENSTAGE_DATABASE_URL": settings.database_url}
    else:
        env |= {"OPENSTAGE_DATA": "/nonexistent", "OPENSTAGE_DATABASE_URL": "postgresql://127.0.0.1:1/none"}
    command = [sys.executable, "-m", "openstage.cli", "certificate", *map(str, arguments)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def answer(done: "subprocess.CompletedProcess[str]") -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def test_a_certificate_from_the_operator_to_the_stranger(
    shop: Shop, module_settings: Settings, tmp_path: Path
) -> None:
    item = await add_item(shop.database, open_store(module_settings), title="彩云之南")
    purchase = await shop.buy(await shop.customer("Studio"), item, "云上剧场")
    paper, keys = tmp_path / "证书.pdf", tmp_path / "keys.json"

    shown = answer(run(module_settings, "show", str(purchase.id), "--out", paper, "--json"))
    assert (shown["number"], shown["standing"]) == (purchase.number, "valid")
    keys.write_text(run(module_settings, "keys", "export").stdout)
    rotated = answer(run(module_settings, "keys", "rotate", "--json"))
    listed = answer(run(module_settings, "keys", "list", "--json"))
    assert [(key["key_id"], key["signs"]) for key in listed] == [(rotated["key_id"], True), (shown["key_id"], False)]
    assert "BEGIN PUBLIC KEY" in run(module_settings, "keys", "export", "--pem", shown["key_id"]).stdout

    verified = answer(run(None, "verify", paper, "--keys", keys, "--json"))
    assert (verified["valid"], verified["key_id"]) == (True, shown["key_id"])
    assert verified["facts"]["licensee"]["name"] == "云上剧场"

    await shop.licensing.refund(purchase.id, "mistake")
    assert answer(run(module_settings, "verify", paper, "--json"))["standing"] == "refunded"


def test_what_was_changed_or_comes_from_elsewhere_is_refused(tmp_path: Path) -> None:
    ours, stranger = make_signer(1), make_signer(2)
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [make_jwk(ours.key_id, ours.public)]}))
    paper = tmp_path / "certificate.pdf"

    paper.write_bytes(make_certificate(stranger))
    done = run(None, "verify", paper, "--keys", keys, "--json")
    assert (done.returncode, json.loads(done.stdout)["reason"]) == (1, "unknown_key")

    genuine = make_certificate(ours)
    paper.write_bytes(genuine[:1000] + bytes([genuine[1000] ^ 1]) + genuine[1001:])
    done = run(None, "verify", paper, "--keys", keys)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "changed" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("keys", "said"),
    [("{}", "no list of public keys"), ('{"keys": []}', "no Ed25519 key"), (None, "can't be read")],
)
def test_what_is_wrong_with_the_keys_is_said(tmp_path: Path, keys: str | None, said: str) -> None:
    (tmp_path / "paper.pdf").write_bytes(b"%PDF-")
    if keys is not None:
        (tmp_path / "keys.json").write_text(keys)
    done = run(None, "verify", tmp_path / "paper.pdf", "--keys", tmp_path / "keys.json")
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def make_jwk(key_id: str, public: bytes) -> dict[str, str]:
    x = base64.urlsafe_b64encode(public).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": key_id}
