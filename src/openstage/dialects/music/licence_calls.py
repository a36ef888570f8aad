"""Calls that buy, and that look at what was bought (CONTRACT 3.4 to 3.8)."""

from typing import Final, Protocol

from starlette.requests import Request
from starlette.responses import Response

from openstage.catalogue.service import Catalogue
from openstage.dialects.music.authentication import Authentication, Signed
from openstage.dialects.music.dates import Dates
from openstage.dialects.music.envelope import reply
from openstage.dialects.music.errors import BadParameter
from openstage.dialects.music.parameters import Parameters
from openstage.dialects.music.shapes import LibraryAddresses, Shapes
from openstage.licensing.errors import PurchaseRefunded
from openstage.licensing.models import Order, Purchase, PurchaseFilter, Standing
from openstage.licensing.service import Licensing

PER_PAGE: Final = 10
LARGEST_PAGE: Final = 100
DEEPEST_PAGE: Final = 10_000
DOWNLOADED: Final = {"": None, "0": None, "1": True, "2": False}
STATUS: Final[dict[str, Standing | None]] = {"": None, "0": None, "1": "valid", "2": "refunded"}
"""Values of `status`, which clients send though the document doesn't know it; the meanings are ours."""


class MakesCertificates(Protocol):
    """What this dialect needs of certificates."""

    async def certificate(self, purchase: Purchase) -> bytes:
        """Return a purchase's certificate as PDF."""


class LicenceCalls:
    """Buys for signed requests, and shows an app what it has bought."""

    def __init__(
        self,
        authentication: Authentication,
        *,
        catalogue: Catalogue,
        licensing: Licensing,
        certificates: MakesCertificates,
        addresses: LibraryAddresses,
        dates: Dates,
    ) -> None:
        self._authentication = authentication
        self._catalogue = catalogue
        self._licensing = licensing
        self._certificates = certificates
        self._addresses = addresses
        self._dates = dates
        self._shapes = Shapes(addresses, dates)

    async def purchase(self, request: Request) -> Response:
        """3.4: buy a licence; a repeated request answers with what it bought the first time."""
        signed = await self._authentication.check(request, "POST", buys=True)
        given = signed.parameters
        order = Order(
            audio_id=given.required_integer("audio_id"),
            offer_id=given.required_integer("permission_id"),
            warrant_name=given.required("warrant_name"),
            third_user_id=given.text("third_user_id"),
            request_id=given.text("request_id"),
            digest=signed.digest,
        )
        purchase, _ = await self._licensing.purchase(signed.app.id, order)
        # A request that is repeated after a refund is told its purchase, but no file.
        return reply({"id": purchase.id, "url": "" if purchase.refunded_at else self._addresses.download(purchase)})

    async def my_purchases(self, request: Request) -> Response:
        """3.5: what the app has bought, the newest first."""
        signed = await self._authentication.check(request, "GET")
        given = signed.parameters
        page = given.integer("page", least=1, most=DEEPEST_PAGE) or 1
        per_page = min(given.integer("per_page", least=1) or PER_PAGE, LARGEST_PAGE)
        found = await self._licensing.list(signed.app.id, self._wanted(given), page=page, per_page=per_page)
        return reply(
            {
                "current_page": page,
                "per_page": str(per_page),  # text here, a number in search: so the document has it
                "total": found.total,
                "list": [self._shapes.bought(each) for each in found.items],
            }
        )

    async def purchase_detail(self, request: Request) -> Response:
        """3.6: one purchase, and its track as it is now."""
        purchase = await self._own(await self._authentication.check(request, "GET"))
        track = await self._catalogue.track(purchase.audio_id, removed=True)
        categories = await self._catalogue.categories()
        return reply({"audio": self._shapes.audio(track, categories), "purchase": self._shapes.purchase(purchase)})

    async def download_warrant(self, request: Request) -> Response:
        """3.7: the certificate of a purchase, as a file."""
        purchase = _not_refunded(await self._own(await self._authentication.check(request, "GET")))
        return Response(
            await self._certificates.certificate(purchase),
            media_type="application/pdf",
            headers={
                "Content-Disposition": f'attachment; filename="certificate-{purchase.number}.pdf"',
                "Cache-Control": "private, no-store",
            },
        )

    async def purchase_download(self, request: Request) -> Response:
        """3.8: a fresh address of the file that was bought."""
        purchase = _not_refunded(await self._own(await self._authentication.check(request, "GET")))
        return reply({"url": self._addresses.download(purchase)})

    async def _own(self, signed: Signed) -> Purchase:
        return await self._licensing.get(signed.app.id, signed.parameters.required_integer("purchase_id"))

    def _wanted(self, given: Parameters) -> PurchaseFilter:
        wanted = PurchaseFilter(
            begin=self._dates.read(given, "begin_at"),
            end=self._dates.read(given, "end_at", end=True),
            updated_begin=self._dates.read(given, "begin_updated_at"),
            updated_end=self._dates.read(given, "end_updated_at", end=True),
            downloaded=given.choice("is_download", DOWNLOADED),
            standing=given.choice("status", STATUS),
            audio_id=given.integer("audio_id", least=1),
        )
        for begin, end, names in (
            (wanted.begin, wanted.end, "begin_at is after end_at."),
            (wanted.updated_begin, wanted.updated_end, "begin_updated_at is after end_updated_at."),
        ):
            if begin and end and begin > end:
                raise BadParameter(names)
        return wanted


def _not_refunded(purchase: Purchase) -> Purchase:
    if purchase.refunded_at is not None:
        raise PurchaseRefunded
    return purchase
