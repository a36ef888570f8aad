"""`openstage work …`: works of all apps."""

import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, cast, get_args

import typer
from msgspec import structs

from openstage.app import Services
from openstage.cli.output import console, print_json, print_record, print_table, size
from openstage.cli.runtime import with_services
from openstage.cli.watching import watch_as_json, watch_with_bars
from openstage.publishing.operations import Operations
from openstage.publishing.overview import TaskGroup, overview
from openstage.works.models import Loudness, Rendition, State, Work

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Works: list, show, watch, delete, restore, run again."
)

GOOD: frozenset[State] = frozenset({"published", "reviewing"})

Name = Annotated[str, typer.Argument(metavar="ID", help="The work's number, file_id or slug.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]


@app.command("list")
def list_works(
    state: Annotated[str | None, typer.Option(help=f"Only those in it: {', '.join(get_args(State))}.")] = None,
    deleted: Annotated[bool, typer.Option("--deleted", help="The deleted ones that can still be restored.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    before: Annotated[int | None, typer.Option(help="Only those before this number, to page on.")] = None,
    as_json: AsJson = False,
) -> None:
    """List works, the newest first."""
    if state is not None and state not in get_args(State):
        raise typer.BadParameter(f"{state!r} is not a state; there are {', '.join(get_args(State))}.")

    async def work(services: Services) -> Sequence[Work]:
        return await services.works.all(state=cast(State | None, state), deleted=deleted, before=before, limit=limit)

    found = with_services(work)
    if as_json:
        print_json([brief(each) for each in found])
        return
    print_table(
        ["number", "file_id", "slug", "state", "title", "size", "plays", "made"],
        (
            (
                each.id,
                each.file_id,
                each.slug,
                f"{each.state} {each.percent:.0f} %" if each.pending else each.state,
                each.title,
                size(each.file_size),
                each.play_count,
                each.created_at,
            )
            for each in found
        ),
        empty="No works.",
    )


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show one work with its renditions, and with its tasks while it is being made."""

    async def work(services: Services) -> tuple[Work, Sequence[Rendition], Sequence[TaskGroup], Loudness | None]:
        found = await services.works.find(name)
        tasks = await overview(services.database, found.id)
        return found, await services.works.renditions(found.id), tasks, await services.works.loudness(found.id)

    found, renditions, tasks, loudness = with_services(work)
    if as_json:
        made = [_rendition(each) for each in renditions]
        measured = dataclasses.asdict(loudness) if loudness else None
        doing = [dataclasses.asdict(each) for each in tasks]
        print_json(brief(found) | {"loudness": measured, "renditions": made, "tasks": doing})
        return
    print_record(brief(found) | ({"loudness": _in_words(loudness)} if loudness else {}))
    if renditions:
        console.print()
        print_table(
            ["kind", "quality", "size", "codecs", "kb/s", "bytes"],
            (
                (
                    each.kind,
                    each.quality,
                    f"{each.width}x{each.height}" if each.width else "sound",
                    each.codecs,
                    each.average_bandwidth // 1000,
                    size(each.byte_size) if each.complete else "growing",
                )
                for each in renditions
            ),
        )
    if tasks:
        console.print()
        print_table(
            ["task", "done", "under way", "%", "last fault"],
            (
                (each.kind, f"{each.done}/{each.tasks}", each.doing, round(each.percent or 0), each.fault)
                for each in tasks
            ),
        )


@app.command()
def watch(name: Name, as_json: AsJson = False) -> None:
    """Follow a work until nothing more is made of it; exit code 1 if it isn't published or awaiting review then.

    A bar for the whole run, one for each kind of task, the time left, and what there is to know. With --json, one line
    for each change.
    """

    async def work(services: Services) -> Work:
        return await (watch_as_json(services, name) if as_json else watch_with_bars(services, name))

    settled = with_services(work)
    if not as_json:
        console.print(f"{settled.state}{': ' + settled.reason if settled.reason else ''}", markup=False)
    if settled.state not in GOOD:
        raise typer.Exit(1)


@app.command()
def delete(name: Name, as_json: AsJson = False) -> None:
    """Hide a work at once; its bytes are removed for good after the grace time (setting `deletion_grace`)."""
    _operate(lambda operations: operations.delete(name), as_json=as_json)


@app.command()
def restore(name: Name, as_json: AsJson = False) -> None:
    """Bring a deleted work back while the grace time lasts."""
    _operate(lambda operations: operations.restore(name), as_json=as_json)


@app.command()
def rerun(name: Name, as_json: AsJson = False) -> None:
    """Make a work's renditions anew (what is published stays until they are whole), or try a failed one again."""
    _operate(lambda operations: operations.rerun(name), as_json=as_json)


def brief(work: Work) -> dict[str, Any]:
    """Return what an operator wants to know of a work."""
    fields = structs.asdict(work)
    for internal in ("app_id", "user_id", "run", "claim", "described_at"):
        del fields[internal]
    return fields


def _in_words(loudness: Loudness) -> str:
    if loudness.integrated_lufs is None:
        return "silence, or too short to tell"
    parts = [f"{loudness.integrated_lufs:.1f} LUFS"]
    parts += [f"range {loudness.range_lu:.1f} LU"] if loudness.range_lu is not None else []
    parts += [f"true peak {loudness.true_peak_dbtp:.1f} dBTP"] if loudness.true_peak_dbtp is not None else []
    return ", ".join(parts)


def _rendition(rendition: Rendition) -> dict[str, Any]:
    fields = dataclasses.asdict(rendition)
    for internal in ("id", "key"):
        del fields[internal]
    return fields


def _operate(action: Callable[[Operations], Awaitable[Work]], *, as_json: bool) -> None:
    async def work(services: Services) -> Work:
        return await action(services.operations)

    done = with_services(work)
    if as_json:
        print_json(brief(done))
    else:
        print_record(brief(done))
