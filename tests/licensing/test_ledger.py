"""The ledger: whatever is done in whatever order, all sums agree, and nobody can book what doesn't sum up."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openstage.database.dump import dump, restore
from openstage.database.engine import Connection, Database
from openstage.licensing.billing import BillingAccounts
from openstage.licensing.errors import BadAmount, CreditExceeded, CurrencyChanged
from openstage.licensing.ledger import Ledger, amount_of
from openstage.licensing.models import Order
from openstage.licensing.service import Licensing
from openstage.settings import Settings
from tests.licensing.shelf import Item, add_item
from tests.licensing.shop import Shop
from tests.support.database import TestServer

FEW = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(FEW, max_examples=200)

Step = tuple[str, int, int]
"""What is done (`buy`, `again`, `refund`, `pay`, `pay back`, `limit`), and two numbers that say to what."""
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["buy", "buy", "buy", "again", "refund", "pay", "pay back", "limit"]),
        st.integers(0, 3),
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=12,
)
PRICES = ("0.01", "21.00", "99.99", "0.00")


class Model:
    """What the ledger of one app should say."""

    def __init__(self) -> None:
        self.limit = Decimal(10**6)
        self.bought: dict[str, tuple[int, Decimal]] = {}
        self.refunded: set[int] = set()
        self.paid = Decimal(0)

    @property
    def sold(self) -> Decimal:
        return sum((price for id_, price in self.bought.values() if id_ not in self.refunded), Decimal(0))

    @property
    def owed(self) -> Decimal:
        return self.sold - self.paid


async def follow(shop: Shop, items: Sequence[Item], steps: Sequence[Step], *, at_once: bool) -> None:
    """Do the steps, one after another or in pairs at once, and compare with the model."""
    customer, model = await shop.customer(limit="1000000.00"), Model()

    async def do(number: int, step: Step) -> None:
        what, which, amount = step
        item, price = items[which], Decimal(PRICES[which])
        names = list(model.bought)
        if what == "buy":
            try:
                purchase = await shop.buy(customer, item, request_id=f"r{number}")
                model.bought[f"r{number}"] = (purchase.id, price)
            except CreditExceeded:
                assert model.owed + price > model.limit or at_once
        elif what == "again" and names:
            name = names[amount % len(names)]
            id_, _ = model.bought[name]
            first = await shop.licensing.get(customer.id, id_)
            bought = next(each for each in items if each.audio_id == first.audio_id)
            assert (await shop.buy(customer, bought, request_id=name)).id == id_
        elif what == "refund" and names:
            id_, _ = model.bought[names[amount % len(names)]]
            await shop.licensing.refund(id_, "")
            model.refunded.add(id_)
        elif what in {"pay", "pay back"}:
            sign = 1 if what == "pay" else -1
            sum_ = Decimal(amount + 1) / 100 * sign
            assert await shop.ledger.pay(customer.id, sum_, reference=f"p{number}")
            assert not await shop.ledger.pay(customer.id, sum_, reference=f"p{number}")
            model.paid += sum_
        elif what == "limit":
            model.limit = Decimal(amount * 25)
            await shop.billing.set_limit(customer.client_id, model.limit)

    numbered = list(enumerate(steps))
    width = 4 if at_once else 1
    for begin in range(0, len(numbered), width):
        await asyncio.gather(*(do(number, step) for number, step in numbered[begin : begin + width]))
        account = await shop.billing.of(customer.client_id)
        assert (account.owed, account.sold, account.received) == (model.owed, model.sold, model.paid)
        assert account.purchases == len(model.bought)
    lines = await shop.ledger.lines(customer.id)
    assert sum((line.amount for line in lines), Decimal(0)) == model.owed
    assert (lines[0].balance if lines else Decimal(0)) == model.owed
    assert await shop.ledger.check() == []


@pytest.fixture(scope="module")
async def items(shop: Shop) -> list[Item]:
    return [await add_item(shop.database, price=price) for price in PRICES]


@FEW
@given(steps=STEPS, at_once=st.booleans())
async def test_all_sums_agree(shop: Shop, items: list[Item], steps: list[Step], at_once: bool) -> None:
    await follow(shop, items, steps, at_once=at_once)


@pytest.mark.slow
@MANY
@given(steps=STEPS, at_once=st.booleans())
async def test_all_sums_agree_at_length(shop: Shop, items: list[Item], steps: list[Step], at_once: bool) -> None:
    await follow(shop, items, steps, at_once=at_once)


async def test_the_database_refuses_what_does_not_sum_up(shop: Shop, items: list[Item]) -> None:
    customer = await shop.customer()
    await shop.buy(customer, items[1])
    account = "(select id from ledger_account where app_id = %(app)s and name = 'owed')"
    transaction = "(select max(id) from ledger_transaction where app_id = %(app)s)"

    async def attempt(*statements: str) -> None:
        async with shop.database.transaction() as connection:
            for statement in statements:
                await connection.execute(statement.encode(), {"app": customer.id})

    new = "insert into ledger_transaction (app_id, kind) values (%(app)s, 'payment')"
    entry = f"insert into ledger_entry values ({transaction}, {account}, %(app)s, 5)"
    for statements in [(new,), (new, entry)]:
        with pytest.raises(psycopg.errors.CheckViolation):
            await attempt(*statements)
    for statement in (
        f"update ledger_account set balance = 0 where id = {account}",
        f"update ledger_entry set amount = 1 where account_id = {account}",
        f"delete from ledger_entry where account_id = {account}",
        f"delete from ledger_transaction where id = {transaction}",
        f"update ledger_transaction set memo = 'x' where id = {transaction}",
        "truncate ledger_entry",
    ):
        with pytest.raises(psycopg.errors.RestrictViolation):
            await attempt(statement)
    assert await shop.owed(customer) == Decimal("21.00")
    assert await shop.ledger.check() == []


async def test_a_check_finds_what_was_tampered_with(shop: Shop, items: list[Item]) -> None:
    customer = await shop.customer()
    bought = await shop.buy(customer, items[1])

    async def tamper(connection: Connection, change: str) -> None:
        for table in ("ledger_account", "ledger_entry"):
            await connection.execute(f"alter table {table} disable trigger user".encode())
        await connection.execute(change.encode(), {"app": customer.id})
        for table in ("ledger_account", "ledger_entry"):
            await connection.execute(f"alter table {table} enable trigger user".encode())

    entry = "(select id from ledger_account where app_id = %(app)s and name = 'owed')"
    async with shop.database.transaction() as connection:
        await tamper(connection, f"update ledger_entry set amount = 20 where account_id = {entry}")
    faults = [fault for fault in await shop.ledger.check() if fault.app_id == customer.id]
    assert len(faults) == 3
    assert any(f"purchase {bought.id}" in fault.what for fault in faults)
    async with shop.database.transaction() as connection:
        await tamper(connection, f"update ledger_entry set amount = 21 where account_id = {entry}")
    assert await shop.ledger.check() == []


async def test_payments_count_and_can_be_ahead(shop: Shop, items: list[Item]) -> None:
    customer = await shop.customer(limit="0.00")
    with pytest.raises(CreditExceeded):
        await shop.buy(customer, items[1])
    await shop.ledger.pay(customer.id, Decimal("50.00"), reference="bank 1", memo="in advance")
    await asyncio.gather(
        *(shop.ledger.pay(customer.id, Decimal("50.00"), reference="bank 1") for _ in range(4)),
    )
    bought = [await shop.buy(customer, items[1], name) for name in ("A", "B")]
    with pytest.raises(CreditExceeded):
        await shop.buy(customer, items[1], "C")
    account = await shop.billing.of(customer.client_id)
    assert (account.owed, account.left) == (Decimal("-8.00"), Decimal("8.00"))
    kinds = [(line.kind, line.purchase_id, line.balance) for line in await shop.ledger.lines(customer.id)]
    assert kinds == [
        ("purchase", bought[1].id, Decimal("-8.00")),
        ("purchase", bought[0].id, Decimal("-29.00")),
        ("payment", None, Decimal("-50.00")),
    ]


@pytest.mark.parametrize(
    "text", ["", "0", "0.00", "-1", "1.005", "1e3", "NaN", "inf", "1,000", "１", "9" * 11, " ", "0x1"]
)
def test_amounts_are_exact(text: str) -> None:
    with pytest.raises(BadAmount):
        amount_of(text)
    assert amount_of("1250") == amount_of(" 1250.0 ") == Decimal("1250.00")


async def test_a_restored_ledger_is_whole_and_goes_on(
    shop: Shop, items: list[Item], module_settings: Settings, postgres: TestServer, tmp_path: Path
) -> None:
    customer = await shop.customer()
    await shop.buy(customer, items[1])
    await shop.ledger.pay(customer.id, Decimal("5.00"))
    async with shop.database.transaction() as connection:
        row = await (await connection.execute("select pg_export_snapshot()")).fetchone()
        assert row
        await asyncio.to_thread(dump, module_settings.database_url, tmp_path / "dump", snapshot=row[0])
    with postgres.database(migrated=False) as address:
        await asyncio.to_thread(restore, address, tmp_path / "dump")
        async with Database(address, largest=2) as restored:
            settings = module_settings.model_copy(update={"database_url": address})
            billing, ledger = BillingAccounts(restored, settings), Ledger(restored, settings)
            assert (await billing.of(customer.client_id)).owed == Decimal("16.00")
            await Licensing(restored, settings).purchase(customer.id, Order(items[1].audio_id, items[1].offer_id, "B"))
            assert (await billing.of(customer.client_id)).owed == Decimal("37.00")
            assert await ledger.check() == []


async def test_a_ledger_keeps_its_currency(shop: Shop, items: list[Item], module_settings: Settings) -> None:
    customer = await shop.customer()
    bought = await shop.buy(customer, items[1])
    changed = module_settings.model_copy(update={"currency": "EUR"})
    licensing, ledger = Licensing(shop.database, changed), Ledger(shop.database, changed)
    with pytest.raises(CurrencyChanged, match="back to CNY"):
        await licensing.purchase(customer.id, Order(items[1].audio_id, items[1].offer_id, "B"))
    with pytest.raises(CurrencyChanged):
        await ledger.pay(customer.id, Decimal("1.00"))
    await licensing.refund(bought.id, "")
    assert await shop.owed(customer) == 0
    fresh = await shop.customer()
    purchase, _ = await licensing.purchase(fresh.id, Order(items[1].audio_id, items[1].offer_id, "B"))
    assert purchase.currency == "EUR"
