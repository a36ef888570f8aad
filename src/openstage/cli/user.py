"""`openstage user …`: people with an account here."""

import getpass
import sys
from typing import Annotated

import typer

from openstage.app import Services
from openstage.cli.output import print_json, print_record, print_table
from openstage.cli.runtime import with_services
from openstage.errors import DomainError
from openstage.identity.authorisations import Authorisation
from openstage.identity.models import Account, AccountState
from openstage.identity.sessions import Session

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="People with an account: create, list, passwords, sign-out."
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The account's name, in any spelling.")]
FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]


class NoPassword(DomainError):
    """No password was given."""

    code = "cli.no_password"


@app.command()
def create(
    name: Annotated[str, typer.Option("--name", help="Name to sign in with; others may see it.")],
    password_stdin: FromStdin = False,
    as_json: AsJson = False,
) -> None:
    """Make an account. Without --password-stdin the password is asked for."""
    password = _read_password(from_stdin=password_stdin)

    async def work(services: Services) -> Account:
        return await services.identity.accounts.create(name, password)

    _print(with_services(work), as_json=as_json)


@app.command("list")
def list_users(
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    after: Annotated[int, typer.Option(help="Only those after this number, to page on.")] = 0,
    as_json: AsJson = False,
) -> None:
    """List accounts."""

    async def work(services: Services) -> list[Account]:
        return await services.identity.accounts.list(limit=limit, after=after)

    accounts = with_services(work)
    if as_json:
        print_json([_record(account) for account in accounts])
        return
    print_table(
        ["number", "name", "state", "made", "signed in"],
        ((each.id, each.name, each.state, each.created_at, each.signed_in_at) for each in accounts),
        empty="No accounts yet: openstage user create --name NAME",
    )


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show an account, where it is signed in, and which apps have access."""

    async def work(services: Services) -> tuple[Account, list[Session], list[Authorisation]]:
        account = await services.identity.accounts.find(name)
        sessions = await services.identity.sessions.list(account.id)
        return account, sessions, await services.identity.authorisations.list(account_id=account.id)

    account, sessions, held = with_services(work)
    if as_json:
        print_json(_record(account) | {"sessions": sessions, "authorisations": held})
        return
    apps = ", ".join(dict.fromkeys(each.app_name for each in held))
    print_record(_record(account) | {"sessions": len(sessions), "apps with access": apps or None})


@app.command("set-password")
def set_password(name: Name, password_stdin: FromStdin = False, as_json: AsJson = False) -> None:
    """Give an account another password; it is signed out everywhere, apps keep their access."""
    password = _read_password(from_stdin=password_stdin)

    async def work(services: Services) -> Account:
        return await services.identity.accounts.set_password(name, password)

    _print(with_services(work), as_json=as_json)


@app.command()
def disable(name: Name, as_json: AsJson = False) -> None:
    """Keep a person from signing in; all sessions and tokens end. What they published stays."""
    _set_state(name, "disabled", as_json=as_json)


@app.command()
def enable(name: Name, as_json: AsJson = False) -> None:
    """Let a person sign in again."""
    _set_state(name, "active", as_json=as_json)


@app.command("sign-out")
def sign_out(name: Name, as_json: AsJson = False) -> None:
    """End all sessions of a person, and all that they allowed to apps."""

    async def work(services: Services) -> tuple[int, int]:
        account = await services.identity.accounts.find(name)
        return await services.identity.sign_out_everywhere(account, by="operator")

    sessions, authorisations = with_services(work)
    if as_json:
        print_json({"sessions": sessions, "authorisations": authorisations})
    else:
        typer.echo(f"{sessions} sessions and {authorisations} authorisations ended.")


def _set_state(name: str, state: AccountState, *, as_json: bool) -> None:
    async def work(services: Services) -> Account:
        return await services.identity.accounts.set_state(name, state)

    _print(with_services(work), as_json=as_json)


def _read_password(*, from_stdin: bool) -> str:
    """Read a password: one line of standard input, or what is typed unseen. Raises NoPassword."""
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if getpass.getpass("Once more: ") != password:
            raise NoPassword("These were two passwords; nothing was done.")
    else:
        raise NoPassword("There is no terminal to ask for the password; use --password-stdin.")
    if not password:
        raise NoPassword("The password is empty.")
    return password


def _print(account: Account, *, as_json: bool) -> None:
    if as_json:
        print_json(_record(account))
    else:
        print_record(_record(account))


def _record(account: Account) -> dict[str, object]:
    return {
        "number": account.id,
        "name": account.name,
        "state": account.state,
        "created_at": account.created_at,
        "signed_in_at": account.signed_in_at,
    }
