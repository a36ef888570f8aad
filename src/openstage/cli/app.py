"""`openstage app …`: the integrators' apps."""

import dataclasses
from typing import Annotated

import typer

from openstage.app import Services
from openstage.cli import billing
from openstage.cli.output import print_json, print_record, print_table, size
from openstage.cli.runtime import with_services
from openstage.identity.models import App, AppCredentials, AppState

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Apps: create, list, show, approve, freeze, quotas, secrets, OAuth.",
)

ClientId = Annotated[str, typer.Argument(metavar="CLIENT_ID", help="The app's id.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]


@app.command()
def create(
    name: Annotated[str, typer.Option("--name", help="Name of the app, for people.")],
    quota: Annotated[int | None, typer.Option(min=0, help="Bytes it may store; 0: no limit.")] = None,
    pending: Annotated[bool, typer.Option("--pending", help="Leave it awaiting review instead of approved.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make an app and print its id and its secret, which is shown this once."""
    state: AppState = "pending" if pending else "approved"

    async def work(services: Services) -> AppCredentials:
        return await services.identity.apps.create(name, state=state, quota=quota)

    _print_credentials(with_services(work), name=name, as_json=as_json)


@app.command("list")
def list_apps(as_json: AsJson = False) -> None:
    """List all apps."""

    async def work(services: Services) -> list[App]:
        return await services.identity.apps.list()

    apps = with_services(work)
    if as_json:
        print_json([_record(each) for each in apps])
        return
    print_table(
        ["client_id", "name", "state", "stored", "reserved", "quota", "made"],
        (
            (
                each.client_id,
                each.name,
                each.state,
                size(each.stored),
                size(each.reserved),
                _quota(each),
                each.created_at,
            )
            for each in apps
        ),
        empty="No apps yet: openstage app create --name NAME",
    )


@app.command()
def show(client_id: ClientId, as_json: AsJson = False) -> None:
    """Show one app."""

    async def work(services: Services) -> App:
        return await services.identity.apps.find(client_id)

    _print_app(with_services(work), as_json=as_json)


@app.command()
def approve(client_id: ClientId, as_json: AsJson = False) -> None:
    """Let an app work (also a frozen, rejected or deleted one, again)."""
    _set_state(client_id, "approved", as_json=as_json)


@app.command()
def reject(client_id: ClientId, as_json: AsJson = False) -> None:
    """Refuse an app in review."""
    _set_state(client_id, "rejected", as_json=as_json)


@app.command()
def freeze(client_id: ClientId, as_json: AsJson = False) -> None:
    """Stop an app for the time being; what it published stays."""
    _set_state(client_id, "frozen", as_json=as_json)


@app.command()
def delete(client_id: ClientId, as_json: AsJson = False) -> None:
    """End an app: its credentials and tokens no longer work; what it published stays."""
    _set_state(client_id, "deleted", as_json=as_json)


@app.command("set-oauth")
def set_oauth(
    client_id: ClientId,
    *,
    redirects: Annotated[
        list[str] | None,
        typer.Option("--redirect", help="Address that codes may be sent to, compared exactly; may stand repeatedly."),
    ] = None,
    no_redirects: Annotated[bool, typer.Option("--no-redirects", help="Take all addresses away.")] = False,
    scopes: Annotated[
        list[str] | None, typer.Option("--scope", help="What it may ask for; may stand repeatedly.")
    ] = None,
    public: Annotated[
        bool | None,
        typer.Option("--public/--confidential", help="It can't keep a secret: an app on a phone, a page."),
    ] = None,
    developer: Annotated[
        str | None, typer.Option("--developer", help="Account of who owns it; empty: the operator.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Set what an app may do as an OAuth client; what isn't named stays."""

    async def work(services: Services) -> App:
        identity = services.identity
        if developer is not None:
            owner = await identity.accounts.find(developer) if developer else None
            await identity.apps.set_developer(client_id, owner)
        addresses = [] if no_redirects else redirects or None
        return await identity.apps.configure(client_id, redirects=addresses, scopes=scopes or None, public=public)

    _print_app(with_services(work), as_json=as_json)


@app.command("rotate-secret")
def rotate_secret(client_id: ClientId, as_json: AsJson = False) -> None:
    """Give an app a new secret; the old one stays valid for a while (setting `secret_grace`)."""

    async def work(services: Services) -> AppCredentials:
        return await services.identity.apps.rotate_secret(client_id)

    _print_credentials(with_services(work), name=None, as_json=as_json)


@app.command("set-quota")
def set_quota(
    client_id: ClientId,
    quota: Annotated[str, typer.Argument(metavar="BYTES", help="Bytes; 0: no limit; `default`: the server's setting.")],
    as_json: AsJson = False,
) -> None:
    """Set how many bytes an app may store."""
    if quota != "default" and not quota.isdecimal():
        raise typer.BadParameter("a number of bytes, or `default`")
    value = None if quota == "default" else int(quota)

    async def work(services: Services) -> App:
        return await services.identity.apps.set_quota(client_id, value)

    _print_app(with_services(work), as_json=as_json)


app.command()(billing.credit)
app.command("set-test")(billing.set_test)


def _set_state(client_id: str, state: AppState, *, as_json: bool) -> None:
    async def work(services: Services) -> App:
        return await services.identity.apps.set_state(client_id, state)

    _print_app(with_services(work), as_json=as_json)


def _print_credentials(credentials: AppCredentials, *, name: str | None, as_json: bool) -> None:
    record = dataclasses.asdict(credentials) | ({"name": name} if name else {})
    if as_json:
        print_json(record)
        return
    print_record(record)
    typer.echo("The secret is shown this once: keep it.", err=True)


def _print_app(record: App, *, as_json: bool) -> None:
    fields = _record(record)
    if as_json:
        print_json(fields)
    else:
        print_record(fields | {name: " ".join(value) for name, value in fields.items() if isinstance(value, list)})


def _record(record: App) -> dict[str, object]:
    fields = dataclasses.asdict(record)
    del fields["id"]
    return fields


def _quota(record: App) -> str:
    if record.quota is None:
        return "default"
    return size(record.quota) if record.quota else "no limit"
