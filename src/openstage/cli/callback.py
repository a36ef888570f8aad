"""`openstage callback …`: what apps are told of their recordings, and what came of it."""

import dataclasses
import datetime as dt
import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from openstage.app import Services
from openstage.cli.output import print_json, print_record, print_table
from openstage.cli.runtime import with_services
from openstage.events.models import Event, EventFilter, EventLog, EventState
from openstage.events.signing import callback_secret
from openstage.identity.errors import UnknownApp
from openstage.identity.signing import SigningApps

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Callbacks: list, show, deliver again, the secret they are signed with.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]
App = Annotated[str | None, typer.Option("--app", metavar="CLIENT_ID", help="Only this app's.")]
InState = Annotated[
    EventState | None, typer.Option("--state", help="Only those in it: waiting, doing, delivered, failed, gone.")
]
OfKind = Annotated[str | None, typer.Option("--kind", help="Only of this kind, such as ugc.published.")]
OfWork = Annotated[
    str | None, typer.Option("--work", metavar="ID", help="Only this work's: its file_id, ugc_id or share_id.")
]
Since = Annotated[
    dt.datetime | None, typer.Option("--since", help="Only those that happened from then on, in this machine's time.")
]


@app.command("list")
def list_events(
    *,
    client_id: App = None,
    state: InState = None,
    kind: OfKind = None,
    work_name: OfWork = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List events, the newest first."""
    which = _filter(client_id, state, kind, work_name, since)

    async def work(services: Services) -> Sequence[Event]:
        return await services.events.list(which, limit=limit)

    found = with_services(work)
    if as_json:
        print_json([_record(each) for each in found])
        return
    print_table(
        ["id", "kind", "no.", "state", "attempts", "status", "next", "to"],
        (
            (
                each.public_id,
                each.kind,
                each.sequence,
                each.state,
                each.attempts,
                each.last_status,
                each.due_at if each.state == "waiting" else None,
                each.url,
            )
            for each in found
        ),
        empty="No events: recordings with a callback_url make them.",
    )


@app.command()
def show(
    event_id: Annotated[str, typer.Argument(metavar="EVENT_ID", help="The event's id, evt_…")], as_json: AsJson = False
) -> None:
    """Show an event, what it tells, and every attempt to deliver it."""

    async def work(services: Services) -> EventLog:
        return await services.events.show(event_id)

    found = with_services(work)
    if as_json:
        print_json(_record(found.event) | {"log": [dataclasses.asdict(each) for each in found.attempts]})
        return
    print_record(_record(found.event) | {"data": json.dumps(found.event.data, ensure_ascii=False)})
    typer.echo()
    print_table(
        ["attempt", "began", "seconds", "outcome", "status", "answer"],
        (
            (
                each.number,
                each.began_at,
                None if each.seconds is None else f"{each.seconds:.2f}",
                each.outcome,
                each.status,
                each.excerpt,
            )
            for each in found.attempts
        ),
        empty="No attempt yet.",
    )


@app.command()
def replay(
    event_ids: Annotated[list[str] | None, typer.Argument(metavar="EVENT_ID", help="Events' ids, evt_…")] = None,
    *,
    client_id: App = None,
    state: InState = None,
    kind: OfKind = None,
    work_name: OfWork = None,
    since: Since = None,
    as_json: AsJson = False,
) -> None:
    """Deliver events again at once, under their own ids: those named, or all that match.

    All tries are before them again. One that is being delivered just now is passed over.
    """
    which = _filter(client_id, state, kind, work_name, since)
    if bool(event_ids) == (which != EventFilter()):
        raise typer.BadParameter("name events, or say which: --state failed, --app CLIENT_ID, …")

    async def work(services: Services) -> int:
        if not event_ids:
            return await services.events.replay_all(which)
        for event_id in event_ids:
            await services.events.replay(event_id)
        return len(event_ids)

    count = with_services(work)
    if as_json:
        print_json({"replayed": count})
    else:
        typer.echo(f"{count} will be delivered again.")


@app.command()
def secret(
    client_id: Annotated[str, typer.Argument(metavar="CLIENT_ID", help="The app's id.")], as_json: AsJson = False
) -> None:
    """Show the secret that an app's callbacks are signed with; during a rotation the one before it, too."""

    async def work(services: Services) -> list[str]:
        found = await SigningApps(services.database, services.keys).find(client_id)
        if found is None:
            raise UnknownApp(f"There is no app with the client_id {client_id}; see `openstage app list`.")
        return [callback_secret(each) for each in found.secrets]

    secrets = with_services(work)
    if as_json:
        print_json({"client_id": client_id, "secrets": secrets})
    else:
        for each in secrets:
            typer.echo(each)


def _filter(
    client_id: str | None, state: EventState | None, kind: str | None, work: str | None, since: dt.datetime | None
) -> EventFilter:
    return EventFilter(client_id, state, kind, work, since.astimezone() if since else None)


def _record(event: Event) -> dict[str, Any]:
    return {"id" if name == "public_id" else name: value for name, value in dataclasses.asdict(event).items()}
