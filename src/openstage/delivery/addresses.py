"""The addresses that dialects and pages give out."""

from openstage.database.engine import Database
from openstage.delivery.models import PictureKind
from openstage.delivery.offering import qualities
from openstage.delivery.repository import Repository
from openstage.delivery.signing import AddressSigner
from openstage.settings import Settings
from openstage.works.recordings import play_address, share_address
from openstage.works.visibility import EVERYBODY, Audience

MASTER = "master.m3u8"
STORYBOARD = "storyboard.vtt"
WAVEFORM = "waveform.json"


class Addresses:
    """Makes addresses of media, which are signed and expire, and of pages and pictures, which last.

    Pictures last because clients keep their addresses in lists of their own; they answer only while the work is
    published and public, and their address holds the slug, which can't be guessed.
    """

    def __init__(
        self, database: Database, signer: AddressSigner, settings: Settings, *, audience: Audience = EVERYBODY
    ) -> None:
        """Take what is needed, and for whom media addresses are made (`works.visibility.Visibility` tells)."""
        self._database = database
        self._settings = settings
        self._repository = Repository(database)
        self._signer = signer
        self._base = settings.base("media")
        self._audience = audience

    def to(self, audience: Audience) -> "Addresses":
        """Return the same for another audience."""
        if audience == self._audience:
            return self
        return Addresses(self._database, self._signer, self._settings, audience=audience)

    async def urllist(self, slug: str) -> dict[str, dict[str, str]]:
        """Make fresh addresses of a published work by format (`mp4`, `m3u8`, and `mp3` of sound alone) and quality.

        What grows is among them only while nothing is whole that could be played instead. None if the work isn't
        published.

        Raises:
            Unavailable: the database is away.

        """
        ladder = await self._repository.ladder(slug, self._audience)
        files: dict[str, dict[str, str]] = {"mp4": {}, "mp3": {}}
        for rendition in sorted(ladder.renditions, key=lambda rendition: rendition.bandwidth):
            if rendition.kind in files and rendition.complete:
                address = self.media(slug, f"{rendition.quality}.{rendition.kind}")
                files[rendition.kind][rendition.quality] = address
        found = {
            "mp4": files["mp4"],
            "m3u8": {quality: self.media(slug, f"{quality}.m3u8") for quality in qualities(ladder)},
        }
        return {**found, "mp3": files["mp3"]} if files["mp3"] else found

    def media(self, slug: str, resource: str) -> str:
        """Make a fresh address of `1.mp4`, `1.m3u8` or the like."""
        return f"{self._base}/media/{self._signer.address(slug, resource, self._audience)}/{slug}/{resource}"

    def master(self, slug: str) -> str:
        """Make a fresh address of the playlist that lists every rendition."""
        return self.media(slug, MASTER)

    def storyboard(self, slug: str) -> str:
        """Make a fresh address of the WebVTT file that tells which picture shows which moment."""
        return self.media(slug, STORYBOARD)

    def waveform(self, slug: str) -> str:
        """Make a fresh address of the waveform as JSON (audiowaveform's format, version 2)."""
        return self.media(slug, WAVEFORM)

    def picture(self, slug: str, kind: PictureKind) -> str:
        """Tell the lasting address of a picture; of a work that not everybody may see, a signed one."""
        if self._audience != EVERYBODY:
            return self.media(slug, f"{kind}.jpg")
        return f"{self._base}/pictures/{slug}/{kind}.jpg"

    def page(self, slug: str) -> str:
        """Tell the lasting address of the watch page."""
        return f"{self._base}/w/{slug}"

    def embed(self, slug: str) -> str:
        """Tell the lasting address of the player for other sites' frames."""
        return f"{self._base}/e/{slug}"

    def share(self, share_id: str) -> str:
        """Tell the lasting address of a recording's page."""
        return share_address(self._base, share_id)

    def recording(self, slug: str, share_id: str) -> str:
        """Tell the address that plays a recording: a lasting one that leads to a fresh one each time it is asked.

        One that not everybody may see is played from a fresh one itself: who follows the lasting one isn't known.
        """
        if self._audience != EVERYBODY:
            return self.master(slug)
        return play_address(self._base, share_id)
