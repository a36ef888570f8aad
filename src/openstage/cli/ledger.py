"""`openstage ledger …`: what apps owe and have paid."""

import dataclasses
from decimal import Decimal
from typing import Annotated

import typer

from openstage.app import Services
from openstage.cli.output import console, print_json, print_record, print_table
from openstage.cli.runtime import with_services
from openstage.licensing.ledger import amount_of
from openstage.licensing.models import Billing, LedgerFault, LedgerLine

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="The ledger: balances, transactions, payments, a check of all sums.",
)

ClientId = Annotated[str, typer.Argument(metavar="CLIENT_ID", help="The app's id.")]
Amount = Annotated[str, typer.Argument(metavar="AMOUNT", help="In the server's currency, such as 1250.00.")]
Reference = Annotated[
    str, typer.Option("--reference", help="Names the payment, such as the bank's reference; booked once.")
]
Memo = Annotated[str, typer.Option("--memo", help="For people.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]


@app.command("list")
def list_balances(as_json: AsJson = False) -> None:
    """List what each app owes, was sold and has paid."""

    async def work(services: Services) -> tuple[list[Billing], str]:
        return await services.billing.list(), services.settings.currency

    accounts, currency = with_services(work)
    if as_json:
        print_json([billing_record(each, currency) for each in accounts])
        return
    print_table(
        ["client_id", "account", f"owes ({currency})", "limit", "sold", "paid", "purchases", "test"],
        (
            (each.client_id, each.name, each.owed, _limit(each), each.sold, each.received, each.purchases, each.is_test)
            for each in accounts
        ),
        empty="No app has bought or paid anything yet.",
    )


@app.command()
def show(
    client_id: ClientId,
    limit: Annotated[int, typer.Option(min=1, help="How many transactions at most.")] = 100,
    before: Annotated[int | None, typer.Option(help="Only those with smaller numbers, to page on.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show an app's balance and its transactions, the newest first."""

    async def work(services: Services) -> tuple[Billing, list[LedgerLine], str]:
        account = await services.billing.of(client_id)
        lines = await services.ledger.lines(account.app_id, limit=limit, before=before)
        return account, lines, services.settings.currency

    account, lines, currency = with_services(work)
    if as_json:
        print_json(billing_record(account, currency) | {"transactions": [dataclasses.asdict(line) for line in lines]})
        return
    print_record(billing_record(account, currency))
    print_table(
        ["number", "made", "kind", "purchase", "amount", "owed then", "reference", "memo"],
        (
            (
                each.transaction_id,
                each.made_at,
                each.kind,
                each.purchase_id,
                each.amount,
                each.balance,
                each.reference,
                each.memo,
            )
            for each in lines
        ),
        empty="No transactions yet.",
    )


@app.command()
def pay(
    client_id: ClientId, amount: Amount, reference: Reference = "", memo: Memo = "", as_json: AsJson = False
) -> None:
    """Book what an app has paid."""
    _book(client_id, amount_of(amount), reference, memo, as_json=as_json)


@app.command("pay-back")
def pay_back(
    client_id: ClientId, amount: Amount, reference: Reference = "", memo: Memo = "", as_json: AsJson = False
) -> None:
    """Book what an app was paid back, or a payment that was booked by mistake."""
    _book(client_id, -amount_of(amount), reference, memo, as_json=as_json)


@app.command()
def check(as_json: AsJson = False) -> None:
    """Add everything up anew: entries, balances, purchases. Exit code 1 if anything disagrees."""

    async def work(services: Services) -> list[LedgerFault]:
        return await services.ledger.check()

    faults = with_services(work)
    if as_json:
        print_json([dataclasses.asdict(each) for each in faults])
    elif faults:
        print_table(
            ["app", "what", "expected", "found"],
            ((each.app_id, each.what, each.expected, each.found) for each in faults),
        )
    else:
        console.print("All sums agree.")
    if faults:
        raise typer.Exit(1)


def _book(client_id: str, amount: Decimal, reference: str, memo: str, *, as_json: bool) -> None:
    async def work(services: Services) -> tuple[bool, Billing, str]:
        account = await services.billing.of(client_id)
        booked = await services.ledger.pay(account.app_id, amount, reference=reference, memo=memo)
        return booked, await services.billing.of(client_id), services.settings.currency

    booked, account, currency = with_services(work)
    if as_json:
        print_json({"booked": booked, **billing_record(account, currency)})
        return
    if not booked:
        typer.echo(f"The reference {reference} was booked before; nothing was done.", err=True)
    print_record(billing_record(account, currency))


def billing_record(account: Billing, currency: str) -> dict[str, object]:
    """Return how an app is billed, for people and scripts."""
    return {
        "client_id": account.client_id,
        "account": account.name,
        "currency": currency,
        "is_test": account.is_test,
        "owed": f"{account.owed:.2f}",
        "limit": None if account.limit is None else f"{account.limit:.2f}",
        "own_limit": account.own_limit,
        "left": None if account.left is None else f"{account.left:.2f}",
        "sold": f"{account.sold:.2f}",
        "received": f"{account.received:.2f}",
        "purchases": account.purchases,
    }


def _limit(account: Billing) -> str:
    return "none" if account.limit is None else f"{account.limit:.2f}"
