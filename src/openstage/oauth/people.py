"""The pages of people: sign in, sign up, sign out, their account."""

import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from openstage.console.languages import choose
from openstage.errors import DomainError, Unavailable
from openstage.identity.authorisations import Authorisation
from openstage.identity.errors import UnknownApp
from openstage.identity.labels import plain
from openstage.identity.models import Account
from openstage.identity.service import Identity
from openstage.oauth.browser import Visitor, own_page, see_other, to_sign_in
from openstage.oauth.rendering import Pages, Stale
from openstage.oauth.requests import address_of
from openstage.settings import Settings

# What stands in others' names too comes last.
_BROWSERS: Final = (
    ("MicroMessenger", "WeChat"),
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS: Final = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


@dataclass(frozen=True, slots=True)
class AppWithAccess:
    """An app that a person has allowed something."""

    client_id: str
    name: str
    since: dt.datetime
    scopes: list[str]


class PeoplePages:
    """Handlers of the pages."""

    def __init__(self, identity: Identity, pages: Pages, settings: Settings) -> None:
        self._identity = identity
        self._pages = pages
        self._browsers = pages.browsers
        self._open = settings.sign_up

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [
            Route("/sign-in", self.sign_in, methods=["GET", "POST"]),
            Route("/sign-up", self.sign_up, methods=["GET", "POST"]),
            Route("/sign-out", self.sign_out, methods=["POST"]),
            Route("/account", self.account, methods=["GET"]),
            Route("/account/withdraw", self.withdraw, methods=["POST"]),
            Route("/account/password", self.change_password, methods=["POST"]),
        ]

    async def sign_in(self, request: Request) -> Response:
        """Ask for name and password, and lead on to `next`."""
        visitor = await self._browsers.visitor(request)
        if request.method != "POST" and visitor.account:
            return see_other(own_page(request.query_params.get("next", "")))

        async def verified(name: str, password: str) -> Account:
            return await self._identity.accounts.verify(name, password, address=address_of(request))

        return await self._let_in(request, visitor, "sign_in.html", verified)

    async def sign_up(self, request: Request) -> Response:
        """Make an account, where anybody may, and lead on to `next`."""
        visitor = await self._browsers.visitor(request)
        if not self._open:
            return see_other("/sign-in")

        async def created(name: str, password: str) -> Account:
            # Not given back: it also limits how many accounts come from one address.
            await self._identity.guesses.charge("sign-up", address=address_of(request))
            return await self._identity.accounts.create(name, password)

        return await self._let_in(request, visitor, "sign_up.html", created)

    async def _let_in(
        self,
        request: Request,
        visitor: Visitor,
        template: str,
        account_of: Callable[[str, str], Awaitable[Account]],
    ) -> Response:
        """Show a form, or sign in whom `account_of` finds or makes by the name and password that it brought."""
        if request.method != "POST":
            return await self.ask(request, visitor, template, own_page(request.query_params.get("next", "")))
        try:
            form = await self._pages.form(request, visitor)
        except Stale:
            return self._pages.stale(request, visitor, "/account")
        following = own_page(form.get("next", ""))
        name = form.get("name", "")
        try:
            account = await account_of(name, form.get("password", ""))
            return await self.enter(request, visitor, account, following)
        except Unavailable:
            raise
        except DomainError as error:
            return await self.ask(request, visitor, template, following, name=name, error=error)

    async def sign_out(self, request: Request) -> Response:
        """End this session, or all of them (`everywhere`)."""
        visitor = await self._browsers.visitor(request)
        try:
            form = await self._pages.form(request, visitor)
        except Stale:
            return self._pages.stale(request, visitor, "/account")
        if visitor.account and "everywhere" in form:
            await self._identity.sessions.end_all(visitor.account.id)
        elif visitor.session:
            await self._identity.sessions.end(visitor.session)
        following = own_page(form.get("next", ""))
        response = see_other(f"/sign-in?next={quote(following, safe='')}")
        self._browsers.forget(response)
        return response

    async def account(self, request: Request) -> Response:
        """Show a person what they allowed to whom, and where they are signed in."""
        visitor = await self._browsers.visitor(request)
        if visitor.account is None:
            return to_sign_in(request)
        return await self.show(request, visitor, visitor.account)

    async def withdraw(self, request: Request) -> Response:
        """End what a person allowed to an app."""
        visitor = await self._browsers.visitor(request)
        try:
            form = await self._pages.form(request, visitor)
        except Stale:
            return self._pages.stale(request, visitor, "/account")
        if visitor.account is None:
            return to_sign_in(request)
        await self._identity.authorisations.withdraw(visitor.account.id, form.get("client_id", ""))
        return await self.show(request, visitor, visitor.account, said="withdrawn")

    async def change_password(self, request: Request) -> Response:
        """Change a person's password, which signs out all other browsers."""
        visitor = await self._browsers.visitor(request)
        try:
            form = await self._pages.form(request, visitor)
        except Stale:
            return self._pages.stale(request, visitor, "/account")
        account = visitor.account
        if account is None:
            return to_sign_in(request)
        accounts = self._identity.accounts
        try:
            await accounts.verify(account.name, form.get("old", ""), address=address_of(request))
            await accounts.set_password(account.name, form.get("new", ""))
            secret = await self._browsers.begin(request, account)
        except Unavailable:
            raise
        except DomainError as error:
            return await self.show(request, visitor, account, error=error)
        response = await self.show(request, replace(visitor, session=secret), account, said="password_changed")
        self._browsers.keep(response, secret)
        return response

    async def enter(self, request: Request, visitor: Visitor, account: Account, following: str) -> Response:
        """Sign a browser in as somebody who has proved themselves, and lead on; raises AccountDisabled."""
        secret = await self._browsers.begin(request, account)
        if visitor.session:
            await self._identity.sessions.end(visitor.session)
        response = see_other(following)
        self._browsers.keep(response, secret)
        return response

    async def ask(
        self,
        request: Request,
        visitor: Visitor,
        template: str,
        following: str,
        *,
        name: str = "",
        error: DomainError | None = None,
    ) -> Response:
        """Ask somebody to sign in or up (`template`), to be led on to `following`; `error`: why once more."""
        return self._pages.page(
            request,
            visitor,
            template,
            next=following,
            name=name,
            app_name=await self._app_name(following),
            open=self._open,
            passkeys=self._identity.passkeys.possible,
            error=error,
        )

    async def show(
        self, request: Request, visitor: Visitor, account: Account, *, said: str = "", error: DomainError | None = None
    ) -> Response:
        """Show a person their account; `said`: a message's key, of what has just been done."""
        held = await self._identity.authorisations.list(account_id=account.id, limit=500)
        return self._pages.page(
            request,
            visitor,
            "account.html",
            apps=_by_app(held),
            friends=await self._identity.friends.list(account.id),
            sessions=await self._identity.sessions.list(account.id),
            browser_of=browser_of,
            this=visitor.session_number,
            passkeys=await self._identity.passkeys.list(account.id),
            passkeys_possible=self._identity.passkeys.possible,
            said=choose(request).text(said) if said else "",
            error=error,
        )

    async def _app_name(self, following: str) -> str:
        """Return the name of the app for whose sake somebody signs in; empty: none."""
        if following.startswith("/qr/"):
            link = following.removeprefix("/qr/").partition("?")[0]
            return await self._identity.devices.app_of_link(link) or ""
        client_id = parse_qs(urlsplit(following).query).get("client_id", [""])[0]
        if not client_id:
            return ""
        try:
            return plain((await self._identity.apps.find(client_id)).name)
        except UnknownApp:
            return ""


def browser_of(agent: str) -> str:
    """Return what a person calls the browser of a `User-Agent`, such as `Chrome, Android`; empty: nobody knows."""
    found = (next((name for mark, name in marks if mark in agent), "") for marks in (_BROWSERS, _SYSTEMS))
    return ", ".join(filter(None, found))


def _by_app(held: Sequence[Authorisation]) -> list[AppWithAccess]:
    apps: dict[str, AppWithAccess] = {}
    for each in held:
        before = apps.get(each.client_id)
        scopes = [*(before.scopes if before else []), *each.scopes]
        since = min(before.since, each.created_at) if before else each.created_at
        apps[each.client_id] = AppWithAccess(each.client_id, plain(each.app_name), since, list(dict.fromkeys(scopes)))
    return list(apps.values())
