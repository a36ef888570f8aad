"""`openstage backup` and `openstage restore`."""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from openstage.cli.output import print_json, size
from openstage.observability import logs
from openstage.server.backup import Manifest, make_backup
from openstage.server.restore import restore_backup
from openstage.settings import load

backup_app = typer.Typer(add_completion=False)
restore_app = typer.Typer(add_completion=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@backup_app.command()
def backup(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new or empty folder.")],
    as_json: AsJson = False,
) -> None:
    """Copy database, objects, staging files and keys to a folder, consistent with each other, while the server works.

    Whoever can read the folder can read everything: it holds the master key too.
    """
    settings = load()
    logs.configure(form=settings.log_format, level="warning")
    manifest = make_backup(settings, folder, _counter("backed up"))
    _report("Backed up", manifest, as_json=as_json)
    if manifest.missing:
        for key in manifest.missing[:20]:
            typer.echo(f"openstage: missing in the object store: {key}", err=True)
        typer.echo(f"openstage: {len(manifest.missing)} objects are missing; all in manifest.json", err=True)


@restore_app.command()
def restore(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What `openstage backup` has written.")],
    as_json: AsJson = False,
) -> None:
    """Bring a backup back into an empty data folder (and into an empty database or bucket, if settings name one)."""
    settings = load()
    logs.configure(form=settings.log_format, level="warning")
    _report("Restored", restore_backup(settings, folder, _counter("restored")), as_json=as_json)


def _report(what: str, manifest: Manifest, *, as_json: bool) -> None:
    if as_json:
        print_json(dataclasses.asdict(manifest))
    else:
        typer.echo(
            f"{what}: {manifest.objects} objects and {manifest.staging} staging files ({size(manifest.size)}), "
            f"database with schema {manifest.schema} as of {manifest.made_at}."
        )


def _counter(what: str) -> Callable[[int, int], None]:
    if not sys.stderr.isatty():
        return lambda _, __: None

    def show(done: int, total: int) -> None:
        if done == total or done % 16 == 0:
            sys.stderr.write(f"\r{done} of {total} files {what}" + ("\n" if done == total else ""))

    return show
