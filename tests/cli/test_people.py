"""People, apps and tokens from the command line, as scripts use it."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from openstage.cli import app
from openstage.database.engine import Database
from openstage.identity.keys import Keys
from openstage.identity.service import Identity
from openstage.identity.tickets import TicketCodes
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


def test_a_qr_sign_in_is_decided_by_the_operator(run: Run, module_settings: Settings) -> None:
    answer(run("user", "create", "--name", "小刚", "--password-stdin", "--json", stdin="four words of hers\n"))
    client_id = answer(run("app", "create", "--name", "A karaoke app", "--json"))["client_id"]

    def ticket() -> TicketCodes:
        """As a device gets it."""

        async def begin() -> TicketCodes:
            async with Database(module_settings.database_url, largest=1) as database:
                identity = Identity(database, module_settings, Keys.load(module_settings.folder))
                app = await identity.apps.find(client_id)
                return await identity.tickets.begin(app.id, ["works.write"], device="TV", device_id="A0-51")

        return asyncio.run(begin())

    made = ticket()
    shown = answer(run("ticket", "show", made.ticket, "--json"))
    expected = ("waiting", made.user_code, "TV", "A0-51", ["works.write"], None)
    assert tuple(shown[name] for name in ("state", "user_code", "device", "device_id", "scopes", "account")) == expected
    assert "Nobody has confirmed it yet." in answer(run("token", "explain", made.ticket, "--json"))["why"]
    confirmed = answer(run("ticket", "confirm", "-", "--user", "小刚", "--json", stdin=made.ticket + "\n"))
    assert (confirmed["state"], confirmed["account"]) == ("confirmed", "小刚")
    assert "has been used" in refusal(run("ticket", "refuse", made.user_code, "--user", "小刚"))
    other = ticket()
    address = f"http://sing.example/qr/{other.link}"
    assert answer(run("ticket", "refuse", address, "--json"))["state"] == "refused"
    assert "no such ticket" in refusal(run("ticket", "show", "never made"))
    assert "no account" in refusal(run("ticket", "confirm", made.ticket, "--user", "nobody"))


def test_all_tokens_of_an_openid_are_ended(run: Run) -> None:
    assert "openid" in refusal(run("token", "revoke", "--openid", "0" * 32))
    assert run("token", "revoke").exit_code == 2
    assert run("token", "revoke", "1", "--openid", "0" * 32).exit_code == 2


def test_a_token_that_was_never_given_is_one_line(run: Run) -> None:
    for command in ("explain", "revoke"):
        assert refusal(run("token", command, "-", stdin="2.00000000000000000000000000000000\n"))
    assert answer(run("token", "list", "--json")) == []
    assert "No tokens." in run("token", "list").stdout


def test_people_become_friends_and_live_somewhere(run: Run) -> None:
    for name in ("Anna", "Bert"):
        answer(run("user", "create", "--name", name, "--password-stdin", "--json", stdin="correct horse battery\n"))
    assert "no friends" in run("user", "unfriend", "anna", "bert").stdout
    assert answer(run("user", "befriend", "ANNA", "bert", "--json")) == {"changed": True}
    assert answer(run("user", "befriend", "bert", "anna", "--json")) == {"changed": False}
    for one, other in (("anna", "Bert"), ("bert", "Anna")):
        assert [each["name"] for each in answer(run("user", "friends", one, "--json"))] == [other]
    assert "Bert" in run("user", "friends", "anna").stdout
    assert refusal(run("user", "befriend", "anna", "Anna")) == "Nobody can be their own friend."
    assert answer(run("user", "unfriend", "bert", "anna", "--json")) == {"changed": True}
    assert answer(run("user", "friends", "anna", "--json")) == []
    assert "440300" in run("user", "city", "anna", "440300").stdout
    assert answer(run("user", "city", "anna", "0", "--json")) == {"city_id": None}
    assert "from 1 to 999999" in refusal(run("user", "city", "anna", "1000000"))
