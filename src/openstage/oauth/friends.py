"""Friends on the account page: who they are, and ending it. Nobody befriends others by themselves."""

import contextlib

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from openstage.identity.errors import UnknownAccount
from openstage.identity.service import Identity
from openstage.oauth.browser import to_sign_in
from openstage.oauth.people import PeoplePages
from openstage.oauth.rendering import Pages, Stale


class FriendPages:
    """Handlers of what has to do with friends."""

    def __init__(self, identity: Identity, pages: Pages, people: PeoplePages) -> None:
        self._identity = identity
        self._pages = pages
        self._people = people

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [Route("/account/unfriend", self.unfriend, methods=["POST"])]

    async def unfriend(self, request: Request) -> Response:
        """End a friendship; that of nobody's friend ended before."""
        visitor = await self._pages.browsers.visitor(request)
        try:
            form = await self._pages.form(request, visitor)
        except Stale:
            return self._pages.stale(request, visitor, "/account")
        account = visitor.account
        if account is None:
            return to_sign_in(request)
        with contextlib.suppress(UnknownAccount):
            friend = await self._identity.accounts.find(form.get("friend", ""))
            await self._identity.friends.unfriend(account, friend)
        return await self._people.show(request, visitor, account, said="unfriended")
