"""`python -m bench search`: a large catalogue, imported, indexed and searched over HTTP with signatures.

`BENCH_TRACKS` sets how many tracks (1,000,000), `BENCH_SECONDS` how long queries are sent (60), `BENCH_SCALE` the part
of both.
"""

import itertools
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench import machine, report
from bench.figures import Row, Section, Series, Target
from bench.http import LoadError
from bench.ours import Openstage, running_openstage
from bench.publish.works import database_of
from bench.search import postgres
from bench.search.generate import Generator, write
from bench.search.judged import WANTED, judged
from bench.search.load import App, Asked, queries, steadily

PER_SECOND = 50.0
INDEXING_SECONDS = 3600.0
JUDGED_FROM, JUDGED_EACH = 20_000, 40
COMPARED = 300


@dataclass(frozen=True)
class Plan:
    """How large the run is."""

    tracks: int
    seconds: float
    scale: float

    @classmethod
    def read(cls) -> "Plan":
        """Take it from the environment."""
        scale = float(os.environ.get("BENCH_SCALE", "1"))
        tracks = int(os.environ.get("BENCH_TRACKS", "1000000"))
        return cls(
            max(1000, int(tracks * scale)), max(2.0, float(os.environ.get("BENCH_SECONDS", "60")) * scale), scale
        )


def main(_: list[str]) -> int:
    """Measure; the exit code says whether it ran, not how fast."""
    console = Console(width=max(Console().width, 140) if not sys.stdout.isatty() else None)
    plan = Plan.read()
    description = {**machine.describe(), "scale": plan.scale, "rounds": 1, "tracks": plan.tracks}
    sections: list[Section] = []
    with tempfile.TemporaryDirectory(prefix="openstage-bench-", ignore_cleanup_errors=True) as folder:
        for section in measure(plan, Path(folder), lambda text: console.print(f"[dim]{text} …", highlight=False)):
            sections.append(section)
            if results := os.environ.get("BENCH_RESULTS", str(report.RESULTS)):
                report.write(description, sections, Path(results), "search")
    report.show(console, description, sections)
    return 0


def measure(plan: Plan, scratch: Path, say: Callable[[str], None]) -> Iterator[Section]:
    """Import, index, search; then PostgreSQL's own search on the same."""
    say(f"making {plan.tracks} tracks")
    source = scratch / "tracks.jsonl"
    with source.open("w", encoding="utf-8") as out:
        write(plan.tracks, out)
    making = Section(f"A catalogue of {plan.tracks} tracks")
    with running_openstage(scratch, worker="false") as server:
        say("importing")
        began = time.perf_counter()
        server.command("catalogue", "import", "--metadata-only", str(source))
        seconds = time.perf_counter() - began
        making.rows.append(_figure("import, beside a running server that indexes", "s", seconds))
        making.rows.append(_figure("tracks imported a second", "/s", plan.tracks / seconds))
        app = _app(server)
        behind = _until_found(server, app, plan.tracks)
        making.rows.append(_figure("until the last one is found after that", "s", behind))
    shutil.rmtree(server.data / "search")
    began = time.perf_counter()
    with running_openstage(scratch, worker="false") as server:
        say("indexing from nothing")
        app = _app(server)
        _until_found(server, app, plan.tracks)
        making.rows.append(_figure("server started, index made from nothing", "s", time.perf_counter() - began))
        making.rows.append(_figure("index on the disk", "MB", _size(server.data / "search") / 1e6))
        asked = _asked(server, app, int(PER_SECOND * plan.seconds))
        say(f"{len(asked)} queries at {PER_SECOND:g} a second")
        steadily(server.port, app, _asked(server, app, 100), PER_SECOND)  # what a server has done before, as in use
        took = steadily(server.port, app, asked, PER_SECOND)
        memory = _memory(server)
        making.rows += [_figure(f"memory of the {name} after it", "MB", size / 1e6) for name, size in memory.items()]
        yield making
        yield _latencies("Searches over HTTP, signed, 50 a second", took, targets=True)
        say("known tracks")
        yield _recall(server, app, plan)
        say("PostgreSQL's full-text search")
        with database_of(server) as connection:
            prepared = postgres.prepare(connection)
            beside = _latencies(
                "PostgreSQL's full-text search (GIN), same tracks, words and queries, one at a time, without HTTP",
                postgres.ask(connection, asked[:COMPARED]),
                targets=False,
            )
        beside.rows.append(_figure("its table and indexes made", "s", prepared, ours=False))
        yield beside


def _app(server: Openstage) -> App:
    made = server.command("app", "create", "--name", "Search")
    return App(made["client_id"], made["client_secret"])


def _asked(server: Openstage, app: App, count: int) -> list[Asked]:
    with server.connection() as connection:
        found = app.call(connection, "categories")
    ids = [[each["id"] for each in found[name]] for name in ("genres", "moods", "instruments")]
    return list(itertools.islice(queries(*ids), count))


def _until_found(server: Openstage, app: App, tracks: int) -> float:
    """Wait until all tracks are found; returns how long that took."""
    began = time.perf_counter()
    with server.connection() as connection:
        while time.perf_counter() - began < INDEXING_SECONDS:
            try:
                if app.call(connection, "search", per_page=1)["total"] == tracks:
                    return time.perf_counter() - began
            except LoadError:
                pass  # it isn't made yet
            time.sleep(0.2)
    raise LoadError(f"{tracks} tracks were not found within {INDEXING_SECONDS:g} s.")


def _latencies(title: str, took: Sequence[tuple[str, float]], *, targets: bool) -> Section:
    section = Section(title)
    kinds = {"all": [seconds for _, seconds in took]}
    for kind, seconds in took:
        kinds.setdefault(kind, []).append(seconds)
    for kind, each in kinds.items():
        for name, share, bound in (("p50", 0.5, 5.0), ("p99", 0.99, 25.0)):
            value = sorted(each)[min(int(share * len(each)), len(each) - 1)] * 1000
            target = Target(bound, sign="≤") if targets and kind == "all" else None
            section.rows.append(Row(f"{kind}: {name}", Series("ms", (value,)), target=target, ours=targets))
    section.notes.append(f"{len(took)} queries.")
    return section


def _recall(server: Openstage, app: App, plan: Plan) -> Section:
    section = Section("Known tracks among the first ten")
    known = judged(Generator().rows(min(JUDGED_FROM, plan.tracks)), JUDGED_EACH)
    hits: dict[str, list[bool]] = {}
    with database_of(server) as database, server.connection() as connection:
        for each in known:
            row = database.execute("select id from track where external_id = %s", (each.external_id,)).fetchone()
            found = app.call(connection, "search", keyword=each.query, per_page=10)["list"]
            hits.setdefault(each.variant, []).append(row is not None and row[0] in [track["id"] for track in found])
    for variant, found in hits.items():
        target = Target(WANTED[variant]) if variant in WANTED else None
        section.rows.append(Row(variant, Series("recall", (sum(found) / len(found),)), target=target))
    section.notes.append(f"{len(known)} queries, {JUDGED_EACH} of each kind.")
    return section


def _memory(server: Openstage) -> dict[str, int]:
    sizes = {"server": 0, "indexer": 0}
    for pid in server.pids():
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if b"postgres" not in command.split(b"\0")[0]:
            name = "indexer" if b"search.indexer" in command else "server"
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                sizes[name] += int(line.split()[1]) * 1024 if line.startswith("Pss:") else 0
    return sizes


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _figure(what: str, unit: str, value: float, *, ours: bool = True) -> Row:
    return Row(what, Series(unit, (value,)), ours=ours)
