"""`openstage ticket …`: QR sign-ins, decided from the command line as their page does it."""

import dataclasses
import sys
from typing import Annotated

import typer

from openstage.app import Services
from openstage.cli.output import print_json, print_record
from openstage.cli.runtime import with_services
from openstage.identity.tickets import TicketRecord

app = typer.Typer(no_args_is_help=True, add_completion=False, help="QR sign-ins of devices: show, confirm, refuse.")

Ticket = Annotated[
    str,
    typer.Argument(
        metavar="TICKET",
        help="A qr_ticket, the address in its QR code, or the user code that the device shows; `-`: read from standard"
        " input.",
    ),
]
User = Annotated[str, typer.Option("--user", help="The account's name, in any spelling.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]


@app.command()
def show(ticket: Ticket, as_json: AsJson = False) -> None:
    """Show how a sign-in stands, and what it asks for."""
    text = _given(ticket)

    async def work(services: Services) -> TicketRecord:
        return await services.identity.tickets.find(text)

    _print(with_services(work), as_json=as_json)


@app.command()
def confirm(ticket: Ticket, user: User, as_json: AsJson = False) -> None:
    """Let a device in, in the name of a person."""
    _print(_decide(_given(ticket), user, allow=True), as_json=as_json)


@app.command()
def refuse(
    ticket: Ticket,
    user: Annotated[str | None, typer.Option("--user", help="In whose name; left out: the operator's.")] = None,
    as_json: AsJson = False,
) -> None:
    """Turn a device away."""
    _print(_decide(_given(ticket), user, allow=False), as_json=as_json)


def _decide(text: str, user: str | None, *, allow: bool) -> TicketRecord:
    async def work(services: Services) -> TicketRecord:
        identity = services.identity
        account = await identity.accounts.find(user) if user is not None else None
        found = await identity.tickets.find(text)
        await identity.devices.decide(found.user_code, account, allow=allow)
        return await identity.tickets.find(text)

    return with_services(work)


def _print(found: TicketRecord, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    record = dataclasses.asdict(found)
    print_record(
        record
        | {
            "device": found.device or None,
            "device_id": found.device_id or None,
            "scopes": " ".join(found.scopes) or None,
        }
    )


def _given(text: str) -> str:
    return sys.stdin.readline().strip() if text == "-" else text.strip()
