"""The table, on the screen and as files."""

import datetime as dt
import io
import json
import math
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.figures import Row, Section, Series
from bench.machine import slug

RESULTS = Path(__file__).parent / "results"


def show(console: Console, description: dict[str, Any], sections: list[Section]) -> None:
    """Print the tables."""
    console.print(about(description))
    for section in sections:
        table = Table(title=section.title, title_justify="left", title_style="bold", expand=False)
        table.add_column("", overflow="fold")
        table.add_column("median (min–max)", justify="right", no_wrap=True)
        names = _peers(section)
        for name in names:
            table.add_column(f"of {name}", justify="right", no_wrap=True)
        table.add_column("target", no_wrap=True)
        for row in section.rows:
            cells = [Text(cell) for cell in _cells(row, names)]
            if row.reached is not None:
                cells[-1].stylize("green" if row.reached else "bold red")
            table.add_row(*cells, style="" if row.ours else "dim")
        console.print(table)
        for reason in section.left_out:
            console.print(f"  left out: {reason}")
        for note in section.notes:
            console.print(f"  {note}")


def write(description: dict[str, Any], sections: list[Section], folder: Path = RESULTS, kind: str = "") -> Path:
    """Write the results as JSON, and as Markdown beside it; returns the latter's path."""
    folder.mkdir(parents=True, exist_ok=True)
    name = "-".join(filter(None, (f"{dt.datetime.now(dt.UTC):%Y-%m-%d}", kind, slug(description))))
    data = {"machine": description, "sections": [section.as_json() for section in sections]}
    (folder / f"{name}.json").write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    page = folder / f"{name}.md"
    page.write_text(as_markdown(description, sections))
    return page


def as_markdown(description: dict[str, Any], sections: list[Section]) -> str:
    """Return the tables as Markdown."""
    out = io.StringIO()
    print(f"# Measured on {dt.datetime.now(dt.UTC):%Y-%m-%d}\n\n{about(description)}\n", file=out)
    print("Medians of the rounds of one run, with the smallest and the largest in parentheses.", file=out)
    for section in sections:
        names = _peers(section)
        heads = ["", "median (min–max)", *(f"of {name}" for name in names), "target"]
        print(f"\n## {section.title}\n\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}", file=out)
        for row in section.rows:
            print(f"| {' | '.join(_cells(row, names))} |", file=out)
        for reason in section.left_out:
            print(f"\nLeft out: {reason}", file=out)
        for note in section.notes:
            print(f"\n{note}", file=out)
    return out.getvalue()


def about(description: dict[str, Any]) -> str:
    """Return the machine and the versions in one paragraph."""
    versions = ", ".join(f"{name} {version}" for name, version in description["versions"].items() if version)
    machine = [
        description["cpu"],
        f"{description['cores']} cores",
        f"{description['memory_gib']} GiB",
        description["system"],
        f"Linux {description['kernel']}",
        f"load before {description['load_before']}",
        f"scale {description['scale']:g}",
        f"{description['rounds']} rounds",
    ]
    return f"{', '.join(machine)}; {versions}."


def _peers(section: Section) -> list[str]:
    return list(dict.fromkeys(name for row in section.rows for name in row.ratios))


def _cells(row: Row, names: list[str]) -> list[str]:
    ratios = [_span(row.ratios[name], "") if name in row.ratios else "" for name in names]
    return [row.what, _span(row.figure, row.figure.unit), *ratios, _verdict(row)]


def _span(series: Series, unit: str) -> str:
    digits = _digits(series)
    text = f"{series.median:,.{digits}f}" + (f" {unit}" if unit else "")
    return f"{text} ({series.low:,.{digits}f}–{series.high:,.{digits}f})" if len(series.values) > 1 else text


def _verdict(row: Row) -> str:
    if row.target is None:
        return ""
    words = {True: "reached", False: "MISSED", None: "not measured"}
    return f"{row.target.text()}: {words[row.reached]}"


def _digits(series: Series) -> int:
    """How many digits are shown behind the point: two that say something of what is small."""
    size = abs(series.median)
    if series.unit == "" and all(value == round(value) for value in series.values):
        return 0  # a count
    if 0 < size < 0.1:
        return 1 - math.floor(math.log10(size))
    if size < 10:
        return 2
    return 2 if series.unit == "ratio" else 1 if size < 100 else 0
