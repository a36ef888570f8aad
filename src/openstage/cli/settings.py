"""`openstage settings`: each setting with its default, value and help."""

from typing import Annotated, Any

import typer
from rich.markup import escape

from openstage.cli.output import console, print_json
from openstage.settings import Settings, load

app = typer.Typer(add_completion=False)

SECRET_PARTS = ("database_url", "storage_url")
"""Settings whose value may hold a password."""


@app.command()
def settings(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON value.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print docs/settings.md.")] = False,
) -> None:
    """Print each setting with its default, value and help."""
    if markdown:
        typer.echo(as_markdown(), nl=False)
        return
    rows = table(load())
    if as_json:
        print_json(rows)
        return
    for row in rows:
        value, default = row["value"], row["default"]
        changed = "" if value == default else f"   [dim](default {escape(_shown(default))})[/dim]"
        console.print(f"[bold]{row['variable']}[/bold] = {escape(_shown(value))}{changed}", soft_wrap=True)
        console.print(f"    {escape(row['help'])}", style="dim", soft_wrap=True)


def table(current: Settings) -> list[dict[str, Any]]:
    """Return name, variable, default, value and help of each setting."""
    return [
        {
            "name": name,
            "variable": f"OPENSTAGE_{name.upper()}",
            "default": _plain(field.default),
            "value": _hide(name, _plain(getattr(current, name))),
            "help": field.description or "",
        }
        for name, field in Settings.model_fields.items()
    ]


def as_markdown() -> str:
    """Return docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "Made by `openstage settings --markdown`. Each setting is a variable of the environment, or a line in",
        "`openstage.toml` (in the current folder, or where `OPENSTAGE_CONFIG` says) under its name in lower case and",
        "without the prefix. The environment wins. Durations are in seconds, sizes in bytes.",
        "",
        "| variable | default | what it is |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        text = (field.description or "").replace("|", "\\|")
        lines.append(f"| `OPENSTAGE_{name.upper()}` | `{_shown(_plain(field.default))}` | {text} |")
    return "\n".join(lines) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if value is None:
        return ""
    return value if isinstance(value, int | float | bool) else str(value)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) or '""'


def _hide(name: str, value: Any) -> Any:
    """Hide the password in an address."""
    if name not in SECRET_PARTS or "@" not in str(value):
        return value
    scheme, _, rest = str(value).partition("://")
    return f"{scheme}://…@{rest.rpartition('@')[2]}"
