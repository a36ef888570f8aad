"""`python -m bench publish [play] [paced] [stalls] [ladder] [workers] [kill]`: all parts, or those that are named."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from bench import machine, report
from bench.figures import Section
from bench.http import LoadError
from bench.ours import running_openstage
from bench.processes import NotHere
from bench.publish.kill import Killing
from bench.publish.ladder import Laddering
from bench.publish.plan import Plan
from bench.publish.play import Playing
from bench.publish.reference import references
from bench.publish.sources import cache_folder, source_file
from bench.publish.stalls import Watching
from bench.publish.workers import Sharing
from bench.publish.works import Bench, database_of
from openstage.errors import DomainError

GIB = 1024**3
NEEDED_GIB = 40
"""At full scale: sources, and the originals of (g) that are being removed."""


def main(words: list[str]) -> int:
    """Run the parts; the exit code says whether they ran, not how fast."""
    console = Console(width=max(Console().width, 140) if not sys.stdout.isatty() else None)
    try:
        plan = Plan.read(words)
    except ValueError as error:
        console.print(f"python -m bench publish: {error}")
        return 2
    free = shutil.disk_usage(cache_folder()).free
    if free < NEEDED_GIB * plan.scale * GIB + GIB:
        console.print(f"{cache_folder()} has too little room; BENCH_CACHE and TMPDIR name other disks.")
        return 1

    def say(text: str) -> None:
        console.print(f"[dim]{text} …", highlight=False)

    for letter in plan.letters:
        source_file(letter, plan.seconds, say)
    description = {**machine.describe(), "scale": plan.scale, "rounds": plan.rounds}
    sections: list[Section] = []
    with tempfile.TemporaryDirectory(prefix="openstage-bench-", ignore_cleanup_errors=True) as folder:
        for section in measure(plan, Path(folder), say):
            sections.append(section)
            if results := os.environ.get("BENCH_RESULTS", str(report.RESULTS)):  # after each: a run may be broken off
                report.write(description, sections, Path(results), _kind(plan))
    report.show(console, description, sections)
    return 0


def _kind(plan: Plan) -> str:
    return "publish" if plan == Plan() else f"publish-{'-'.join(plan.parts)}"


def measure(plan: Plan, scratch: Path, say: Callable[[str], None]) -> Iterator[Section]:
    """Measure the parts one after the other."""
    whole = references(plan, scratch, say) if {"play", "paced"} & set(plan.parts) else {}
    served: dict[str, tuple[str, Callable[[Bench], Section]]] = {
        "play": ("Time to play", lambda bench: Playing(plan, bench, whole, say).at_once()),
        "paced": ("Time to play, paced", lambda bench: Playing(plan, bench, whole, say).paced()),
        "stalls": ("Watched while it is encoded", lambda bench: Watching(plan, bench, say).run()),
        "kill": ("`kill -9` of the worker", lambda bench: Killing(plan, bench, say).run()),
    }
    for part in plan.parts:
        if part == "ladder":
            yield from attempt("The whole ladder in chunks", Laddering(plan, scratch / part, say).run)
        elif part == "workers":
            yield from attempt("Workers", lambda: [Sharing(plan, scratch / "workers", say).run()])
        else:
            title, run = served[part]
            settings = {"chunk_seconds": f"{plan.chunk_seconds:g}"} if part == "kill" else {}
            with running_bench(scratch / part, **settings) as bench:
                yield from attempt(title, lambda run=run, bench=bench: [run(bench)])  # type: ignore[misc]


def attempt(title: str, run: Callable[[], list[Section]]) -> list[Section]:
    """Measure a part, or say why it can't be."""
    try:
        return run()
    except (NotHere, LoadError, RuntimeError, TimeoutError, DomainError) as error:
        return [Section(title, left_out=[f"{type(error).__name__}: {error}"])]


@contextmanager
def running_bench(scratch: Path, **settings: str) -> Iterator[Bench]:
    """Run a server of our own for the length of the block; what is deleted is removed within a minute."""
    scratch.mkdir(parents=True)
    with running_openstage(scratch, deletion_grace="1", **settings) as server, database_of(server) as database:
        yield Bench(server, database)
