"""The short way to calls that have a path of their own."""

from collections.abc import Iterable

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send


class Direct:
    """ASGI application that hands a request with a known path to its call at once, and any other to the framework.

    The framework asks one route after the other and wraps each call in its error pages, which takes longer than a
    small call itself. Calls that answer their own errors and take every method need neither.
    """

    def __init__(self, others: ASGIApp) -> None:
        self._others = others
        self._calls: dict[str, ASGIApp] = {}

    def add(self, routes: Iterable[BaseRoute]) -> None:
        """Take the short way to routes that are whole applications with a path without parameters."""
        for route in routes:
            if isinstance(route, Route) and not route.param_convertors and route.methods is None:
                self._calls[route.path] = route.app
                # With a slash at its end too: a redirect would lose a body, and be no envelope.
                self._calls[route.path + "/"] = route.app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        call = self._calls.get(scope["path"]) if scope["type"] == "http" else None
        await (call or self._others)(scope, receive, send)
