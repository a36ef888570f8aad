"""Which path is which call: under `/plus/` as clients have it, and bare as the document writes it."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from openstage.dialects.music.catalogue_calls import CatalogueCalls
from openstage.dialects.music.errors import Call, UnknownCall
from openstage.dialects.music.licence_calls import LicenceCalls

PREFIXES = ("/plus/audio", "/audio")


def music_routes(catalogue: CatalogueCalls, licences: LicenceCalls) -> list[BaseRoute]:
    """Return the routes of the music dialect."""
    calls = {
        "search": Call("search", catalogue.search),
        "detail": Call("detail", catalogue.detail),
        "categories": Call("categories", catalogue.categories),
        "purchase": Call("purchase", licences.purchase),
        "my-purchases": Call("my-purchases", licences.my_purchases),
        "purchase-detail": Call("purchase-detail", licences.purchase_detail),
        "purchase-download": Call("purchase-download", licences.purchase_download),
        "download-warrant": Call("download-warrant", licences.download_warrant),
    }
    unknown = Call("unknown", _unknown)
    served = [Route(f"{prefix}/{name}", call) for prefix in PREFIXES for name, call in calls.items()]
    others = [route for path in ("/plus", "/audio") for route in (Route(path, unknown), Mount(path, unknown))]
    return [*served, *others]


async def _unknown(request: Request) -> Response:
    raise UnknownCall(f"{request.url.path} is not served here; docs/music-dialect.md lists the calls.")
