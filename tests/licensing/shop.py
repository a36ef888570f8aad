"""The parts of licensing, and what tests do with them again and again."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from openstage.database.engine import Database
from openstage.identity.apps import Apps
from openstage.licensing.billing import BillingAccounts
from openstage.licensing.ledger import Ledger
from openstage.licensing.models import Order, Purchase
from openstage.licensing.service import Licensing
from tests.licensing.shelf import Item


@dataclass(frozen=True)
class Customer:
    """An app that buys."""

    id: int
    client_id: str


@dataclass(frozen=True)
class Shop:
    database: Database
    apps: Apps
    licensing: Licensing
    billing: BillingAccounts
    ledger: Ledger

    async def customer(self, name: str = "A film maker", *, limit: str = "", is_test: bool = False) -> Customer:
        """A new app, with a limit of credit if one is given."""
        client_id = (await self.apps.create(name)).client_id
        if limit:
            await self.billing.set_limit(client_id, Decimal(limit))
        if is_test:
            await self.billing.set_test(client_id, is_test=True)
        return Customer((await self.apps.find(client_id)).id, client_id)

    async def buy(
        self, customer: Customer, item: Item, warrant: str = "广州汽车集团股份有限公司", **more: Any
    ) -> Purchase:
        """Buy, whether or not it was bought before."""
        order = Order(item.audio_id, item.offer_id, warrant, **more)
        return (await self.licensing.purchase(customer.id, order))[0]

    async def owed(self, customer: Customer) -> Decimal:
        return (await self.billing.of(customer.client_id)).owed

    async def purchases(self, customer: Customer) -> int:
        return (await self.billing.of(customer.client_id)).purchases
