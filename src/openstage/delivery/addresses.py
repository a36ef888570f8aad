"""The addresses that dialects and pages give out."""

from typing import Literal

from openstage.database.engine import Database
from openstage.delivery.models import SOUND_ONLY, PictureKind
from openstage.delivery.repository import Repository
from openstage.delivery.signing import AddressSigner
from openstage.settings import Settings

MASTER = "master.m3u8"


class Addresses:
    """Makes addresses of media, which are signed and expire, and of pages and pictures, which last.

    Pictures last because clients keep their addresses in lists of their own; they answer only while the work is
    published, and their address holds the slug, which can't be guessed.
    """

    def __init__(self, database: Database, signer: AddressSigner, settings: Settings) -> None:
        self._repository = Repository(database)
        self._signer = signer
        self._base = settings.base("media")

    async def urllist(self, slug: str) -> dict[Literal["mp4", "m3u8"], dict[str, str]]:
        """Make fresh addresses of a published work's mp4 files and playlists, by quality; none if it isn't published.

        Raises:
            Unavailable: the database is away.

        """
        mp4: dict[str, str] = {}
        m3u8: dict[str, str] = {}
        sound = False
        for rendition in sorted(await self._repository.renditions(slug), key=lambda r: r.bandwidth):
            if not rendition.complete:
                continue
            if rendition.kind == "mp4":
                mp4[rendition.quality] = self.media(slug, f"{rendition.quality}.mp4")
            elif rendition.kind == "hls_video":
                m3u8[rendition.quality] = self.media(slug, f"{rendition.quality}.m3u8")
            else:
                sound = True
        if sound and not m3u8:
            m3u8[SOUND_ONLY] = self.media(slug, f"{SOUND_ONLY}.m3u8")
        return {"mp4": mp4, "m3u8": m3u8}

    def media(self, slug: str, resource: str) -> str:
        """Make a fresh address of `1.mp4`, `1.m3u8` or the like."""
        return f"{self._base}/media/{self._signer.address(slug, resource)}/{slug}/{resource}"

    def master(self, slug: str) -> str:
        """Make a fresh address of the playlist that lists every rendition."""
        return self.media(slug, MASTER)

    def picture(self, slug: str, kind: PictureKind) -> str:
        """Tell the lasting address of a picture."""
        return f"{self._base}/pictures/{slug}/{kind}.jpg"

    def page(self, slug: str) -> str:
        """Tell the lasting address of the watch page."""
        return f"{self._base}/w/{slug}"

    def embed(self, slug: str) -> str:
        """Tell the lasting address of the player for other sites' frames."""
        return f"{self._base}/e/{slug}"
