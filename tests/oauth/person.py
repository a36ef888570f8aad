"""Somebody at a browser, as HTTP sees them: keeps cookies, fills in the forms that pages have, follows nothing."""

import re
from html.parser import HTMLParser
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx


class Form(HTMLParser):
    """A page's forms."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[tuple[dict[str, str], dict[str, str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append((values, {}))
        elif tag == "input" and self.forms:
            self.forms[-1][1][values.get("name", "")] = values.get("value", "")

    def to(self, action: str) -> tuple[str, dict[str, str]]:
        """Address and fields of the form that leads there."""
        found = next((form for form in self.forms if form[0]["action"].startswith(action)), None)
        assert found, f"no form to {action} among {[form[0]['action'] for form in self.forms]}"
        return found[0]["action"], dict(found[1])


class Person:
    """A browser without scripts."""

    def __init__(self, address: str, language: str = "en") -> None:
        self.address = address
        self.http = httpx.AsyncClient(base_url=address, timeout=30, verify=False, headers={"Accept-Language": language})

    async def __aenter__(self) -> "Person":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self.http.aclose()

    async def get(self, path: str, **parameters: str) -> httpx.Response:
        return await self.http.get(path, params=parameters or None)

    async def post(self, page: httpx.Response, action: str, **fields: str) -> httpx.Response:
        """Send the form of a page that leads to `action`, with these fields filled in."""
        target, given = Form(page.text).to(action)
        return await self.http.post(target, data=given | fields, headers={"Origin": self.address})

    async def sign_in(self, name: str, password: str) -> httpx.Response:
        page = await self.get("/sign-in")
        return await self.post(page, "/sign-in", name=name, password=password)

    async def authorize(
        self, *, path: str = "/oauth/authorize", decision: str = "allow", **parameters: str
    ) -> "Answer":
        """Ask for access as an app does, and decide; the parameters that the app hears."""
        page = await self.get(path, response_type="code", **parameters)
        if page.status_code == 200:
            page = await self.post(page, path, decision=decision)
        return Answer(page)


class Answer(dict[str, str]):
    """What an app hears by a redirect; `page` is the reply that led there."""

    def __init__(self, page: httpx.Response) -> None:
        assert page.status_code == 303, page.text[-2000:]
        self.page = page
        self.address, _, query = page.headers["location"].partition("?")
        super().__init__(parse_qsl(query))


def problem(page: httpx.Response) -> str:
    """What a page says went wrong; empty: nothing."""
    found = re.search(r'role="alert"[^>]*>([^<]*)<', page.text)
    return found[1] if found else ""


def policy(page: httpx.Response) -> dict[str, str]:
    """The page's Content-Security-Policy, by directive."""
    parts = (part.strip().partition(" ") for part in page.headers["content-security-policy"].split(";"))
    return {name: value for name, _, value in parts}


def origin(address: str) -> Any:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
