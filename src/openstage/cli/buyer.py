"""`openstage buyer …`: who buys through an app."""

import dataclasses
from typing import Annotated

import typer

from openstage.app import Services
from openstage.cli.output import print_json, print_record, print_table
from openstage.cli.runtime import with_services
from openstage.licensing.models import Buyer, Member

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Who buys through an app: list, rename.")

ClientId = Annotated[str, typer.Argument(metavar="CLIENT_ID", help="The app's id.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]


@app.command("list")
def list_buyers(client_id: ClientId, as_json: AsJson = False) -> None:
    """List an app's main account and the members who have bought."""

    async def work(services: Services) -> list[Member]:
        return await services.billing.members(client_id)

    members = with_services(work)
    if as_json:
        print_json([dataclasses.asdict(each) for each in members])
        return
    print_table(
        ["id", "name", "third_user_id", "purchases"],
        ((each.id, each.name, each.third_user_id or "(main account)", each.purchases) for each in members),
        empty="Nobody has bought through this app yet.",
    )


@app.command()
def rename(
    client_id: ClientId,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new name.")],
    third_user_id: Annotated[
        str, typer.Option("--member", help="The member's third_user_id; else the main account.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Name an app's main account, or a member of it, for lists and certificates."""

    async def work(services: Services) -> Buyer:
        return await services.billing.rename(client_id, third_user_id, name)

    buyer = with_services(work)
    if as_json:
        print_json(dataclasses.asdict(buyer))
    else:
        print_record(dataclasses.asdict(buyer))
