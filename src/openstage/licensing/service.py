"""Buying licences: once, at the price that was offered, within what the app may owe."""

from openstage.database.engine import Database
from openstage.licensing.models import Order, Purchase, PurchaseFilter, PurchasePage
from openstage.settings import Settings


class Licensing:
    """Purchases of all apps."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    async def purchase(self, app_id: int, order: Order) -> tuple[Purchase, bool]:
        """Buy a licence; returns it, and whether it had been bought before."""
        raise NotImplementedError

    async def get(self, app_id: int, purchase_id: int) -> Purchase:
        """Return a purchase of an app. Raises UnknownPurchase."""
        raise NotImplementedError

    async def find(self, purchase_id: int) -> Purchase:
        """Return a purchase of any app, for the operator. Raises UnknownPurchase."""
        raise NotImplementedError

    async def list(self, app_id: int, wanted: PurchaseFilter, *, page: int, per_page: int) -> PurchasePage:
        """List an app's purchases, the newest first."""
        raise NotImplementedError

    async def downloaded(self, purchase_id: int) -> None:
        """Note when a purchase's file was first sent."""
        raise NotImplementedError

    async def refund(self, purchase_id: int, reason: str) -> Purchase:
        """Give the money back and end the licence; a second time changes nothing."""
        raise NotImplementedError
