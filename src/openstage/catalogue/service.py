"""What surfaces do with the catalogue: look at tracks and offers, and search.

Functions that must be part of a purchase's transaction are in `queries.py`; those take a connection.
"""

from openstage.catalogue import queries
from openstage.catalogue.errors import UnknownOffer, UnknownTrack
from openstage.catalogue.models import Categories, Offer, Page, Search, Track, TrackFile
from openstage.catalogue.search.index import SearchIndex
from openstage.database.engine import Database
from openstage.settings import Settings

LARGEST_ID = 2**63 - 1


class Catalogue:
    """The licensable tracks."""

    def __init__(self, database: Database, settings: Settings) -> None:
        """Take the database and the settings; `start` before searching."""
        self._database = database
        self._index = SearchIndex(database, settings)

    async def start(self) -> None:
        """Make searching possible: only servers do this, as it takes a process that follows the catalogue."""
        await self._index.start()

    async def close(self) -> None:
        """End what `start` began."""
        await self._index.close()

    async def track(self, audio_id: int, *, removed: bool = False) -> Track:
        """Return a track.

        Args:
            audio_id: its public number.
            removed: also one that has been taken out of the catalogue, as purchases may name it.

        Raises:
            UnknownTrack: there is none.

        """
        found: Track | None = None
        if 0 < audio_id <= LARGEST_ID:
            async with self._database.connection() as connection:
                found = await queries.track(connection, audio_id, removed=removed)
        if found is None:
            raise UnknownTrack
        return found

    async def file(self, file_id: int) -> TrackFile:
        """Return a file of a track, also an earlier one.

        Raises:
            UnknownTrack: there is none.

        """
        async with self._database.connection() as connection:
            found = await queries.track_file(connection, file_id)
        if found is None:
            raise UnknownTrack("There is no such file of a track.")
        return found

    async def offers(self, track_id: int) -> list[Offer]:
        """Return under which offers a track is sold, the cheapest first; none where it has no file yet."""
        async with self._database.connection() as connection:
            return await queries.offers(connection, [track_id])

    async def offer(self, track_id: int, offer_id: int) -> Offer:
        """Return one of a track's offers.

        Raises:
            UnknownOffer: the track isn't sold under it.

        """
        found = next((each for each in await self.offers(track_id) if each.id == offer_id), None)
        if found is None:
            raise UnknownOffer
        return found

    async def categories(self) -> Categories:
        """Return all categories, bands of tempo and levels; a server that was started keeps them in memory."""
        return (await self._index.names()).categories

    async def search(self, wanted: Search) -> Page:
        """Return a page of what is found.

        Raises:
            BadQuery: the text can't be understood; its message says where.
            BadValue: a page, a size or a range that can't be.
            UnknownCategory: there is no such band of tempo.
            TooDeep: the page lies beyond the first `DEEPEST` tracks.
            Unavailable: the index isn't there yet, or the database is away.

        """
        hits = await self._index.find(wanted)
        return Page(hits.tracks, hits.total, wanted.page, wanted.per_page, hits.matched)
