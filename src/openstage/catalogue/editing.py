"""What the operator changes in the catalogue: tracks, categories, bands, levels and offers."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from psycopg import errors, sql
from psycopg.rows import class_row

from openstage.catalogue import queries
from openstage.catalogue.errors import BadValue, NameTaken, StillUsed, UnknownCategory, UnknownOffer, UnknownTrack
from openstage.catalogue.models import BpmBand, Category, CategoryKind, Level, OfferSummary, Track, TrackListing
from openstage.database.engine import Connection, Database
from openstage.database.text import storable

COLUMNS_BY_KIND: dict[CategoryKind, str] = {"genre": "genre_ids", "mood": "mood_ids", "instrument": "instrument_ids"}
_OFFERS = """
    select id, name, price, type, retired_at, (select count(*) from track_offer where offer_id = offer.id) as tracks
    from offer
    """


class Editing:
    """The operator's hand in the catalogue; changes are searchable within a second."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- tracks -----------------------------------------------------------------------------------------------
    async def tracks(self, *, limit: int, after: int = 0) -> TrackListing:
        """Return some tracks in the order of their numbers, with their offers."""
        async with self._database.connection() as connection:
            found = await queries.select(
                connection,
                "track.id > %(after)s and removed_at is null order by track.id limit %(limit)s",
                {"after": after, "limit": limit},
            )
            row = await (await connection.execute("select count(*) from track where removed_at is null")).fetchone()
            offers = await queries.offers(connection, [track.id for track in found])
        listing = TrackListing(found, int(row[0]) if row else 0)
        for offer in offers:
            listing.offers.setdefault(offer.track_id, []).append(offer)
        return listing

    async def remove(self, track_ids: Sequence[int]) -> int:
        """Take tracks out of the catalogue; what was bought of them stays. Returns how many there were."""
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                "update track set removed_at = now() where id = any(%s) and removed_at is null", (list(track_ids),)
            )
        return cursor.rowcount

    async def restore(self, track_ids: Sequence[int]) -> int:
        """Bring removed tracks back. Returns how many there were."""
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                "update track set removed_at = null where id = any(%s) and removed_at is not null", (list(track_ids),)
            )
        return cursor.rowcount

    async def set_heat(self, track_id: int, heat: int | None) -> Track:
        """Say how much a track is asked for; None: nothing is known of it.

        Raises:
            UnknownTrack: there is none.

        """
        async with self._database.transaction() as connection:
            await connection.execute("update track set heat = %s where id = %s", (heat, track_id))
            found = await queries.track(connection, track_id)
        if found is None:
            raise UnknownTrack
        return found

    # --- categories -------------------------------------------------------------------------------------------
    async def create_category(self, kind: CategoryKind, name: str, aliases: Sequence[str] = ()) -> Category:
        """Make a genre, a mood or an instrument.

        Raises:
            NameTaken: there is one of this name.
            BadValue: the name is empty.

        """
        return await self._category(
            "insert into category (kind, name, aliases) values (%s, %s, %s)", (kind, _name(name), _all(aliases))
        )

    async def edit_category(
        self,
        category_id: int,
        *,
        name: str | None = None,
        aliases: Sequence[str] | None = None,
        position: int | None = None,
    ) -> Category:
        """Change a category; None leaves as it is.

        Raises:
            UnknownCategory, NameTaken, BadValue: as `create_category`; or there is none.

        """
        return await self._category(
            """
            update category set name = coalesce(%s, name), aliases = coalesce(%s, aliases),
                position = coalesce(%s, position) where id = %s
            """,
            (
                None if name is None else _name(name),
                None if aliases is None else _all(aliases),
                position,
                category_id,
            ),
        )

    async def remove_category(self, category_id: int) -> int:
        """Remove a category, also from the tracks that have it. Returns how many had it.

        Raises:
            UnknownCategory: there is none.

        """
        async with self._database.transaction() as connection:
            row = await (
                await connection.execute("delete from category where id = %s returning kind", (category_id,))
            ).fetchone()
            if row is None:
                raise UnknownCategory(f"There is no category {category_id}.")
            column = sql.Identifier(COLUMNS_BY_KIND[row[0]])
            cursor = await connection.execute(
                sql.SQL("update track set {0} = array_remove({0}, %(id)s) where {0} @> array[%(id)s]::bigint[]").format(
                    column
                ),
                {"id": category_id},
            )
        return cursor.rowcount

    async def _category(self, statement: str, values: Sequence[Any]) -> Category:
        try:
            async with (
                self._database.transaction() as connection,
                connection.cursor(row_factory=class_row(Category)) as cursor,
            ):
                await cursor.execute(
                    (statement + " returning id, kind, name, aliases, position").encode(), list(values)
                )
                found = await cursor.fetchone()
        except errors.UniqueViolation as taken:
            raise NameTaken("There is a category of this kind and name.") from taken
        if found is None:
            raise UnknownCategory(f"There is no category {values[-1]}.")
        return found

    # --- bands and levels -------------------------------------------------------------------------------------
    async def set_band(self, band: BpmBand) -> None:
        """Make a band of tempo, or change the one of its number.

        Raises:
            BadValue: its limits are no whole numbers, or the wrong way round.

        """
        if band.low != int(band.low) or band.high != int(band.high) or not 0 <= band.low < band.high:
            raise BadValue("A band goes from a whole number of beats per minute to a larger one.")
        async with self._database.connection() as connection:
            await connection.execute(
                """
                insert into bpm_band (id, name, low, high) values (%s, %s, %s, %s)
                on conflict (id) do update set name = excluded.name, low = excluded.low, high = excluded.high
                """,
                (band.id, _name(band.name), band.low, band.high),
            )

    async def remove_band(self, band_id: int) -> None:
        """Remove a band of tempo.

        Raises:
            UnknownCategory: there is none.

        """
        await self._remove("delete from bpm_band where id = %s", band_id, "band")

    async def set_level(self, level: Level) -> None:
        """Make a level, or name the one of its number."""
        async with self._database.connection() as connection:
            await connection.execute(
                "insert into level (id, name) values (%s, %s) on conflict (id) do update set name = excluded.name",
                (level.id, _name(level.name)),
            )

    async def remove_level(self, level_id: int) -> None:
        """Remove a level that no track has.

        Raises:
            StillUsed: a track has it.
            UnknownCategory: there is none.

        """
        try:
            await self._remove("delete from level where id = %s", level_id, "level")
        except errors.ForeignKeyViolation as used:
            raise StillUsed(f"There are tracks of level {level_id}: give them another one first.") from used

    async def _remove(self, statement: str, number: int, what: str) -> None:
        async with self._database.connection() as connection:
            cursor = await connection.execute(statement.encode(), (number,))
        if not cursor.rowcount:
            raise UnknownCategory(f"There is no {what} {number}.")

    # --- offers -----------------------------------------------------------------------------------------------
    async def offers(self) -> list[OfferSummary]:
        """Return all offers, retired ones too."""
        async with self._database.connection() as connection:
            return await self._select_offers(connection, " order by id", ())

    async def create_offer(self, name: str, price: Decimal, kind: str = "all") -> OfferSummary:
        """Make an offer that tracks can be sold under.

        Raises:
            NameTaken: there is one of this name.

        """
        return await self._offer(
            "insert into offer (name, price, type) values (%s, %s, %s) returning id", (_name(name), price, kind)
        )

    async def edit_offer(
        self, offer_id: int, *, name: str | None = None, price: Decimal | None = None, kind: str | None = None
    ) -> OfferSummary:
        """Change an offer; None leaves as it is. What was bought keeps its name and price.

        Raises:
            UnknownOffer: there is none.
            NameTaken: there is another one of this name.

        """
        return await self._offer(
            """
            update offer set name = coalesce(%s, name), price = coalesce(%s, price), type = coalesce(%s, type)
            where id = %s returning id
            """,
            (None if name is None else _name(name), price, kind, offer_id),
        )

    async def retire_offer(self, offer_id: int, *, retired: bool = True) -> OfferSummary:
        """End the sale under an offer, or begin it again.

        Raises:
            UnknownOffer: there is none.

        """
        moment = "coalesce(retired_at, now())" if retired else "null"
        return await self._offer(f"update offer set retired_at = {moment} where id = %s returning id", (offer_id,))

    async def attach(self, offer_id: int, track_ids: Sequence[int] | None, price: Decimal | None = None) -> int:
        """Sell tracks under an offer.

        Args:
            offer_id: which.
            track_ids: of them; None: all there are.
            price: for these tracks; None: the offer's.

        Returns:
            How many tracks were not sold under it at this price before.

        Raises:
            UnknownOffer: there is none.

        """
        try:
            async with self._database.connection() as connection:
                cursor = await connection.execute(
                    """
                    insert into track_offer (track_id, offer_id, price)
                    select id, %(offer)s, %(price)s from track
                    where removed_at is null and (%(tracks)s::bigint[] is null or id = any(%(tracks)s))
                    on conflict (track_id, offer_id) do update set price = excluded.price
                    where track_offer.price is distinct from excluded.price
                    """,
                    {"offer": offer_id, "price": price, "tracks": None if track_ids is None else list(track_ids)},
                )
        except errors.ForeignKeyViolation as unknown:
            raise UnknownOffer(f"There is no offer {offer_id}.") from unknown
        return cursor.rowcount

    async def detach(self, offer_id: int, track_ids: Sequence[int] | None) -> int:
        """Stop selling tracks (None: all) under an offer. Returns how many were."""
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                """
                delete from track_offer where offer_id = %(offer)s
                and (%(tracks)s::bigint[] is null or track_id = any(%(tracks)s))
                """,
                {"offer": offer_id, "tracks": None if track_ids is None else list(track_ids)},
            )
        return cursor.rowcount

    async def _offer(self, statement: str, values: Sequence[Any]) -> OfferSummary:
        try:
            async with self._database.transaction() as connection:
                row = await (await connection.execute(statement.encode(), list(values))).fetchone()
                if row is None:
                    raise UnknownOffer(f"There is no offer {values[-1]}.")
                return (await self._select_offers(connection, " where id = %s", row))[0]
        except errors.UniqueViolation as taken:
            raise NameTaken("There is an offer of this name.") from taken

    async def _select_offers(self, connection: Connection, condition: str, values: Sequence[Any]) -> list[OfferSummary]:
        async with connection.cursor(row_factory=class_row(OfferSummary)) as cursor:
            await cursor.execute((_OFFERS + condition).encode(), list(values))
            return await cursor.fetchall()


def _name(text: str) -> str:
    name = storable(text).strip()
    if not name or len(name) > 100:
        raise BadValue("A name has 1 to 100 characters.")
    return name


def _all(names: Sequence[str]) -> list[str]:
    return [_name(name) for name in names]
