"""Templates to responses: language, escaping, and the headers that keep a page to itself."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlencode, urlsplit

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse

import openstage
from openstage.console.assets import Assets
from openstage.console.languages import COOKIE, LANGUAGES, choose, chosen, clock
from openstage.settings import Settings

YEAR: Final = 365 * 24 * 3600


class Renderer:
    """Renders the templates. Everything put into them is escaped, and no page runs or loads what isn't ours."""

    def __init__(self, settings: Settings, assets: Assets) -> None:
        self._policy = _policy(settings)
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(
            asset=assets.address,
            clock=clock,
            languages=tuple(LANGUAGES.values()),
            version=openstage.__version__,
        )

    def page(
        self,
        request: Request,
        template: str,
        values: Mapping[str, object],
        *,
        status: int = 200,
        framed: bool = False,
        forms: Sequence[str] = ("'none'",),
    ) -> HTMLResponse:
        """Render a page in the language of the request.

        Args:
            request: whose language counts, and whose address the page has.
            template: file name in `templates/`.
            values: what the template is given besides `t` (messages), `language` and `request`.
            status: HTTP status.
            framed: whether other sites may show it in a frame.
            forms: where its forms may lead, redirects included, as the Content-Security-Policy names places.

        """
        language = choose(request)
        html = self._environment.get_template(template).render(
            values, request=request, language=language, t=language.text, in_language=_in_language(request)
        )
        ancestors = "*" if framed else "'none'"
        headers = {
            "Content-Security-Policy": f"{self._policy}; form-action {' '.join(forms)}; frame-ancestors {ancestors}",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "strict-origin-when-cross-origin",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
            "Content-Language": language.code,
            "Vary": "Accept-Language, Cookie",
            # What is shown may be taken down: a copy is asked about before it is shown again.
            "Cache-Control": "private, no-cache",
        }
        if not framed:
            headers["X-Frame-Options"] = "DENY"
        response = HTMLResponse(html, status, headers)
        if by_hand := chosen(request):
            response.set_cookie(COOKIE, by_hand.code, max_age=YEAR, samesite="lax", httponly=True)
        return response


def _policy(settings: Settings) -> str:
    """Content-Security-Policy of every page: our own scripts, styles and media, from nowhere else, none inline."""
    own = " ".join(dict.fromkeys(["'self'", _origin(settings.base("public")), _origin(settings.base("media"))]))
    # hls.js hands the browser what it loads through blob: addresses (Media Source Extensions).
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"img-src {own} data:",
            f"media-src {own} blob:",
            f"connect-src {own}",
            "base-uri 'none'",
        ]
    )


def _in_language(request: Request) -> Callable[[str], str]:
    """Return what makes the address of a request's page in another language; its other parameters stay."""
    others = [(name, value) for name, value in request.query_params.multi_items() if name != "lang"]
    return lambda code: "?" + urlencode([*others, ("lang", code)])


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
