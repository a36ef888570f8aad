"""Purchases, credit and the ledger from the command line, as operators and their scripts use them."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from openstage.cli import app
from openstage.database.engine import Database
from openstage.licensing.models import Order, Purchase
from openstage.licensing.service import Licensing
from openstage.settings import Settings
from tests.licensing.shelf import Item, add_item

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def run(module_settings: Settings) -> Iterator[Run]:
    """Commands within this process: a new one for each would take a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENSTAGE_DATA", str(module_settings.data))
        patch.setenv("OPENSTAGE_DATABASE_URL", module_settings.database_url)
        patch.setenv("OPENSTAGE_CREDIT_LIMIT", "1000.00")
        yield lambda *arguments: CliRunner().invoke(app, arguments)


def answer(done: Result) -> Any:
    assert done.exit_code == 0, done.exception
    return json.loads(done.stdout)


def refusal(done: Result) -> str:
    assert done.exit_code == 1, done.stdout
    return str(getattr(done.exception, "message", ""))


@pytest.fixture(scope="module")
def client_id(run: Run) -> str:
    return str(answer(run("app", "create", "--name", "A film maker", "--json"))["client_id"])


@pytest.fixture(scope="module")
async def purchases(client_id: str, module_settings: Settings, module_database: Database) -> list[Purchase]:
    """What the app has bought: for itself, and a member."""
    row = await module_database.fetch_one("select id from app where client_id = %(id)s", {"id": client_id})
    assert row
    item: Item = await add_item(module_database, price="812.50", title="[云南]的回忆")
    licensing = Licensing(module_database, module_settings)
    orders = [Order(item.audio_id, item.offer_id, "广州汽车"), Order(item.audio_id, item.offer_id, "A", "u-1")]
    return [(await licensing.purchase(row[0], order))[0] for order in orders]


def test_purchases_are_listed_shown_and_refunded(run: Run, client_id: str, purchases: list[Purchase]) -> None:
    listed = answer(run("purchase", "list", "--app", client_id, "--json"))
    assert [each["id"] for each in listed] == [each.id for each in purchases[::-1]]
    assert [
        each["id"]
        for each in answer(run("purchase", "list", "--before", str(purchases[1].id), "--limit", "1", "--json"))
    ] == [purchases[0].id]
    table = run("purchase", "list").stdout
    assert "[云南]的回忆" in table
    assert "812.50 CNY" in table
    shown = answer(run("purchase", "show", str(purchases[0].id), "--json"))
    assert (shown["number"], shown["price"], shown["state"]) == (purchases[0].number, "812.50", "valid")
    for _ in range(2):
        refunded = answer(run("purchase", "refund", str(purchases[1].id), "--reason", "twice", "--json"))
        assert (refunded["state"], refunded["refund_reason"]) == ("refunded", "twice")
    assert "openstage purchase list" in refusal(run("purchase", "show", "4711"))
    assert "openstage app list" in refusal(run("purchase", "list", "--app", "nobody"))


def test_payments_are_booked_once(run: Run, client_id: str, purchases: list[Purchase]) -> None:
    run("purchase", "refund", str(purchases[1].id))
    paid = answer(run("ledger", "pay", client_id, "1000.00", "--reference", "bank 17", "--memo", "十一月", "--json"))
    assert (paid["booked"], paid["owed"]) == (True, "-187.50")
    again = answer(run("ledger", "pay", client_id, "1000.00", "--reference", "bank 17", "--json"))
    assert (again["booked"], again["owed"]) == (False, "-187.50")
    back = answer(run("ledger", "pay-back", client_id, "87.5", "--json"))
    assert (back["owed"], back["received"], back["sold"]) == ("-100.00", "912.50", "812.50")
    told = answer(run("ledger", "show", client_id, "--json"))["transactions"]
    kinds = [each["kind"] for each in told]
    assert kinds == ["payment", "payment", "refund", "purchase", "purchase"]
    assert told[1]["memo"] == "十一月"
    assert sum(float(each["amount"]) for each in told) == -100.0
    assert client_id in run("ledger", "list").stdout
    assert "bank 17" in run("ledger", "show", client_id).stdout
    assert run("ledger", "check").stdout == "All sums agree.\n"
    for amount in ("-5", "0", "1.001", "money"):
        done = run("ledger", "pay", client_id, "--", amount)
        assert "1250.00" in refusal(done)


def test_credit_is_shown_and_set(run: Run, client_id: str) -> None:
    shown = answer(run("app", "credit", client_id, "--json"))
    assert (shown["limit"], shown["own_limit"]) == ("1000.00", False)
    for limit, told, own in (
        ("5000.00", "5000.00", True),
        ("0", "0.00", True),
        ("none", None, True),
        ("default", "1000.00", False),
    ):
        shown = answer(run("app", "credit", client_id, "--limit", limit, "--json"))
        assert (shown["limit"], shown["own_limit"]) == (told, own)
    assert "1250.00" in refusal(run("app", "credit", client_id, "--limit", "much"))
    assert answer(run("app", "set-test", client_id, "--json"))["is_test"] is True
    assert answer(run("app", "set-test", client_id, "--off", "--json"))["is_test"] is False
    assert "openstage app list" in refusal(run("app", "credit", "nobody"))


def test_buyers_are_listed_and_named(run: Run, client_id: str, purchases: list[Purchase]) -> None:
    listed = answer(run("buyer", "list", client_id, "--json"))
    assert [(each["name"], each["third_user_id"], each["purchases"]) for each in listed] == [
        ("A film maker", "", 1),
        ("u-1", "u-1", 1),
    ]
    assert answer(run("buyer", "rename", client_id, "小明", "--member", "u-1", "--json"))["name"] == "小明"
    assert answer(run("buyer", "rename", client_id, "广州汽车集团", "--json"))["id"] == purchases[0].main.id
    assert answer(run("buyer", "rename", client_id, "Later", "--member", "u-2", "--json"))["name"] == "Later"
    assert answer(run("purchase", "show", str(purchases[1].id), "--json"))["buyer"] == "小明"
    assert "empty" in refusal(run("buyer", "rename", client_id, " "))
    assert "main account" in run("buyer", "list", client_id).stdout
