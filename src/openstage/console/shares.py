"""The page of a recording (`/s/<share_id>`), which its singer passes on."""

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from openstage.console.languages import choose
from openstage.console.pages import STATUS, Frame, Pages
from openstage.console.ports import PageAddresses, PageAdmission, PageRecordings
from openstage.console.rendering import Renderer
from openstage.works.listing import ListedRecording
from openstage.works.stages import STAGES
from openstage.works.visibility import EVERYBODY


@dataclass(frozen=True, slots=True)
class Preview:
    """What other sites show of a recording where its address is passed on.

    Attributes:
        title: the song, and who sings it.
        text: one or two sentences.
        picture: lasting address; None: there is none.
        audio: lasting address of the sound as a file; None: it isn't there yet, or there is a film.
        data: the same for search engines (https://schema.org/MusicRecording).

    """

    title: str
    text: str
    picture: str | None
    audio: str | None
    data: dict[str, Any]


class SharePages:
    """Handlers of the pages of recordings. Who may not see one is told what they are told where there is none."""

    def __init__(
        self,
        recordings: PageRecordings,
        pages: Pages,
        addresses: PageAddresses,
        *,
        renderer: Renderer,
        admission: PageAdmission,
    ) -> None:
        self._recordings = recordings
        self._pages = pages
        self._addresses = addresses
        self._renderer = renderer
        self._admission = admission

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("/s/{share_id}", self.share)]

    async def share(self, request: Request) -> Response:
        """Play a recording, or say why it can't be played (yet)."""
        listed = await self._recordings.by_share_id(request.path_params["share_id"])
        audience = await self._admission.audience(request, listed.work) if listed else None
        if listed is None or audience is None:
            if listed and listed.work.access == "friends" and not await self._admission.is_signed_in(request):
                following = quote(request.url.path, safe="")
                return self._renderer.page(request, "friends_only.html", {"next": following}, status=403)
            return self._renderer.page(request, "missing.html", {}, status=404)
        work, stage = listed.work, STAGES[listed.work.state]
        if stage != "published":
            return self._renderer.page(request, f"{stage}.html", {"work": work}, status=STATUS[stage])
        addresses = self._addresses.to(audience)
        page = addresses.share(listed.recording.share_id)
        frame = replace(await self._pages.frame(work, addresses), page=page)
        values = {
            "frame": frame,
            "listed": listed,
            "about": listed.recording.about,
            "preview": await self._preview(request, listed, frame) if audience == EVERYBODY else None,
        }
        return self._renderer.page(request, "share.html", values)

    async def _preview(self, request: Request, listed: ListedRecording, frame: Frame) -> Preview:
        """Make what is shown elsewhere, of a recording that everybody may hear."""
        work, about, t = listed.work, listed.recording.about, choose(request).text
        song, singer = about.song_name or t("untitled"), listed.singer.name
        picture = frame.poster or about.cover or None
        files = await self._addresses.urllist(work.slug)
        audio = self._addresses.recording(work.slug, listed.recording.share_id) if files.get("mp3") else None
        data: dict[str, Any] = {
            "@context": "https://schema.org",
            "@type": "MusicRecording",
            "name": song,
            "url": frame.page,
            "datePublished": work.created_at.date().isoformat(),
            "duration": f"PT{(work.duration_ms or 0) / 1000:.3f}S",
            "interactionStatistic": {
                "@type": "InteractionCounter",
                "interactionType": "https://schema.org/ListenAction",
                "userInteractionCount": work.play_count,
            },
        }
        if singer:
            data["byArtist"] = {"@type": "Person", "name": singer}
        if picture:
            data["image"] = picture
        if audio:
            data["audio"] = {"@type": "AudioObject", "contentUrl": audio, "encodingFormat": "audio/mpeg"}
        return Preview(
            title=t("share_title", song=song, singer=singer) if singer else song,
            text=about.content or (t("share_score", score=f"{about.score:,}") if about.score else t("share_listen")),
            picture=picture,
            audio=audio,
            data=data,
        )
