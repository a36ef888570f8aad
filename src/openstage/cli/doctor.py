"""`openstage doctor`: check what usually goes wrong, and say what to do."""

import asyncio
import dataclasses
from typing import Annotated

import typer

from openstage.cli.output import console, print_json, shown
from openstage.server import checks
from openstage.server.checks import Finding
from openstage.settings import Settings, load

app = typer.Typer(add_completion=False)

MARKS = {"ok": "[green]✓[/green]", "warning": "[yellow]![/yellow]", "problem": "[red]✗[/red]"}


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON value.")] = False) -> None:
    """Check what usually goes wrong, and say what to do. Exit code 1 if something must be mended."""
    settings = load()
    findings = [finding for check in checks.ALL for finding in run(check, settings)]
    if as_json:
        print_json([dataclasses.asdict(finding) for finding in findings])
    else:
        for finding in findings:
            console.print(
                f"{MARKS[finding.state]} [bold]{finding.name}[/bold]  {shown(finding.detail)}", soft_wrap=True
            )
            if finding.advice:
                console.print(f"    → {shown(finding.advice)}", soft_wrap=True)
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(1)


def run(check: checks.Check, settings: Settings) -> list[Finding]:
    """Run one check; one that breaks is a finding itself, and the others still run."""
    try:
        return asyncio.run(check(settings))
    except Exception as error:
        name = check.__name__.replace("_", " ")
        return [Finding(name, "problem", f"The check broke off: {error}", "Mend this first; the other checks ran.")]
