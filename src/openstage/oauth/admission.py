"""For whom pages are answered: who is signed in at the browser that asks."""

from starlette.requests import Request

from openstage.oauth.browser import Browsers
from openstage.works.models import Work
from openstage.works.visibility import EVERYBODY, Audience, Viewer, Visibility


class Admission:
    """Lets people see what isn't public. Of what is public nothing is asked."""

    def __init__(self, browsers: Browsers, visibility: Visibility) -> None:
        self._browsers = browsers
        self._visibility = visibility

    async def audience(self, request: Request, work: Work) -> Audience | None:
        """Tell for whom a work is shown to the browser that asks; None: it doesn't exist for them.

        Raises:
            Unavailable: the database is away.

        """
        if work.access == "public":
            return EVERYBODY
        return await self._visibility.audience(work, await self._viewer(request))

    async def admits(self, request: Request, slug: str) -> bool:
        """Tell whether the browser that asks may see the work of a slug; raises Unavailable."""
        return await self._visibility.sees(slug, await self._viewer(request))

    async def is_signed_in(self, request: Request) -> bool:
        """Tell whether anybody is signed in there; raises Unavailable."""
        return (await self._viewer(request)).account_id is not None

    async def _viewer(self, request: Request) -> Viewer:
        account = (await self._browsers.visitor(request)).account
        return Viewer(account.id if account else None)
