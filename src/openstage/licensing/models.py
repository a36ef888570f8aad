"""What licensing is made of: buyers, purchases, how an app is billed, the ledger."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from openstage.catalogue.models import TrackFile

Standing = Literal["valid", "refunded"]
"""Whether the licence that was bought still holds."""
TransactionKind = Literal["purchase", "refund", "payment"]
LedgerName = Literal["owed", "sales", "received"]
"""Accounts of an app in the ledger: what it owes, what was sold to it, what it has paid."""


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who buys through an app: its main account, or a member of it."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """A buyer with what the operator wants to know of it; an empty `third_user_id` is the main account's."""

    id: int
    name: str
    third_user_id: str
    purchases: int


@dataclass(frozen=True, slots=True)
class BoughtOffer:
    """An offer as it was when it was bought; what is changed of it later changes no purchase."""

    id: int
    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Purchase:
    """A licence that was bought, with everything as it was at that moment."""

    id: int
    number: str
    """Number of the licence, for people and certificates, such as `20261121-K7QF-3M9A-XW`. Unique; can't be guessed."""
    app_id: int
    main: Buyer
    """The app's main account."""
    buyer: Buyer
    """Who actually bought: a member, or the main account itself."""
    third_user_id: str
    """The app's own name for the member; empty: the main account."""
    audio_id: int
    """Number of the track; it may have been removed from the catalogue since. `title` and `artist` are as bought."""
    title: str
    artist: str
    offer: BoughtOffer
    price: Decimal
    """What was charged, in `currency`; two decimals."""
    currency: str
    """ISO 4217, such as `CNY`."""
    file: TrackFile
    """The version that was bought: its bytes stay as they were, however the catalogue is imported again."""
    warrant_name: str
    """To whom the licence is granted."""
    is_test: bool
    """Bought by a test app: never billed, licenses nothing."""
    bought_at: dt.datetime
    downloaded_at: dt.datetime | None
    """When its file was first sent."""
    refunded_at: dt.datetime | None
    refund_reason: str
    updated_at: dt.datetime

    @property
    def sha256(self) -> str:
        """Digest of the delivered file; 64 hex digits."""
        return self.file.sha256

    @property
    def format(self) -> str:
        """What is delivered, as a file name's ending in small letters: `mp3`, `wav`."""
        return self.file.file_name.rpartition(".")[2].lower()

    @property
    def standing(self) -> Standing:
        """Whether the licence still holds."""
        return "refunded" if self.refunded_at else "valid"


@dataclass(frozen=True, slots=True)
class Order:
    """What an app asks to buy.

    Attributes:
        audio_id: public id of the track.
        offer_id: an offer of that track.
        warrant_name: to whom the licence shall be granted.
        third_user_id: the app's own name for who buys; empty: its main account.
        request_id: the app's own name for this request, good for ever; empty: see `Licensing.purchase`.
        digest: what identifies a signed request that may come again; empty where nothing does.

    """

    audio_id: int
    offer_id: int
    warrant_name: str
    third_user_id: str = ""
    request_id: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class PurchaseFilter:
    """Which purchases are asked for; None: doesn't matter. Times include their bounds, to the second."""

    begin: dt.datetime | None = None
    end: dt.datetime | None = None
    updated_begin: dt.datetime | None = None
    updated_end: dt.datetime | None = None
    downloaded: bool | None = None
    standing: Standing | None = None
    audio_id: int | None = None


@dataclass(frozen=True, slots=True)
class PurchasePage:
    """One page of purchases, the newest first; `total` of all pages."""

    total: int
    items: list[Purchase]


@dataclass(frozen=True, slots=True)
class Billing:
    """How an app is billed. Amounts are in the server's currency."""

    app_id: int
    client_id: str
    name: str
    """Of the app's main account."""
    is_test: bool
    """Its purchases are marked and never billed."""
    limit: Decimal | None
    """What it may owe at most; None: no limit."""
    own_limit: bool
    """Whether `limit` is its own, not the server's setting."""
    owed: Decimal
    """What it owes; below zero: it has paid ahead."""
    sold: Decimal
    """What was sold to it, less refunds."""
    received: Decimal
    """What it has paid."""
    purchases: int
    """How many it has made, refunded ones and those of a test app included."""

    @property
    def left(self) -> Decimal | None:
        """For how much it can still buy; None: no limit."""
        return None if self.limit is None else max(self.limit - self.owed, Decimal(0))


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """A transaction of the ledger as the app's debt sees it."""

    transaction_id: int
    kind: TransactionKind
    purchase_id: int | None
    reference: str
    """Of a payment: the same one is booked once."""
    memo: str
    amount: Decimal
    """By how much it changed what the app owes."""
    balance: Decimal
    """What the app owed after it."""
    made_at: dt.datetime


@dataclass(frozen=True, slots=True)
class LedgerFault:
    """Something that can't be: sums that disagree. There is none unless somebody wrote past the constraints."""

    what: str
    app_id: int
    expected: Decimal
    found: Decimal
