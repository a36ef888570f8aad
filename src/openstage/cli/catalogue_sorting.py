"""`openstage catalogue category|band|level|offer …`: what tracks are sorted by and sold under."""

import dataclasses
from decimal import Decimal
from typing import Annotated

import typer

from openstage.app import Services
from openstage.catalogue.editing import Editing
from openstage.catalogue.importing.rows import price_of
from openstage.catalogue.models import BpmBand, Categories, Category, CategoryKind, Level, OfferSummary
from openstage.cli.output import print_json, print_record, print_table
from openstage.cli.runtime import with_services

category_app = typer.Typer(no_args_is_help=True, add_completion=False, help="Genres, moods and instruments.")
band_app = typer.Typer(no_args_is_help=True, add_completion=False, help="Bands of tempo.")
level_app = typer.Typer(no_args_is_help=True, add_completion=False, help="Levels.")
offer_app = typer.Typer(no_args_is_help=True, add_completion=False, help="Offers: what may be bought, at which price.")


def _price(text: str) -> Decimal:
    try:
        return price_of(text)
    except (ValueError, ArithmeticError):
        raise typer.BadParameter(f"{text!r} is no price such as 21.00") from None


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]
CategoryId = Annotated[int, typer.Argument(metavar="ID", help="The category's number.")]
OfferId = Annotated[int, typer.Argument(metavar="ID", help="The offer's number.")]
Aliases = Annotated[
    list[str] | None, typer.Option("--alias", help="Another name by which it is found; may stand repeatedly.")
]
Price = Annotated[Decimal, typer.Option("--price", parser=_price, metavar="PRICE", help="Exact, such as 21.00.")]
MaybePrice = Annotated[
    Decimal | None, typer.Option("--price", parser=_price, metavar="PRICE", help="Exact, such as 21.00.")
]
Tracks = Annotated[list[int] | None, typer.Argument(metavar="AUDIO_ID…", help="The tracks' numbers.")]
EveryTrack = Annotated[bool, typer.Option("--all", help="All tracks.")]


# --- categories -----------------------------------------------------------------------------------------------
@category_app.command("list")
def list_categories(as_json: AsJson = False) -> None:
    """List genres, moods and instruments."""
    found = _categories()
    each = [*found.genres, *found.moods, *found.instruments]
    if as_json:
        print_json(each)
    else:
        rows = ((one.id, one.kind, one.name, ", ".join(one.aliases), one.position) for one in each)
        print_table(["id", "kind", "name", "also", "position"], rows)


@category_app.command("create")
def create_category(
    kind: Annotated[CategoryKind, typer.Argument(help="What it is.")],
    name: Annotated[str, typer.Argument(help="Its name.")],
    aliases: Aliases = None,
    as_json: AsJson = False,
) -> None:
    """Make a genre, a mood or an instrument."""

    async def work(services: Services) -> Category:
        return await Editing(services.database).create_category(kind, name, aliases or [])

    _print(with_services(work), as_json=as_json)


@category_app.command("edit")
def edit_category(
    category_id: CategoryId,
    *,
    name: Annotated[str | None, typer.Option(help="Its new name.")] = None,
    aliases: Aliases = None,
    no_aliases: Annotated[bool, typer.Option("--no-aliases", help="Take all other names away.")] = False,
    position: Annotated[int | None, typer.Option(help="Its place in lists; smaller ones come first.")] = None,
    as_json: AsJson = False,
) -> None:
    """Change a category; tracks are found by its new names at once."""

    async def work(services: Services) -> Category:
        return await Editing(services.database).edit_category(
            category_id, name=name, aliases=[] if no_aliases else aliases, position=position
        )

    _print(with_services(work), as_json=as_json)


@category_app.command("remove")
def remove_category(category_id: CategoryId) -> None:
    """Remove a category, also from the tracks that have it."""

    async def work(services: Services) -> int:
        return await Editing(services.database).remove_category(category_id)

    typer.echo(f"Removed; {with_services(work)} tracks had it.")


# --- bands and levels -----------------------------------------------------------------------------------------
@band_app.command("list")
def list_bands(as_json: AsJson = False) -> None:
    """List the bands of tempo."""
    bands = _categories().bpms
    if as_json:
        print_json(bands)
    else:
        print_table(["id", "name", "from", "below"], ((b.id, b.name, f"{b.low:g}", f"{b.high:g}") for b in bands))


@band_app.command("set")
def set_band(
    band_id: Annotated[int, typer.Argument(metavar="ID", min=1, help="Its number.")],
    name: Annotated[str, typer.Argument(help="Its name.")],
    low: Annotated[int, typer.Argument(min=0, help="Beats per minute from which on.")],
    high: Annotated[int, typer.Argument(min=1, help="Beats per minute below which.")],
) -> None:
    """Make a band of tempo, or change the one of this number."""

    async def work(services: Services) -> None:
        await Editing(services.database).set_band(BpmBand(band_id, name, low, high))

    with_services(work)


@band_app.command("remove")
def remove_band(band_id: Annotated[int, typer.Argument(metavar="ID", help="Its number.")]) -> None:
    """Remove a band of tempo."""

    async def work(services: Services) -> None:
        await Editing(services.database).remove_band(band_id)

    with_services(work)


@level_app.command("list")
def list_levels(as_json: AsJson = False) -> None:
    """List the levels."""
    levels = _categories().levels
    if as_json:
        print_json(levels)
    else:
        print_table(["id", "name"], ((level.id, level.name) for level in levels))


@level_app.command("set")
def set_level(
    level_id: Annotated[int, typer.Argument(metavar="ID", min=1, help="Its number.")],
    name: Annotated[str, typer.Argument(help="Its name.")],
) -> None:
    """Make a level, or name the one of this number."""

    async def work(services: Services) -> None:
        await Editing(services.database).set_level(Level(level_id, name))

    with_services(work)


@level_app.command("remove")
def remove_level(level_id: Annotated[int, typer.Argument(metavar="ID", help="Its number.")]) -> None:
    """Remove a level that no track has."""

    async def work(services: Services) -> None:
        await Editing(services.database).remove_level(level_id)

    with_services(work)


# --- offers ---------------------------------------------------------------------------------------------------
@offer_app.command("list")
def list_offers(as_json: AsJson = False) -> None:
    """List all offers."""

    async def work(services: Services) -> list[OfferSummary]:
        return await Editing(services.database).offers()

    offers = with_services(work)
    if as_json:
        print_json(offers)
        return
    print_table(
        ["id", "name", "price", "type", "tracks", "retired"],
        ((each.id, each.name, each.price, each.type, each.tracks, each.retired_at) for each in offers),
        empty="No offers yet: openstage catalogue offer create NAME --price PRICE",
    )


@offer_app.command("create")
def create_offer(
    name: Annotated[str, typer.Argument(help="What may be done, as buyers read it.")],
    price: Price,
    kind: Annotated[str, typer.Option("--type", help="The wire's `type`.")] = "all",
    as_json: AsJson = False,
) -> None:
    """Make an offer; `attach` it to tracks, or import tracks with it."""

    async def work(services: Services) -> OfferSummary:
        return await Editing(services.database).create_offer(name, price, kind)

    _print(with_services(work), as_json=as_json)


@offer_app.command("edit")
def edit_offer(
    offer_id: OfferId,
    *,
    name: Annotated[str | None, typer.Option(help="Its new name.")] = None,
    price: MaybePrice = None,
    kind: Annotated[str | None, typer.Option("--type", help="The wire's `type`.")] = None,
    as_json: AsJson = False,
) -> None:
    """Change an offer; what was bought keeps its name and price."""

    async def work(services: Services) -> OfferSummary:
        return await Editing(services.database).edit_offer(offer_id, name=name, price=price, kind=kind)

    _print(with_services(work), as_json=as_json)


@offer_app.command()
def retire(
    offer_id: OfferId,
    again: Annotated[bool, typer.Option("--undo", help="Sell under it again.")] = False,
    as_json: AsJson = False,
) -> None:
    """End the sale under an offer; what was bought stays."""

    async def work(services: Services) -> OfferSummary:
        return await Editing(services.database).retire_offer(offer_id, retired=not again)

    _print(with_services(work), as_json=as_json)


@offer_app.command()
def attach(offer_id: OfferId, tracks: Tracks = None, every: EveryTrack = False, price: MaybePrice = None) -> None:
    """Sell tracks under an offer, at its price or at one of their own."""
    _some(tracks, every=every)

    async def work(services: Services) -> int:
        return await Editing(services.database).attach(offer_id, None if every else tracks, price)

    typer.echo(f"{with_services(work)} tracks changed.")


@offer_app.command()
def detach(offer_id: OfferId, tracks: Tracks = None, every: EveryTrack = False) -> None:
    """Stop selling tracks under an offer."""
    _some(tracks, every=every)

    async def work(services: Services) -> int:
        return await Editing(services.database).detach(offer_id, None if every else tracks)

    typer.echo(f"{with_services(work)} tracks changed.")


def _some(tracks: list[int] | None, *, every: bool) -> None:
    if bool(tracks) == every:
        raise typer.BadParameter("name tracks, or say --all")


def _categories() -> Categories:
    async def work(services: Services) -> Categories:
        return await services.catalogue.categories()

    return with_services(work)


def _print(found: Category | OfferSummary, *, as_json: bool) -> None:
    record = dataclasses.asdict(found)
    if as_json:
        print_json(record)
    else:
        print_record({name: ", ".join(value) if isinstance(value, list) else value for name, value in record.items()})
