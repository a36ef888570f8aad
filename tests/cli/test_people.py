"""People, apps and tokens from the command line, as scripts use it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from openstage.settings import Settings

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def run(module_settings: Settings) -> Run:
    def run_command(*arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        env = os.environ | {
            "OPENSTAGE_DATA": str(module_settings.data),
            "OPENSTAGE_DATABASE_URL": module_settings.database_url,
        }
        command = [sys.executable, "-m", "openstage.cli", *arguments]
        return subprocess.run(command, env=env, input=stdin, capture_output=True, text=True, timeout=60, check=False)

    return run_command


def answer(done: "subprocess.CompletedProcess[str]") -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_person_through_their_life(run: Run) -> None:
    made = answer(run("user", "create", "--name", "小红", "--password-stdin", "--json", stdin="four words of hers\n"))
    assert made | {"number": 0, "created_at": ""} == {
        "number": 0, "name": "小红", "state": "active", "created_at": "", "signed_in_at": None
    }  # fmt: skip
    again = run("user", "create", "--name", " 小紅".replace("紅", "红"), "--password-stdin", stdin="four words of hers")
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    short = run("user", "set-password", "小红", "--password-stdin", stdin="short\n")
    assert "8 to" in short.stderr
    assert answer(run("user", "set-password", "小红", "--password-stdin", "--json", stdin="other words of hers"))
    assert answer(run("user", "disable", "小红", "--json"))["state"] == "disabled"
    assert answer(run("user", "enable", "小红", "--json"))["state"] == "active"
    assert answer(run("user", "sign-out", "小红", "--json")) == {"sessions": 0, "authorisations": 0}
    assert [each["name"] for each in answer(run("user", "list", "--json"))] == ["小红"]
    assert answer(run("user", "show", "小红", "--json"))["authorisations"] == []


def test_an_app_gets_its_addresses_and_owner(run: Run) -> None:
    client_id = answer(run("app", "create", "--name", "A phone app", "--json"))["client_id"]
    arguments = ("--redirect", "com.example.app:/done", "--scope", "works.read", "--public", "--json")
    app = answer(run("app", "set-oauth", client_id, *arguments))
    assert (app["redirects"], app["scopes"], app["public"]) == (["com.example.app:/done"], ["works.read"], True)
    refused = run("app", "set-oauth", client_id, "--redirect", "javascript:alert(1)")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert answer(run("app", "set-oauth", client_id, "--no-redirects", "--json"))["redirects"] == []


def test_a_token_that_was_never_given_is_one_line(run: Run) -> None:
    for command in ("explain", "revoke"):
        done = run("token", command, "-", stdin="2.00000000000000000000000000000000\n")
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert answer(run("token", "list", "--json")) == []
