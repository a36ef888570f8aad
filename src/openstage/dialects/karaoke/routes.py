"""Which path is which call. Hosts don't matter: the upload host's calls and the open API's don't collide."""

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from openstage.dialects.karaoke.errors import Call, NotBuilt, UnknownCall

_NAMED: Final[dict[str, str]] = {
    "/karaoke/oper/v2/": "get_cityids get_class_list get_config get_hot_ugc get_hot_words get_ranking_list"
    " get_theme_songs recommend get_toplist multi_playlist get_playlist_set get_ad mini_show_collection"
    " get_vehicle_channel_map set_offline_cache_device",
    "/karaoke/spec/v2/": "exchange_cdkey check_device_eligible get_limit_free_rest_time get_present_vip_conf",
    "/karaoke/payment/v2/": "generate_new_order_cdk recall_new_cdk query_cdk_info order_notify phone_notify"
    " order_status get_vip_product_directly place_pay_order get_pay_order_list refund_device_vip transfer_device_vip"
    " sync_thirdparty_order query_receive_transfer_vip receive_transfer_vip grant_device_exp_vip get_vip_info",
    "/karaoke/payment/v3/": "get_vip_product",
}
NAMED: Final = frozenset(folder + name for folder, names in _NAMED.items() for name in names.split())
"""Paths that the platform's table of contents names and that nothing here answers."""


class Calls(Protocol):
    """A group of calls."""

    def routes(self) -> Sequence[BaseRoute]:
        """Which path is which call; each a route to a `Call`."""


def karaoke_routes(groups: Iterable[Calls]) -> list[BaseRoute]:
    """Return the routes of all groups, and the answer to every other path of this dialect.

    They go before those of the video dialect, which answers all else under `/api/`.
    """
    unknown = Call(_unknown, method="")
    return [
        *(route for group in groups for route in group.routes()),
        *(route for folder in ("/karaoke", "/oauth/v2") for route in (Route(folder, unknown), Mount(folder, unknown))),
    ]


async def _unknown(request: Request) -> Response:
    path = request.url.path
    if path.rstrip("/") in NAMED:
        raise NotBuilt(f"{path} is not built here; docs/karaoke-dialect.md lists the calls that are.")
    raise UnknownCall(f"{path} is not served here; docs/karaoke-dialect.md lists the calls.")
