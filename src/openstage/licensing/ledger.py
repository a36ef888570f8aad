"""The ledger: double entry by app, only ever added to.

Each transaction's entries sum up to zero; the database refuses any other at commit, keeps each account's balance, and
lets nobody change or remove what was booked. Functions that take a connection are part of their caller's transaction,
which must hold the app's billing row (`billing.lock`): so an app's transactions are one after another.
"""

import re
from collections.abc import Mapping
from decimal import Decimal

from psycopg.rows import class_row

from openstage.database.engine import Connection, Database
from openstage.database.text import storable
from openstage.licensing import billing
from openstage.licensing.errors import BadAmount
from openstage.licensing.models import LedgerFault, LedgerLine, LedgerName, TransactionKind
from openstage.settings import Settings

CENT = Decimal("0.01")
_AMOUNT = re.compile(r"\d{1,10}(?:\.\d{1,2})?", re.ASCII)
_BALANCES = "select name, balance from ledger_account where app_id = %s"


def amount_of(text: str) -> Decimal:
    """Read an amount of money, above zero and with two decimals at most. Raises BadAmount."""
    found = _AMOUNT.fullmatch(text.strip())
    if found is None or not (amount := Decimal(found[0])):
        raise BadAmount(f"{text!r} is no amount of money; write it like 1250.00.")
    return amount.quantize(CENT)


async def balances(connection: Connection, app_id: int) -> dict[LedgerName, Decimal]:
    """Return the balances of an app's accounts; debits are positive."""
    rows = await (await connection.execute(_BALANCES.encode(), (app_id,))).fetchall()
    found: dict[LedgerName, Decimal] = {"owed": Decimal(0), "sales": Decimal(0), "received": Decimal(0)}
    found.update(rows)
    return found


async def book(
    connection: Connection,
    app_id: int,
    kind: TransactionKind,
    amounts: Mapping[LedgerName, Decimal],
    *,
    purchase_id: int | None = None,
    reference: str = "",
    memo: str = "",
) -> bool:
    """Book a transaction, whose amounts sum up to zero. False: its purchase or reference was booked before."""
    cursor = await connection.execute(
        """
        insert into ledger_transaction (app_id, kind, purchase_id, reference, memo)
        values (%s, %s, %s, %s, %s) on conflict do nothing returning id
        """,
        (app_id, kind, purchase_id, storable(reference), storable(memo)),
    )
    row = await cursor.fetchone()
    if row is None:
        return False
    await connection.execute(
        "insert into ledger_account (app_id, name) select %s, unnest(%s::text[]) on conflict do nothing",
        (app_id, list(amounts)),
    )
    await connection.execute(
        """
        insert into ledger_entry (transaction_id, account_id, app_id, amount)
        select %(transaction)s, account.id, account.app_id, given.amount
        from unnest(%(names)s::text[], %(amounts)s::numeric[]) as given (name, amount)
        join ledger_account account on account.app_id = %(app)s and account.name = given.name
        """,
        {"transaction": row[0], "names": list(amounts), "amounts": list(amounts.values()), "app": app_id},
    )
    return True


class Ledger:
    """The ledger as the operator sees it."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._currency = settings.currency

    async def pay(self, app_id: int, amount: Decimal, *, reference: str = "", memo: str = "") -> bool:
        """Book what an app has paid; below zero: what it was paid back.

        Args:
            app_id: the app.
            amount: in the server's currency, two decimals, not zero.
            reference: names the payment, such as the bank's reference; the same one is booked once.
            memo: for people.

        Returns:
            Whether it was booked; False: this reference was booked before.

        Raises:
            CurrencyChanged: the app's ledger is in another currency than the server's.

        """
        async with self._database.transaction() as connection:
            await billing.lock(connection, app_id, self._currency)
            amounts: dict[LedgerName, Decimal] = {"received": amount, "owed": -amount}
            return await book(connection, app_id, "payment", amounts, reference=reference, memo=memo)

    async def lines(self, app_id: int, *, limit: int = 100, before: int | None = None) -> list[LedgerLine]:
        """List an app's transactions, the newest first; `before`: only those with smaller numbers, to page on."""
        async with (
            self._database.connection() as connection,
            connection.cursor(row_factory=class_row(LedgerLine)) as cursor,
        ):
            await cursor.execute(
                """
                select t.id as transaction_id, t.kind, t.purchase_id, t.reference, t.memo, e.amount, e.balance,
                       t.made_at
                from ledger_transaction t
                join ledger_entry e on e.transaction_id = t.id
                join ledger_account a on a.id = e.account_id and a.name = 'owed'
                where t.app_id = %(app)s and (%(before)s::bigint is null or t.id < %(before)s)
                order by t.id desc limit %(limit)s
                """,
                {"app": app_id, "before": before, "limit": limit},
            )
            return await cursor.fetchall()

    async def check(self) -> list[LedgerFault]:
        """Add everything up anew: entries, balances, purchases. Returns what disagrees, which nothing should."""
        async with (
            self._database.connection() as connection,
            connection.cursor(row_factory=class_row(LedgerFault)) as cursor,
        ):
            await cursor.execute(_FAULTS)
            return await cursor.fetchall()


_FAULTS = b"""
    select 'transaction ' || t.id || ' does not sum up to zero' as what, t.app_id, 0::numeric as expected,
           coalesce(sum(e.amount), 0) as found
    from ledger_transaction t left join ledger_entry e on e.transaction_id = t.id
    group by t.id having coalesce(sum(e.amount), 0) <> 0 or count(e.amount) < 2
    union all
    select 'the balance of ' || a.name || ' is not the sum of its entries', a.app_id,
           coalesce(sum(e.amount), 0), a.balance
    from ledger_account a left join ledger_entry e on e.account_id = a.id
    group by a.id having coalesce(sum(e.amount), 0) <> a.balance
    union all
    select 'the accounts of the app do not sum up to zero', app_id, 0, sum(balance)
    from ledger_account group by app_id having sum(balance) <> 0
    union all
    select 'purchase ' || p.id || ' is not booked as it was made', p.app_id,
           case when p.is_test or p.refunded_at is not null then 0 else p.price end, coalesce(sum(e.amount), 0)
    from purchase p
    left join ledger_transaction t on t.purchase_id = p.id
    left join ledger_entry e on e.transaction_id = t.id
          and e.account_id = (select id from ledger_account where app_id = p.app_id and name = 'owed')
    group by p.id
    having coalesce(sum(e.amount), 0) <> case when p.is_test or p.refunded_at is not null then 0 else p.price end
"""
