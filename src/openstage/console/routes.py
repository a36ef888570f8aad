"""The pages' addresses."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from openstage.console.assets import Assets
from openstage.console.documents import Documents
from openstage.console.pages import Pages
from openstage.console.ports import (
    PageAddresses,
    PageAdmission,
    PageRecordings,
    PageStandings,
    PageWorks,
    PublicOnly,
)
from openstage.console.rendering import Renderer
from openstage.console.shares import SharePages
from openstage.settings import Settings

ROBOTS = "User-agent: *\nDisallow: /api/\nDisallow: /media/\nDisallow: /e/\nDisallow: /certificates/\n"


class Console:
    """All pages for people: their routes, and the page for addresses at which there is nothing."""

    def __init__(
        self,
        works: PageWorks,
        addresses: PageAddresses,
        standings: PageStandings,
        settings: Settings,
        *,
        recordings: PageRecordings | None = None,
        admission: PageAdmission | None = None,
    ) -> None:
        """Read assets and templates.

        Args:
            works: where works are read.
            addresses: where media and page addresses are made.
            standings: where it is told how works stand.
            settings: public addresses.
            recordings: where recordings are read; None: there are none.
            admission: tells who may see what isn't public; None: nobody.

        Raises:
            AssetsMissing: the package was installed without the pages' scripts and styles.

        """
        assets = Assets()
        self.renderer = Renderer(settings, assets)
        admission = admission or PublicOnly()
        pages = Pages(
            works,
            addresses,
            standings,
            settings,
            renderer=self.renderer,
            documents=Documents(),
            admission=admission,
        )
        shares: list[Route] = []
        if recordings:
            shares = SharePages(recordings, pages, addresses, renderer=self.renderer, admission=admission).routes()
        self.routes: list[Route | Mount] = [
            Route("/", pages.home),
            Route("/w/{slug}", pages.watch),
            Route("/w/{slug}/play", pages.play),
            Route("/e/{slug}", pages.embed),
            *shares,
            Route("/docs", pages.documents),
            Route("/docs/{name:path}", pages.document),
            Route("/static/{name}", assets.built),
            Route("/favicon.svg", assets.icon),
            Route("/favicon.ico", assets.icon),
            Route("/robots.txt", _robots),
        ]

    def not_found(self, request: Request) -> Response:
        """Return the page for an address at which there is nothing (status 404)."""
        return self.renderer.page(request, "missing.html", {}, status=404)

    def failed(self, request: Request) -> Response:
        """Return the page that says that the server couldn't answer (status 503)."""
        return self.renderer.page(request, "failed.html", {}, status=503)


async def _robots(_: Request) -> Response:
    return PlainTextResponse(ROBOTS, headers={"Cache-Control": "public, max-age=86400"})
