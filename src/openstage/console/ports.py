"""What the pages need of the rest of the server."""

from collections.abc import Sequence
from typing import Protocol

from starlette.requests import Request

from openstage.works.listing import ListedRecording
from openstage.works.models import PictureKind, Rendition, Work
from openstage.works.visibility import EVERYBODY, Audience


class PageWorks(Protocol):
    """Reading works by their public names (`openstage.works.service.Works`)."""

    async def by_slug(self, slug: str) -> Work:
        """Return a work that isn't deleted.

        Raises:
            UnknownWork: there is none.

        """
        ...

    async def latest(self, limit: int = 24, *, after: str | None = None) -> Sequence[Work]:
        """Return the published works, the latest first, from the one that follows the slug `after`."""
        ...

    async def renditions(self, work_id: int) -> Sequence[Rendition]:
        """Return the whole renditions of a work."""
        ...


class PageRecordings(Protocol):
    """Reading recordings by their public names (`openstage.works.listing.Listing`)."""

    async def by_share_id(self, share_id: str) -> ListedRecording | None:
        """Return a recording that isn't deleted by the name in its share address; None: there is none."""
        ...


class PageAdmission(Protocol):
    """For whom a page is answered (`openstage.oauth.admission.Admission`)."""

    async def audience(self, request: Request, work: Work) -> Audience | None:
        """Tell for whom a work is shown to the browser that asks; None: it doesn't exist for them."""
        ...

    async def is_signed_in(self, request: Request) -> bool:
        """Tell whether anybody is signed in there."""
        ...


class PublicOnly:
    """Admits nobody but to what everybody may see."""

    async def audience(self, request: Request, work: Work) -> Audience | None:
        """Tell for whom a work is shown: everybody, or nobody."""
        return EVERYBODY if work.access == "public" else None

    async def is_signed_in(self, request: Request) -> bool:
        """Nobody is."""
        return False


class PageStanding(Protocol):
    """How a work stands at a moment (`openstage.delivery.standing.Standing`)."""

    @property
    def percent(self) -> float:
        """Progress of the run under way, 0 to 100."""
        ...

    @property
    def notice(self) -> str:
        """What a person should know of the run under way; empty if nothing."""
        ...

    @property
    def settled(self) -> bool:
        """Whether nothing is being made."""
        ...

    @property
    def mark(self) -> str:
        """Changes when there is something else to play."""
        ...

    @property
    def storyboard(self) -> bool:
        """Whether there are pictures for the seek bar."""
        ...

    @property
    def waveform(self) -> bool:
        """Whether there is a waveform."""
        ...


class PageStandings(Protocol):
    """Telling how works stand (`openstage.delivery.standing.Standings`)."""

    async def now(self, slug: str) -> PageStanding | None:
        """Tell how a work stands; None if there is none."""
        ...


class PageAddresses(Protocol):
    """Making addresses. Those of media are signed and expire (`Settings.address_lifetime`); the others last."""

    def to(self, audience: Audience) -> "PageAddresses":
        """Return the same for an audience."""
        ...

    async def urllist(self, slug: str) -> dict[str, dict[str, str]]:
        """Return fresh addresses under `mp4` and `m3u8`, and `mp3` of sound alone, by quality."""
        ...

    def master(self, slug: str) -> str:
        """Return a fresh address of the HLS playlist that lists every rendition."""
        ...

    def storyboard(self, slug: str) -> str:
        """Return a fresh address of the WebVTT file of the pictures above the seek bar."""
        ...

    def waveform(self, slug: str) -> str:
        """Return a fresh address of the waveform as JSON."""
        ...

    def picture(self, slug: str, kind: PictureKind) -> str:
        """Return the address of a picture."""
        ...

    def page(self, slug: str) -> str:
        """Return the address of the watch page."""
        ...

    def embed(self, slug: str) -> str:
        """Return the address of the player for other sites' frames."""
        ...

    def share(self, share_id: str) -> str:
        """Return the address of a recording's page."""
        ...

    def recording(self, slug: str, share_id: str) -> str:
        """Return the address that plays a recording: of a public one a lasting one."""
        ...
