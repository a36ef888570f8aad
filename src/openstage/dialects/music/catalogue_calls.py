"""Calls that look at the catalogue: categories, search, detail (CONTRACT 3.1 to 3.3)."""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from openstage.catalogue.models import Search, Sort
from openstage.catalogue.service import Catalogue
from openstage.dialects.music.authentication import Authentication
from openstage.dialects.music.envelope import reply
from openstage.dialects.music.parameters import Parameters
from openstage.dialects.music.shapes import Shapes, category_lists

PER_PAGE: Final = 30
LARGEST_PAGE: Final = 100
"""Tracks of one page, as many as in the document's example; who asks for more gets so many."""
SORTS: Final[dict[str, Sort]] = {
    "": "relevance",
    "relevance": "relevance",
    "newest": "newest",
    "heat": "heat",
    "duration": "duration",
    "-duration": "-duration",
    "bpm": "bpm",
    "-bpm": "-bpm",
}
"""Values of `sort`, which is ours: the document's FAQ names orders, but no parameter."""
MESSAGES: Final = {
    "all": "",
    "widened": "Nothing has all the words as they are; these have parts of them, or a letter wrong.",
    "any": "Nothing has all the words; these have some of them.",
}


class CatalogueCalls:
    """Looks at the catalogue for signed requests."""

    def __init__(self, authentication: Authentication, catalogue: Catalogue, shapes: Shapes) -> None:
        self._authentication = authentication
        self._catalogue = catalogue
        self._shapes = shapes

    async def categories(self, request: Request) -> Response:
        """3.1: what tracks are sorted by."""
        await self._authentication.check(request, "GET", looks=True)
        return reply(category_lists(await self._catalogue.categories()))

    async def search(self, request: Request) -> Response:
        """3.2: a page of tracks."""
        signed = await self._authentication.check(request, "GET", looks=True)
        page = await self._catalogue.search(_wanted(signed.parameters))
        categories = await self._catalogue.categories()
        data: dict[str, Any] = {
            "current_page": page.page,
            "per_page": page.per_page,
            "total": page.total,
            "list": [self._shapes.listed(track, categories) for track in page.tracks],
        }
        if page.matched != "all":
            # Ours: the FAQ's readers wonder why they get what they didn't name.
            data |= {"matched": page.matched, "notice": MESSAGES[page.matched]}
        return reply(data)

    async def detail(self, request: Request) -> Response:
        """3.3: one track, and under which offers it is sold."""
        signed = await self._authentication.check(request, "GET", looks=True)
        track = await self._catalogue.track(signed.parameters.required_integer("audio_id"))
        offers = await self._catalogue.offers(track.id) if track.file else []
        categories = await self._catalogue.categories()
        return reply(
            {
                "audio": self._shapes.audio(track, categories),
                "permissions": [self._shapes.permission(offer) for offer in offers],
            }
        )


def _wanted(parameters: Parameters) -> Search:
    per_page = parameters.integer("per_page", least=1)
    return Search(
        text=parameters.text("keyword"),
        genre_id=parameters.integer("genre_id"),
        mood_id=parameters.integer("mood_id"),
        instrument_id=parameters.integer("instrument_id"),
        bpm_id=parameters.integer("bpm_id"),
        duration_from=parameters.integer("duration_from"),
        duration_to=parameters.integer("duration_to"),
        level_id=parameters.integer("level_type"),
        vhifun=parameters.flag("is_vhifun") or None,
        purchasable=parameters.flag("can_purchase") or None,
        sort=parameters.choice("sort", SORTS),
        page=parameters.integer("page", least=1) or 1,
        per_page=min(per_page or PER_PAGE, LARGEST_PAGE),
    )
