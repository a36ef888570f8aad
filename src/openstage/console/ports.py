"""What the pages need of the rest of the server."""

from collections.abc import Sequence
from typing import Protocol

from openstage.works.models import PictureKind, Rendition, Work


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


class PageAddresses(Protocol):
    """Making addresses. Those of media are signed and expire (`Settings.address_lifetime`); the others last."""

    def master(self, slug: str) -> str:
        """Return a fresh address of the HLS playlist that lists every rendition."""
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
