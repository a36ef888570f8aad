"""Passkeys on the pages of people: signing in with one, adding and removing them.

The page's script asks for what the authenticator is to sign, and puts the answer into an ordinary form.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from openstage.errors import DomainError, Unavailable
from openstage.identity.errors import PasskeyInvalid
from openstage.identity.service import Identity
from openstage.oauth.browser import own_page, to_sign_in
from openstage.oauth.people import PeoplePages, browser_of
from openstage.oauth.rendering import Pages, Stale
from openstage.oauth.requests import address_of


class PasskeyPages:
    """Handlers of what has to do with passkeys."""

    def __init__(self, identity: Identity, pages: Pages, people: PeoplePages) -> None:
        self._identity = identity
        self._pages = pages
        self._people = people

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [
            Route("/sign-in/passkey/options", self.options_to_use, methods=["POST"]),
            Route("/sign-in/passkey", self.use, methods=["POST"]),
            Route("/account/passkeys/options", self.options_to_make, methods=["POST"]),
            Route("/account/passkeys", self.make, methods=["POST"]),
            Route("/account/passkeys/remove", self.remove, methods=["POST"]),
        ]

    async def options_to_use(self, request: Request) -> Response:
        """Tell the script what to ask the authenticator for, so that somebody signs in."""
        visitor = await self._pages.browsers.visitor(request)
        try:
            await self._pages.form(request, visitor)
            # Given back to who signs in: it limits how much a stranger can make us remember.
            await self._identity.guesses.charge("password", address=address_of(request))
            return _json(await self._identity.passkeys.ask_to_use(visitor.form_key))
        except (Stale, DomainError) as error:
            return self._pages.told(request, error)

    async def use(self, request: Request) -> Response:
        """Sign somebody in by what their authenticator has signed, and lead on to `next`."""
        visitor = await self._pages.browsers.visitor(request)
        try:
            form = await self._pages.form(request, visitor)
        except Stale:
            return self._pages.stale(request, visitor, "/account")
        following = own_page(form.get("next", ""))
        try:
            account = await self._identity.passkeys.use(visitor.form_key, form.get("answer", ""))
            await self._identity.guesses.refund("password", address=address_of(request))
            return await self._people.enter(request, visitor, account, following)
        except Unavailable:
            raise
        except DomainError as error:
            return await self._people.ask(request, visitor, "sign_in.html", following, error=error)

    async def options_to_make(self, request: Request) -> Response:
        """Tell the script what to ask the authenticator for, to make a passkey; the person proves their password."""
        visitor = await self._pages.browsers.visitor(request)
        try:
            form = await self._pages.form(request, visitor)
            account = visitor.account
            if account is None:
                return self._pages.told(request, Stale())
            await self._identity.accounts.verify(account.name, form.get("old", ""), address=address_of(request))
            return _json(await self._identity.passkeys.ask_to_make(account, visitor.form_key))
        except (Stale, DomainError) as error:
            return self._pages.told(request, error)

    async def make(self, request: Request) -> Response:
        """Keep a passkey that the person's authenticator has made."""
        visitor = await self._pages.browsers.visitor(request)
        try:
            form = await self._pages.form(request, visitor)
        except Stale:
            return self._pages.stale(request, visitor, "/account")
        account = visitor.account
        if account is None:
            return to_sign_in(request)
        name = browser_of(request.headers.get("user-agent", ""))
        try:
            await self._identity.passkeys.make(account, visitor.form_key, form.get("answer", ""), name=name)
        except PasskeyInvalid as error:
            return await self._people.show(request, visitor, account, error=error)
        return await self._people.show(request, visitor, account, said="passkey_added")

    async def remove(self, request: Request) -> Response:
        """Remove one of a person's passkeys."""
        visitor = await self._pages.browsers.visitor(request)
        try:
            form = await self._pages.form(request, visitor)
        except Stale:
            return self._pages.stale(request, visitor, "/account")
        account = visitor.account
        if account is None:
            return to_sign_in(request)
        number = form.get("passkey", "")
        if number.isdecimal() and len(number) < 19:
            await self._identity.passkeys.remove(account.id, int(number))
        return await self._people.show(request, visitor, account, said="passkey_removed")


def _json(text: str) -> Response:
    return Response(text, media_type="application/json", headers={"Cache-Control": "no-store"})
