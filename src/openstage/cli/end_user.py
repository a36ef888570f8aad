"""`openstage end-user …`: users as apps name them."""

import dataclasses
from typing import Annotated

import typer

from openstage.app import Services
from openstage.cli.output import print_json, print_record, print_table
from openstage.cli.runtime import with_services
from openstage.identity.users import EndUser

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Users as apps name them.")

Number = Annotated[int, typer.Argument(metavar="NUMBER", help="The user's number, as `end-user list` prints it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]


@app.command("list")
def list_users(
    client_id: Annotated[str | None, typer.Option("--app", help="Only users of this app (client_id).")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    after: Annotated[int, typer.Option(help="Only those after this number, to page on.")] = 0,
    as_json: AsJson = False,
) -> None:
    """List end users."""

    async def work(services: Services) -> list[EndUser]:
        return await services.identity.users.list(client_id=client_id, limit=limit, after=after)

    users = with_services(work)
    if as_json:
        print_json(users)
        return
    print_table(
        ["number", "app", "realm", "uid", "nick", "live tokens", "since"],
        ((u.id, u.app_name, u.realm, u.uid, u.nick, u.live_tokens, u.created_at) for u in users),
        empty="No users yet: they appear when an app authorises them.",
    )


@app.command()
def show(number: Number, as_json: AsJson = False) -> None:
    """Show one end user."""

    async def work(services: Services) -> EndUser:
        return await services.identity.users.show(number)

    record = dataclasses.asdict(with_services(work))
    if as_json:
        print_json(record)
    else:
        print_record(record)


@app.command("sign-out")
def sign_out(number: Number, as_json: AsJson = False) -> None:
    """Revoke all tokens that speak for a user."""

    async def work(services: Services) -> int:
        return await services.identity.users.sign_out(number)

    ended = with_services(work)
    if as_json:
        print_json({"ended": ended})
    else:
        typer.echo(f"{ended} authorisations ended.")
