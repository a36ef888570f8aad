"""`openstage migrate`: bring the database's schema up to date."""

from typing import Annotated

import typer

from openstage.cli.output import print_json
from openstage.database import migrate as schema
from openstage.database.embedded import running_database
from openstage.settings import load

app = typer.Typer(add_completion=False)


@app.command()
def migrate(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit code 1 if there is something to do.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Bring the database's schema up to date; steps that take time or take something away included."""
    with running_database(load()) as address:
        before = schema.current(address)
        applied = [] if check else schema.migrate(address)
    current = before if check else schema.head()
    if as_json:
        print_json({"before": before, "applied": applied, "schema": current, "newest": schema.head()})
    else:
        typer.echo(f"Schema {current or 'none'}" + (f" (applied: {', '.join(applied)})" if applied else ""))
        if current != schema.head():
            typer.echo(f"This Openstage needs {schema.head()}.")
    if current != schema.head():
        raise typer.Exit(1)
