"""`openstage token …`: what apps may do in whose name."""

import dataclasses
import sys
from typing import Annotated

import typer

from openstage.app import Services
from openstage.cli.output import print_json, print_record, print_table
from openstage.cli.runtime import with_services
from openstage.identity.authorisations import Authorisation, Explanation, Holder

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Tokens: list, revoke, explain.")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]


@app.command("list")
def list_tokens(
    *,
    client_id: Annotated[str | None, typer.Option("--app", help="Only those of this app (client_id).")] = None,
    user: Annotated[str | None, typer.Option("--user", help="Only those of the person with this account.")] = None,
    ended: Annotated[bool, typer.Option("--ended", help="Also those that no longer hold.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    after: Annotated[int, typer.Option(help="Only those after this number, to page on.")] = 0,
    as_json: AsJson = False,
) -> None:
    """List authorisations. All tokens that descend from one grant are one authorisation."""

    async def work(services: Services) -> list[Authorisation]:
        identity = services.identity
        account_id = (await identity.accounts.find(user)).id if user is not None else None
        return await identity.authorisations.list(
            client_id=client_id, account_id=account_id, ended=ended, limit=limit, after=after
        )

    found = with_services(work)
    if as_json:
        print_json(found)
        return
    print_table(
        ["number", "app", "user", "scopes", "by", "since", "until", "ended by"],
        (
            (
                *(each.number, each.app_name, whose(each), " ".join(each.scopes), each.origin),
                *(each.created_at, each.ended_at or each.ends_at, each.ended_by or None),
            )
            for each in found
        ),
        empty="No tokens.",
    )


@app.command()
def revoke(
    token: Annotated[
        str | None,
        typer.Argument(metavar="TOKEN", help="A token, `-` (read from standard input), or a number of `token list`."),
    ] = None,
    openid: Annotated[
        str | None, typer.Option("--openid", help="Instead of a token: all that a person allowed to this one's app.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """End an authorisation with all its tokens, or all of one person and app."""
    if (token is None) == (openid is None):
        raise typer.BadParameter("give a TOKEN, or --openid OPENID")
    if openid is not None:
        _revoke_openid(openid.strip(), as_json=as_json)
        return
    text = _given(token or "")

    async def work(services: Services) -> Authorisation:
        authorisations = services.identity.authorisations
        # Tokens have more characters than any number.
        if text.isdecimal() and len(text) < 19:
            return await authorisations.revoke(int(text), by="operator")
        return await authorisations.revoke_token(text, by="operator")

    record = dataclasses.asdict(with_services(work))
    if as_json:
        print_json(record)
    else:
        print_record(record)


def _revoke_openid(openid: str, *, as_json: bool) -> None:
    async def work(services: Services) -> int:
        return await services.identity.authorisations.revoke_openid(openid, by="operator")

    record = {"openid": openid, "ended": with_services(work)}
    if as_json:
        print_json(record)
    else:
        print_record(record)


@app.command()
def explain(
    token: Annotated[
        str,
        typer.Argument(
            metavar="TOKEN", help="A token, code or QR ticket; `-`: read from standard input, out of sight of others."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Say what a token is, whose, with which scopes, since when, and why it is refused."""
    text = _given(token)

    async def work(services: Services) -> Explanation:
        return await services.identity.authorisations.explain(text)

    found = with_services(work)
    if as_json:
        print_json(found)
        return
    held = found.authorisation
    print_record(
        {
            "what": found.kind,
            "taken": found.valid,
            "why not": found.why or None,
            "app": f"{found.app_name} ({found.client_id}), {found.app_state}",
            "user": whose(found.holder) if found.holder else None,
            "scopes": " ".join(found.scopes) or None,
            "given": found.issued_at,
            "expires": found.expires_at,
            "used": found.used_at,
            "authorisation": held.number if held else None,
            "since": held.created_at if held else None,
        }
    )


def whose(held: Authorisation | Holder) -> str:
    """Return in whose name an authorisation or token is, for a person."""
    if held.account is not None:
        return f"{held.account} (openid {held.uid})"
    if held.realm == "app":
        return "the app itself"
    return f"{held.uid} ({held.realm})"


def _given(text: str) -> str:
    return sys.stdin.readline().strip() if text == "-" else text.strip()
