"""`openstage purchase …`: licences that were bought."""

from typing import Annotated, Any

import typer

from openstage.app import Services
from openstage.cli.output import print_json, print_record, print_table
from openstage.cli.runtime import with_services
from openstage.licensing.models import Purchase

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Purchases: list, show, refund.")

Number = Annotated[int, typer.Argument(metavar="PURCHASE", help="The purchase's id.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]


@app.command("list")
def list_purchases(
    client_id: Annotated[str, typer.Option("--app", help="Only those of this app, by its client_id.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    before: Annotated[int | None, typer.Option(help="Only those with smaller ids, to page on.")] = None,
    as_json: AsJson = False,
) -> None:
    """List purchases, the newest first."""

    async def work(services: Services) -> list[Purchase]:
        app_id = (await services.identity.apps.find(client_id)).id if client_id else None
        return await services.licensing.recent(app_id=app_id, limit=limit, before=before)

    purchases = with_services(work)
    if as_json:
        print_json([_record(each) for each in purchases])
        return
    print_table(
        ["id", "number", "bought", "buyer", "track", "offer", "price", "for", "state"],
        (
            (
                each.id,
                each.number,
                each.bought_at,
                each.buyer.name,
                each.title,
                each.offer.name,
                f"{each.price} {each.currency}",
                each.warrant_name,
                ("test, " if each.is_test else "") + each.standing,
            )
            for each in purchases
        ),
        empty="Nothing has been bought yet.",
    )


@app.command()
def show(purchase_id: Number, as_json: AsJson = False) -> None:
    """Show a purchase."""

    async def work(services: Services) -> Purchase:
        return await services.licensing.find(purchase_id)

    _print(with_services(work), as_json=as_json)


@app.command()
def refund(
    purchase_id: Number,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the purchase.")] = "",
    as_json: AsJson = False,
) -> None:
    """End a licence and give its price back to the app; a second time changes nothing."""

    async def work(services: Services) -> Purchase:
        return await services.licensing.refund(purchase_id, reason)

    _print(with_services(work), as_json=as_json)


def _print(purchase: Purchase, *, as_json: bool) -> None:
    if as_json:
        print_json(_record(purchase))
    else:
        print_record(_record(purchase))


def _record(purchase: Purchase) -> dict[str, Any]:
    return {
        "id": purchase.id,
        "number": purchase.number,
        "state": purchase.standing,
        "is_test": purchase.is_test,
        "account": purchase.main.name,
        "buyer": purchase.buyer.name,
        "third_user_id": purchase.third_user_id,
        "audio_id": purchase.audio_id,
        "title": purchase.title,
        "artist": purchase.artist,
        "offer_id": purchase.offer.id,
        "offer": purchase.offer.name,
        "price": f"{purchase.price:.2f}",
        "currency": purchase.currency,
        "warrant_name": purchase.warrant_name,
        "file_name": purchase.file.file_name,
        "file_bytes": purchase.file.byte_size,
        "sha256": purchase.sha256,
        "bought_at": purchase.bought_at,
        "downloaded_at": purchase.downloaded_at,
        "refunded_at": purchase.refunded_at,
        "refund_reason": purchase.refund_reason,
    }
