"""How commands answer: tables for people, JSON for scripts, one line for what went wrong."""

import dataclasses
import datetime as dt
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

console = Console(highlight=False)

_WIDEST = 43
"""Characters of one cell of a table; titles may be longer, ids and keys (43) are not."""
_UNLIMITED = 10_000


def print_json(value: Any) -> None:
    """Print a value as one line of JSON on standard output."""
    sys.stdout.write(json.dumps(value, default=_plain, ensure_ascii=False) + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str = "Nothing yet.") -> None:
    """Print rows as a table, or `empty` where there are none."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True, max_width=_WIDEST)
    for row in rows:
        table.add_row(*(shown(cell) for cell in row))
    if table.row_count:
        # As wide as it is, like the lists of other tools: an id that was cut can't be given to the next command.
        Console(highlight=False, width=_UNLIMITED).print(table)
    else:
        console.print(empty)


def print_record(record: dict[str, Any]) -> None:
    """Print one thing, a line per field."""
    width = max(map(len, record), default=0)
    for name, value in record.items():
        console.print(f"[bold]{name.ljust(width)}[/bold]  ", shown(value), sep="", markup=True, soft_wrap=True)


def shown(value: Any) -> str:
    """Return a value as a person reads it, safe for a terminal and for rich's markup."""
    if value is None:
        return "–"
    if isinstance(value, dt.datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = "".join(character if character.isprintable() else "�" for character in str(value))
    return text.replace("[", "\\[")


def size(count: int | None) -> str:
    """Return a number of bytes as a person reads it, such as `1.5 GiB`."""
    if count is None:
        return "–"
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def fail(error: Exception) -> bool:
    """Print an expected error as one line; returns False where the error is a defect that needs its traceback."""
    message = expected_message(error)
    if message is None:
        return False
    sys.stderr.write(f"openstage: {message}\n")
    return True


def expected_message(error: Exception) -> str | None:
    """Return what to tell of an error that isn't a defect of ours, or None."""
    message = getattr(error, "message", None)
    if isinstance(message, str):
        return message
    if type(error).__name__ == "ValidationError" and hasattr(error, "errors"):
        return "\n".join(f"OPENSTAGE_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
    if isinstance(error, OSError):
        return str(error)
    return None


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if fields := getattr(value, "__struct_fields__", None):  # the library of these records isn't there for clients
        return {name: getattr(value, name) for name in fields}
    return str(value)
