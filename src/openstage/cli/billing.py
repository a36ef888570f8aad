"""`openstage app credit` and `openstage app test`: how an app is billed."""

from decimal import Decimal
from typing import Annotated, Literal

import typer

from openstage.app import Services
from openstage.cli.ledger import AsJson, ClientId, billing_record
from openstage.cli.output import print_json, print_record
from openstage.cli.runtime import with_services
from openstage.licensing.ledger import amount_of
from openstage.licensing.models import Billing


def credit(
    client_id: ClientId,
    limit: Annotated[
        str | None,
        typer.Option("--limit", help="What it may owe: an amount, 0 to pay ahead, `none`, or `default`: the setting."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show, or set, what an app may owe for licences."""
    wanted = None if limit is None else _limit(limit)

    async def work(services: Services) -> tuple[Billing, str]:
        billing = services.billing
        account = await (billing.of(client_id) if wanted is None else billing.set_limit(client_id, wanted))
        return account, services.settings.currency

    _print(*with_services(work), as_json=as_json)


def set_test(
    client_id: ClientId,
    on: Annotated[bool, typer.Option("--on/--off", help="Whether it is one, for what it buys from now on.")] = True,
    as_json: AsJson = False,
) -> None:
    """Make an app a test app: its purchases are marked and never billed."""

    async def work(services: Services) -> tuple[Billing, str]:
        return await services.billing.set_test(client_id, is_test=on), services.settings.currency

    _print(*with_services(work), as_json=as_json)


def _limit(text: str) -> Decimal | Literal["setting", "none"]:
    if text == "default":
        return "setting"
    if text == "none":
        return "none"
    return Decimal(0) if text in {"0", "0.00"} else amount_of(text)


def _print(account: Billing, currency: str, *, as_json: bool) -> None:
    record = billing_record(account, currency)
    if as_json:
        print_json(record)
    else:
        print_record(record)
