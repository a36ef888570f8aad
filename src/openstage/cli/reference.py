"""`docs/commands.md`, made from the commands themselves: `python -m openstage.cli.reference`."""

import sys
from collections.abc import Iterator
from typing import Any

import typer

from openstage.cli import COMMANDS, app


def reference() -> str:
    """Return docs/commands.md."""
    lines = [
        "# Commands",
        "",
        "Made by `make docs`. The program is `.venv/bin/openstage`; every command has `--help`,",
        "and those that tell something have `--json`. Commands work beside a running server; without one they start",
        "the embedded database for themselves. What goes wrong is one line on standard error, and exit code 1.",
        "",
    ]
    root: Any = typer.main.get_command(app)
    for name in COMMANDS:
        lines += list(_describe(f"openstage {name}", root.get_command(None, name)))
    return "\n".join(lines).rstrip() + "\n"


def _describe(path: str, command: Any) -> Iterator[str]:
    subcommands: dict[str, Any] = getattr(command, "commands", {})
    if subcommands:
        yield from (f"## {path}", "", _first_line(command.help), "")
        for name, subcommand in subcommands.items():
            yield from _describe(f"{path} {name}", subcommand)
        return
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and "--help" not in each.opts]
    heading = "##" if path.count(" ") == 1 else "###"
    usage = " ".join([path, *(each.metavar or each.name.upper() for each in arguments)])
    yield from (f"{heading} {usage}", "", _first_line(command.help), "")
    rows = [(f"`{each.metavar or each.name.upper()}`", each) for each in arguments]
    rows += [("`" + "`, `".join([*each.opts, *each.secondary_opts]) + "`", each) for each in options]
    for shown, each in rows:
        yield f"- {shown}: {(each.help or '').strip()}{_default(each)}"
    if rows:
        yield ""


def _first_line(text: str | None) -> str:
    return (text or "").strip().split("\n", 1)[0]


def _default(parameter: Any) -> str:
    default = parameter.default
    if parameter.required or default in (None, False, "", True, ()) or callable(default) or "…" in str(default):
        return ""
    return f" Default: `{default}`."


if __name__ == "__main__":
    sys.stdout.write(reference())
