"""The pages: what each shows, and with which status."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response

from openstage.console.documents import Documents
from openstage.console.ports import PageAddresses, PageAdmission, PageStandings, PageWorks
from openstage.console.rendering import Renderer
from openstage.settings import Settings
from openstage.works.errors import UnknownWork
from openstage.works.models import PictureKind, Work
from openstage.works.stages import STAGES, Stage

PAGE_SIZE = 24

STATUS: Final[dict[Stage, int]] = {"published": 200, "waiting": 200, "gone": 410}


@dataclass(frozen=True, slots=True)
class Card:
    """A work in a listing."""

    work: Work
    address: str
    picture: str | None


@dataclass(frozen=True, slots=True)
class Frame:
    """What the player needs to know of a work before it plays."""

    work: Work
    page: str
    embed: str
    poster: str | None
    width: int
    height: int
    sound_only: bool
    waveform: str | None


class Pages:
    """Handlers of the pages."""

    def __init__(
        self,
        works: PageWorks,
        addresses: PageAddresses,
        standings: PageStandings,
        settings: Settings,
        *,
        renderer: Renderer,
        documents: Documents,
        admission: PageAdmission,
    ) -> None:
        self._admission = admission
        self._works = works
        self._addresses = addresses
        self._standings = standings
        self._settings = settings
        self._renderer = renderer
        self._documents = documents

    async def home(self, request: Request) -> Response:
        """Show what runs here and what was published last; `?after=<slug>` turns the page."""
        after = request.query_params.get("after")
        found = await self._works.latest(PAGE_SIZE + 1, after=after)
        shown = found[:PAGE_SIZE]
        values = {
            "cards": [self._card(work) for work in shown],
            "after": after,
            "next": shown[-1].slug if len(found) > PAGE_SIZE else None,
            "bases": {role: self._settings.base(role) for role in ("upload", "api", "media")},
            "documents": self._documents.contents,
        }
        return self._renderer.page(request, "home.html", values)

    async def watch(self, request: Request) -> Response:
        """Play a work, or say why it can't be played (yet)."""
        return await self._show(request, "watch.html", framed=False)

    async def embed(self, request: Request) -> Response:
        """Give the player alone, for other sites' frames; `?autoplay=1` starts it without sound."""
        return await self._show(request, "embed.html", framed=True)

    async def play(self, request: Request) -> Response:
        """Tell a page that is open how its work stands and, when it can be played, fresh addresses to play from."""
        try:
            work, addresses = await self._seen(request)
        except UnknownWork:
            return _private({"stage": "gone"}, 404)
        stage = STAGES[work.state]
        standing = await self._standings.now(work.slug)
        if stage == "gone" or standing is None:
            return _private({"stage": "gone"}, 410)
        values: dict[str, object] = {
            "stage": stage,
            "state": work.state,
            "settled": standing.settled,
            "percent": round(standing.percent),
            "notice": standing.notice,
        }
        if stage == "published":
            values |= {
                "master": addresses.master(work.slug),
                "mark": standing.mark,
                "duration": (work.duration_ms or 0) / 1000,
                "storyboard": addresses.storyboard(work.slug) if standing.storyboard else None,
                "waveform": addresses.waveform(work.slug) if standing.waveform else None,
            }
        return _private(values)

    async def documents(self, request: Request) -> Response:
        """List the documents."""
        return self._renderer.page(request, "documents.html", {"documents": self._documents.contents})

    async def document(self, request: Request) -> Response:
        """Show a document, or send a picture of one."""
        name = request.path_params["name"]
        if picture := self._documents.picture(name):
            return FileResponse(picture)
        document = self._documents.read(name)
        if document is None:
            if name and self._documents.read(f"{name}/"):
                return RedirectResponse(f"/docs/{quote(name)}/")
            return self._renderer.page(request, "missing.html", {}, status=404)
        values = {"document": document, "documents": self._documents.contents}
        return self._renderer.page(request, "document.html", values)

    async def _show(self, request: Request, template: str, *, framed: bool) -> Response:
        try:
            work, addresses = await self._seen(request)
        except UnknownWork:
            return self._renderer.page(request, "missing.html", {"framed": framed}, status=404, framed=framed)
        stage = STAGES[work.state]
        if stage == "published":
            values: dict[str, object] = {"frame": await self.frame(work, addresses)}
        else:
            template, values = f"{stage}.html", {"work": work}
        return self._renderer.page(request, template, {**values, "framed": framed}, status=STATUS[stage], framed=framed)

    async def _seen(self, request: Request) -> tuple[Work, PageAddresses]:
        """Return the work of a request and what makes its addresses for who asks; raises UnknownWork."""
        work = await self._works.by_slug(request.path_params["slug"])
        audience = await self._admission.audience(request, work)
        if audience is None:
            raise UnknownWork
        return work, self._addresses.to(audience)

    async def frame(self, work: Work, addresses: PageAddresses) -> Frame:
        """Return what the player needs to know of a work."""
        videos = [rendition for rendition in await self._works.renditions(work.id) if rendition.kind == "hls_video"]
        largest = max(videos, key=lambda rendition: rendition.bandwidth, default=None)
        kind = _best_picture(work)
        standing = await self._standings.now(work.slug) if largest is None else None
        return Frame(
            work=work,
            page=addresses.page(work.slug),
            embed=addresses.embed(work.slug),
            poster=addresses.picture(work.slug, kind) if kind else None,
            width=(largest and largest.width) or 16,
            height=(largest and largest.height) or 9,
            sound_only=largest is None,
            waveform=addresses.waveform(work.slug) if standing and standing.waveform else None,
        )

    def _card(self, work: Work) -> Card:
        kind: PictureKind | None = "thumbnail" if "thumbnail" in work.pictures else _best_picture(work)
        picture = self._addresses.picture(work.slug, kind) if kind else None
        return Card(work, self._addresses.page(work.slug), picture)


def _best_picture(work: Work) -> PictureKind | None:
    kinds: tuple[PictureKind, ...] = ("img", "original", "thumbnail")
    return next((kind for kind in kinds if kind in work.pictures), None)


def _private(values: dict[str, object], status: int = 200) -> JSONResponse:
    return JSONResponse(values, status, headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})
