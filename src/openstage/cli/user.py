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
from openstage.identity.passkeys import Passkey
from openstage.identity.sessions import Session

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="People with an account: create, list, passwords, sign-out."
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The account's name, in any spelling.")]
Other = Annotated[str, typer.Argument(metavar="OTHER", help="Another account's name.")]
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

    async def work(services: Services) -> tuple[Account, list[Session], list[Authorisation], list[Passkey]]:
        identity = services.identity
        account = await identity.accounts.find(name)
        sessions = await identity.sessions.list(account.id)
        held = await identity.authorisations.list(account_id=account.id)
        return account, sessions, held, await identity.passkeys.list(account.id)

    account, sessions, held, passkeys = with_services(work)
    if as_json:
        print_json(_record(account) | {"sessions": sessions, "authorisations": held, "passkeys": passkeys})
        return
    apps = ", ".join(dict.fromkeys(each.app_name for each in held))
    counts = {"sessions": len(sessions), "passkeys": len(passkeys), "apps with access": apps or None}
    print_record(_record(account) | counts)


@app.command("set-password")
def set_password(name: Name, password_stdin: FromStdin = False, as_json: AsJson = False) -> None:
    """Give an account another password; it is signed out everywhere, apps keep their access."""
    password = _read_password(from_stdin=password_stdin)

    async def work(services: Services) -> Account:
        return await services.identity.accounts.set_password(name, password)

    _print(with_services(work), as_json=as_json)


@app.command("remove-passkeys")
def remove_passkeys(name: Name, as_json: AsJson = False) -> None:
    """Remove all passkeys of a person; their password goes on working."""

    async def work(services: Services) -> int:
        account = await services.identity.accounts.find(name)
        return await services.identity.passkeys.remove_all(account.id)

    removed = with_services(work)
    if as_json:
        print_json({"removed": removed})
    else:
        typer.echo(f"{removed} passkeys removed.")


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


@app.command()
def befriend(name: Name, other: Other, as_json: AsJson = False) -> None:
    """Make two people friends: each sees what the other shows to friends."""

    async def work(services: Services) -> bool:
        accounts = services.identity.accounts
        return await services.identity.friends.befriend(await accounts.find(name), await accounts.find(other))

    changed = with_services(work)
    _say("They are friends now." if changed else "They were friends already.", as_json=as_json, changed=changed)


@app.command()
def unfriend(name: Name, other: Other, as_json: AsJson = False) -> None:
    """End a friendship; what was shown to friends is hidden at once."""

    async def work(services: Services) -> bool:
        accounts = services.identity.accounts
        return await services.identity.friends.unfriend(await accounts.find(name), await accounts.find(other))

    changed = with_services(work)
    _say("They are friends no more." if changed else "They were no friends.", as_json=as_json, changed=changed)


@app.command()
def friends(name: Name, as_json: AsJson = False) -> None:
    """List a person's friends."""

    async def work(services: Services) -> list[Account]:
        return await services.identity.friends.list((await services.identity.accounts.find(name)).id)

    found = with_services(work)
    if as_json:
        print_json([_record(account) for account in found])
        return
    rows = ((each.id, each.name, each.state) for each in found)
    print_table(["number", "name", "state"], rows, empty="No friends yet: openstage user befriend NAME OTHER")


@app.command()
def city(
    name: Name,
    city_id: Annotated[int, typer.Argument(metavar="CITY", help="As apps number cities, such as 440300; 0: not told.")],
    as_json: AsJson = False,
) -> None:
    """Say where a person lives: what they record from now on is listed for that city."""

    async def work(services: Services) -> None:
        account = await services.identity.accounts.find(name)
        await services.identity.profiles.set_city(account, city_id or None)

    with_services(work)
    _say(f"City: {city_id}." if city_id else "No city is told.", as_json=as_json, city_id=city_id or None)


def _say(sentence: str, *, as_json: bool, **values: object) -> None:
    if as_json:
        print_json(values)
    else:
        typer.echo(sentence)


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
