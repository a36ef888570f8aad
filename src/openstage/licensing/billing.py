"""How apps are billed, and who buys through them."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from openstage.database.engine import Connection, Database
from openstage.database.text import storable
from openstage.identity.errors import UnknownApp
from openstage.licensing.errors import BadOrder, CurrencyChanged
from openstage.licensing.models import Billing, Buyer, Member
from openstage.settings import Settings

MAIN = ""
"""`third_user_id` of an app's main account."""

_BILLING = """
    select app.id, app.client_id, coalesce(main.name, app.name), coalesce(b.is_test, false),
           coalesce(b.limit_kind, 'setting'), b.credit_limit,
           coalesce((select balance from ledger_account a where a.app_id = app.id and a.name = 'owed'), 0),
           coalesce((select -balance from ledger_account a where a.app_id = app.id and a.name = 'sales'), 0),
           coalesce((select balance from ledger_account a where a.app_id = app.id and a.name = 'received'), 0),
           (select count(*) from purchase p where p.app_id = app.id)
    from app
    left join billing b on b.app_id = app.id
    left join buyer main on main.app_id = app.id and main.third_user_id = ''
    """


@dataclass(frozen=True, slots=True)
class Terms:
    """How an app is billed, while its row is held."""

    is_test: bool
    limit_kind: Literal["setting", "own", "none"]
    credit_limit: Decimal | None

    def limit(self, default: Decimal | None) -> Decimal | None:
        """Return what the app may owe; None: no limit."""
        return {"setting": default, "own": self.credit_limit, "none": None}[self.limit_kind]


async def lock(connection: Connection, app_id: int, currency: str) -> Terms:
    """Hold an app's billing row, made if missing, until the transaction ends: one purchase or payment at a time.

    Raises:
        CurrencyChanged: the app's ledger is in another currency.

    """
    await connection.execute(
        "insert into billing (app_id, currency) values (%s, %s) on conflict do nothing", (app_id, currency)
    )
    cursor = await connection.execute(
        "select is_test, limit_kind, credit_limit, currency from billing where app_id = %s for update", (app_id,)
    )
    row = await cursor.fetchone()
    assert row is not None  # it was made just now, and nobody removes one
    if row[3] != currency:
        raise CurrencyChanged(
            f"The app's ledger is in {row[3]}, not in {currency}: set the server's `currency` back to {row[3]}."
        )
    return Terms(*row[:3])


async def buyer(connection: Connection, app_id: int, third_user_id: str) -> Buyer:
    """Return the buyer whom an app names so; it is made at its first purchase, the main account with the app's name."""
    parameters = {"app": app_id, "third": third_user_id}
    query = b"select id, name from buyer where app_id = %(app)s and third_user_id = %(third)s"
    row = await (await connection.execute(query, parameters)).fetchone()
    if row is None:
        await connection.execute(
            """
            insert into buyer (app_id, third_user_id, name)
            select id, %(third)s, case when %(third)s = '' then name else %(third)s end from app where id = %(app)s
            on conflict do nothing
            """,
            parameters,
        )
        row = await (await connection.execute(query, parameters)).fetchone()
    assert row is not None
    return Buyer(*row)


class BillingAccounts:
    """How apps are billed, as the operator sets it."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    async def of(self, client_id: str) -> Billing:
        """Tell how an app is billed. Raises UnknownApp."""
        found = await self._select("where app.client_id = %(client)s", {"client": storable(client_id)})
        if not found:
            raise UnknownApp(f"There is no app with the client_id {client_id}; see `openstage app list`.")
        return found[0]

    async def set_limit(self, client_id: str, limit: Decimal | Literal["setting", "none"]) -> Billing:
        """Set what an app may owe: an amount, the server's setting, or no limit.

        It may be less than the app owes already; then it can't buy until it has paid. Raises UnknownApp.
        """
        amount = limit if isinstance(limit, Decimal) else None
        kind = "own" if isinstance(limit, Decimal) else limit
        await self._set(client_id, "limit_kind = %(kind)s, credit_limit = %(amount)s", {"kind": kind, "amount": amount})
        return await self.of(client_id)

    async def set_test(self, client_id: str, *, is_test: bool) -> Billing:
        """Make an app a test app, or a real one, for what it buys from now on. Raises UnknownApp."""
        await self._set(client_id, "is_test = %(test)s", {"test": is_test})
        return await self.of(client_id)

    async def members(self, client_id: str) -> list[Member]:
        """List who has bought through an app, the main account first. Raises UnknownApp."""
        account = await self.of(client_id)
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                """
                select id, name, third_user_id, (select count(*) from purchase p where p.buyer_id = buyer.id)
                from buyer where app_id = %s order by third_user_id <> '', id
                """,
                (account.app_id,),
            )
            return [Member(*row) for row in await cursor.fetchall()]

    async def rename(self, client_id: str, third_user_id: str, name: str) -> Buyer:
        """Name a buyer of an app, also before it buys.

        Raises:
            UnknownApp: no app has this id.
            BadOrder: the name is empty.

        """
        if not name.strip():
            raise BadOrder("A buyer's name can't be empty.")
        account = await self.of(client_id)
        async with self._database.transaction() as connection:
            found = await buyer(connection, account.app_id, storable(third_user_id))
            await connection.execute("update buyer set name = %s where id = %s", (storable(name.strip()), found.id))
        return Buyer(found.id, storable(name.strip()))

    async def _set(self, client_id: str, assignment: str, values: dict[str, Any]) -> None:
        account = await self.of(client_id)
        async with self._database.transaction() as connection:
            await lock(connection, account.app_id, self._settings.currency)
            await connection.execute(
                f"update billing set {assignment}, changed_at = now() where app_id = %(app)s".encode(),
                {**values, "app": account.app_id},
            )

    async def _select(self, where: str, values: dict[str, Any]) -> list[Billing]:
        async with self._database.connection() as connection:
            cursor = await connection.execute(f"{_BILLING} {where} order by app.id".encode(), values)
            rows = await cursor.fetchall()
        return [self._billing(row) for row in rows]

    def _billing(self, row: Sequence[Any]) -> Billing:
        app_id, client_id, name, is_test, limit_kind, credit_limit, owed, sold, received, purchases = row
        return Billing(
            app_id=app_id,
            client_id=client_id,
            name=name,
            is_test=is_test,
            limit=Terms(is_test, limit_kind, credit_limit).limit(self._settings.credit_limit),
            own_limit=limit_kind != "setting",
            owed=owed,
            sold=sold,
            received=received,
            purchases=purchases,
        )

    async def list(self) -> list[Billing]:
        """Tell how each app is billed that has bought, paid or been set anything; the oldest app first."""
        return await self._select("where b.app_id is not null", {})
