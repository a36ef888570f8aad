"""What can go wrong with licences and the ledger."""

from decimal import Decimal

from openstage.errors import DomainError


class UnknownPurchase(DomainError):
    """There is no such purchase, or it is another app's (which of the two is not told)."""

    code = "licensing.unknown_purchase"


class BadOrder(DomainError):
    """Something that was asked to be bought is missing or can't be kept."""

    code = "licensing.bad_order"


class UnknownOffer(DomainError):
    """There is no such offer of this track."""

    code = "licensing.unknown_offer"


class NotForSale(DomainError):
    """The track, or the offer, can't be bought at the moment."""

    code = "licensing.not_for_sale"


class CreditExceeded(DomainError):
    """The app would owe more than it may."""

    code = "licensing.credit_exceeded"

    def __init__(self, price: Decimal, owed: Decimal, limit: Decimal, currency: str) -> None:
        """Tell the amounts."""
        super().__init__(
            f"This costs {price:.2f} {currency}; the app owes {owed:.2f} of {limit:.2f} {currency} that it may owe. "
            "Nothing was bought. Ask the operator to book a payment or to raise the limit."
        )
        self.price, self.owed, self.limit = price, owed, limit


class RequestReused(DomainError):
    """The same request_id came before for something else."""

    code = "licensing.request_reused"


class PurchaseRefunded(DomainError):
    """The purchase was refunded: its licence has ended."""

    code = "licensing.refunded"

    def __init__(self) -> None:
        super().__init__("This purchase was refunded: its licence has ended, and its file is no longer delivered.")


class CurrencyChanged(DomainError):
    """The server's currency is no longer the one in which an app's ledger was begun: sums would mix the two."""

    code = "licensing.currency_changed"


class BadAmount(DomainError):
    """An amount of money is not one: not a number, negative, or finer than the currency."""

    code = "licensing.bad_amount"


class UnknownCertificate(DomainError):
    """No certificate has this address."""

    code = "licensing.unknown_certificate"
