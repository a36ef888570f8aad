"""Buying licences: once, at the price that was offered, within what the app may owe."""

import datetime as dt
import secrets
from decimal import Decimal
from typing import Final

from openstage.catalogue import queries as catalogue
from openstage.catalogue.errors import UnknownTrack
from openstage.catalogue.models import Offer, Track
from openstage.database.engine import Connection, Database
from openstage.database.text import storable
from openstage.licensing import billing, ledger, queries
from openstage.licensing.errors import (
    BadOrder,
    CreditExceeded,
    NotForSale,
    RequestReused,
    UnknownOffer,
    UnknownPurchase,
)
from openstage.licensing.models import LedgerName, Order, Purchase, PurchaseFilter, PurchasePage
from openstage.settings import Settings

LONGEST_NAME: Final = 200
"""Characters of `warrant_name`: what fits onto a certificate."""
LONGEST_ID: Final = 128
"""Characters of `third_user_id` and `request_id`."""
LARGEST_ID: Final = 2**63 - 1
_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: nothing that is taken for something else when it is read aloud."""


class Licensing:
    """Purchases of all apps."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    async def purchase(self, app_id: int, order: Order) -> tuple[Purchase, bool]:
        """Buy a licence.

        A request that comes again buys once: by its `digest` or its `request_id` for ever; without a `request_id` the
        same order within 10 minutes is the same request, unless what it bought was refunded.

        Args:
            app_id: who buys.
            order: what.

        Returns:
            The purchase, and whether it had been made before.

        Raises:
            BadOrder: a text is empty or too long.
            UnknownTrack: there is no such track.
            UnknownOffer: the track isn't sold under this offer.
            NotForSale: the track has no file yet.
            RequestReused: the `request_id` came before for something else.
            CreditExceeded: the app would owe more than it may.
            CurrencyChanged: the setting `currency` isn't what the app's ledger is in.

        """
        order = _checked(order)
        async with self._database.transaction() as connection:
            terms = await billing.lock(connection, app_id, self._settings.currency)
            if before := await queries.earlier(connection, app_id, order, is_test=terms.is_test):
                _require_same(before, order)
                return before, True
            track, offer = await self._offered(connection, order)
            made = await self._insert(connection, app_id, order, track, offer, is_test=terms.is_test)
            if not terms.is_test and made.price:
                await self._charge(connection, made, terms.limit(self._settings.credit_limit))
            return made, False

    async def get(self, app_id: int, purchase_id: int) -> Purchase:
        """Return a purchase of an app. Raises UnknownPurchase where it is another app's, too."""
        found = await self._find(purchase_id)
        if found is None or found.app_id != app_id:
            raise UnknownPurchase(f"There is no purchase {purchase_id} of this app.")
        return found

    async def find(self, purchase_id: int) -> Purchase:
        """Return a purchase of any app, for the operator. Raises UnknownPurchase."""
        found = await self._find(purchase_id)
        if found is None:
            raise UnknownPurchase(f"There is no purchase {purchase_id}; see `openstage purchase list`.")
        return found

    async def recent(self, *, app_id: int | None = None, limit: int = 100, before: int | None = None) -> list[Purchase]:
        """List purchases of one app or of all, the newest first, for the operator; `before`: only smaller numbers."""
        where = "(%(app)s::bigint is null or p.app_id = %(app)s) and (%(before)s::bigint is null or p.id < %(before)s)"
        parameters = {"app": app_id, "before": before, "limit": limit}
        async with self._database.connection() as connection:
            return await queries.select(connection, where + " order by p.id desc limit %(limit)s", parameters)

    async def downloaded(self, purchase_id: int) -> None:
        """Note that a purchase's file is being sent; only the first time counts."""
        async with self._database.connection() as connection:
            await connection.execute(
                "update purchase set downloaded_at = now() where id = %s and downloaded_at is null", (purchase_id,)
            )

    async def refund(self, purchase_id: int, reason: str) -> Purchase:
        """End a licence and give its price back; a second time changes nothing.

        Args:
            purchase_id: which.
            reason: for people; kept with it.

        Raises:
            UnknownPurchase: there is none.

        """
        bought = await self.find(purchase_id)
        app_id = bought.app_id
        async with self._database.transaction() as connection:
            await billing.lock(connection, app_id, bought.currency)
            cursor = await connection.execute(
                """
                update purchase set refunded_at = now(), refund_reason = %s where id = %s and refunded_at is null
                returning price, is_test
                """,
                (storable(reason), purchase_id),
            )
            row = await cursor.fetchone()
            if row and row[0] and not row[1]:
                amounts: dict[LedgerName, Decimal] = {"owed": -row[0], "sales": row[0]}
                await ledger.book(connection, app_id, "refund", amounts, purchase_id=purchase_id, memo=reason)
            found = await queries.purchase(connection, purchase_id)
        assert found is not None
        return found

    async def _find(self, purchase_id: int) -> Purchase | None:
        if not 0 < purchase_id <= LARGEST_ID:
            return None
        async with self._database.connection() as connection:
            return await queries.purchase(connection, purchase_id)

    async def _offered(self, connection: Connection, order: Order) -> tuple[Track, Offer]:
        track = await catalogue.track(connection, order.audio_id)
        if track is None:
            raise UnknownTrack(f"There is no track {order.audio_id}.")
        offers = await catalogue.offers(connection, [track.id])
        offer = next((each for each in offers if each.id == order.offer_id), None)
        if offer is None:
            raise UnknownOffer(
                f"The track {track.id} is not sold under the permission {order.offer_id}; "
                "its detail lists the permissions it has."
            )
        if track.file is None:
            raise NotForSale(f"The track {track.id} has no file yet, so it can't be bought.")
        return track, offer

    async def _insert(
        self, connection: Connection, app_id: int, order: Order, track: Track, offer: Offer, *, is_test: bool
    ) -> Purchase:
        assert track.file is not None  # `_offered` made sure
        main = await billing.buyer(connection, app_id, billing.MAIN)
        buyer = await billing.buyer(connection, app_id, order.third_user_id) if order.third_user_id else main
        values = {
            "number": _number(), "app_id": app_id, "main_id": main.id, "buyer_id": buyer.id, "track_id": track.id,
            "file_id": track.file.id, "title": track.title, "artist": track.artist, "offer_id": offer.id,
            "offer_name": offer.name, "offer_type": offer.type, "price": offer.price,
            "currency": self._settings.currency, "warrant_name": order.warrant_name, "is_test": is_test,
            "request_id": order.request_id, "digest": order.digest,
        }  # fmt: skip
        places = ", ".join(f"%({name})s" for name in values)
        cursor = await connection.execute(
            f"insert into purchase ({', '.join(values)}) values ({places}) returning id".encode(), values
        )
        row = await cursor.fetchone()
        assert row is not None
        made = await queries.purchase(connection, row[0])
        assert made is not None
        return made

    async def _charge(self, connection: Connection, made: Purchase, limit: Decimal | None) -> None:
        owed = (await ledger.balances(connection, made.app_id))["owed"]
        if limit is not None and owed + made.price > limit:
            raise CreditExceeded(made.price, owed, limit, made.currency)
        amounts: dict[LedgerName, Decimal] = {"owed": made.price, "sales": -made.price}
        await ledger.book(connection, made.app_id, "purchase", amounts, purchase_id=made.id)

    async def list(self, app_id: int, wanted: PurchaseFilter, *, page: int, per_page: int) -> PurchasePage:
        """List an app's purchases, the newest first; pages count from 1."""
        where, parameters = queries.asked(app_id, wanted)
        parameters |= {"limit": per_page, "offset": (page - 1) * per_page}
        async with self._database.connection() as connection:
            total = await queries.count(connection, where, parameters)
            order = " order by p.id desc limit %(limit)s offset %(offset)s"
            items = await queries.select(connection, where + order, parameters) if total else []
        return PurchasePage(total, items)


def _checked(order: Order) -> Order:
    """Return an order as it is kept. Raises BadOrder."""
    warrant_name, third_user_id, request_id = (
        storable(text).strip() for text in (order.warrant_name, order.third_user_id, order.request_id)
    )
    if not warrant_name:
        raise BadOrder("warrant_name is missing: to whom shall the licence be granted?")
    if len(warrant_name) > LONGEST_NAME:
        raise BadOrder(f"warrant_name may have {LONGEST_NAME} characters, not {len(warrant_name)}.")
    for name, text in (("third_user_id", third_user_id), ("request_id", request_id)):
        if len(text) > LONGEST_ID:
            raise BadOrder(f"{name} may have {LONGEST_ID} characters, not {len(text)}.")
    return Order(order.audio_id, order.offer_id, warrant_name, third_user_id, request_id, order.digest)


def _require_same(before: Purchase, order: Order) -> None:
    """Raise RequestReused where a request_id, or a digest, came before for something else."""
    was = (before.audio_id, before.offer.id, before.warrant_name, before.third_user_id)
    if was != (order.audio_id, order.offer_id, order.warrant_name, order.third_user_id):
        raise RequestReused(
            f"The same request{f'_id {order.request_id!r}' if order.request_id else ''} bought something else before "
            f"(purchase {before.id}); use a new one for each purchase. Nothing was bought."
        )


def _number() -> str:
    """Make the number of a licence: its day and 50 random bits."""
    letters = "".join(secrets.choice(_LETTERS) for _ in range(10))
    return f"{dt.datetime.now(dt.UTC):%Y%m%d}-{letters[:4]}-{letters[4:8]}-{letters[8:]}"
