"""People, apps and tokens from the command line, as scripts use it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from openstage.cli import app
from openstage.settings import Settings

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def environment(module_settings: Settings) -> Iterator[dict[str, str]]:
    with pytest.MonkeyPatch.context() as patch:
        variables = {
            "OPENSTAGE_DATA": str(module_settings.data),
            "OPENSTAGE_DATABASE_URL": module_settings.database_url,
        }
        for name, value in variables.items():
            patch.setenv(name, value)
        yield variables


@pytest.fixture
def run(environment: dict[str, str]) -> Run:
    """Commands within this process: a new one for each would take a second."""

    def run_command(*arguments: str, stdin: str = "") -> Result:
        return CliRunner().invoke(app, arguments, input=stdin)

    return run_command


def answer(done: Result) -> Any:
    assert done.exit_code == 0, done.exception
    return json.loads(done.stdout)


def refusal(done: Result) -> str:
    assert done.exit_code == 1
    return str(getattr(done.exception, "message", ""))


def test_a_script_makes_an_account(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "openstage.cli", "user", "create", "--name", "小李", "--password-stdin", "--json"]
    made, again = [
        subprocess.run(
            command,
            env=os.environ | environment,
            input="four words of his\n",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        for _ in range(2)
    ]
    assert json.loads(made.stdout)["name"] == "小李"
    assert (again.returncode, again.stdout, again.stderr.count("\n")) == (1, "", 1)
    assert again.stderr.startswith("openstage: There is an account")


def test_a_person_through_their_life(run: Run) -> None:
    made = answer(run("user", "create", "--name", "小红", "--password-stdin", "--json", stdin="four words of hers\n"))
    assert made | {"number": 0, "created_at": ""} == {
        "number": 0, "name": "小红", "state": "active", "created_at": "", "signed_in_at": None
    }  # fmt: skip
    short = run("user", "set-password", "小红", "--password-stdin", stdin="short\n")
    assert "8 to" in refusal(short)
    assert "--password-stdin" in refusal(run("user", "set-password", "小红"))
    assert answer(run("user", "set-password", "小红", "--password-stdin", "--json", stdin="other words of hers"))
    assert answer(run("user", "disable", "小红", "--json"))["state"] == "disabled"
    assert answer(run("user", "enable", "小红", "--json"))["state"] == "active"
    assert answer(run("user", "sign-out", "小红", "--json")) == {"sessions": 0, "authorisations": 0}
    assert [each["name"] for each in answer(run("user", "list", "--json"))] == ["小李", "小红"]
    assert answer(run("user", "show", "小红", "--json"))["authorisations"] == []


def test_an_app_gets_its_addresses_and_owner(run: Run) -> None:
    client_id = answer(run("app", "create", "--name", "A phone app", "--json"))["client_id"]
    arguments = ("--redirect", "com.example.app:/done", "--scope", "works.read", "--public", "--json")
    app = answer(run("app", "set-oauth", client_id, *arguments))
    assert (app["redirects"], app["scopes"], app["public"]) == (["com.example.app:/done"], ["works.read"], True)
    assert "https://" in refusal(run("app", "set-oauth", client_id, "--redirect", "javascript:alert(1)"))
    assert "小李" not in run("app", "set-oauth", client_id, "--developer", "小李", "--json").stdout
    assert answer(run("app", "set-oauth", client_id, "--no-redirects", "--json"))["redirects"] == []


def test_a_token_that_was_never_given_is_one_line(run: Run) -> None:
    for command in ("explain", "revoke"):
        assert refusal(run("token", command, "-", stdin="2.00000000000000000000000000000000\n"))
    assert answer(run("token", "list", "--json")) == []
    assert "No tokens." in run("token", "list").stdout
