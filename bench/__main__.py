"""`python -m bench`: everything in one run, in under ten minutes. The exit code says whether it ran, not how fast.

`python -m bench publish [PART …]`, `python -m bench karaoke [PART …]` and `python -m bench search` are runs of their
own, see there.
"""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console

from bench import machine, report
from bench.calls import Calling
from bench.downloads import Downloading, plant, synthesise_clip
from bench.figures import Section
from bench.http import LoadError
from bench.karaoke import run as karaoke
from bench.ours import running_openstage
from bench.peers.bare import running_bare
from bench.peers.nginx import running_nginx
from bench.peers.tus import running_tus
from bench.plan import MIB, Plan
from bench.processes import NotHere
from bench.publish import run as publish
from bench.search import run as search
from bench.uploads import Uploading

T = TypeVar("T")

NEEDED_UPLOADS = 6
"""Disk space needed, in uploads: four in flight, the source, and the file that is downloaded."""


def main() -> int:
    """Run the benchmark."""
    console = Console(width=max(Console().width, 120) if not sys.stdout.isatty() else None)
    plan = Plan.read()
    description = {**machine.describe(), "scale": plan.scale, "rounds": plan.rounds}
    with tempfile.TemporaryDirectory(prefix="openstage-bench-", ignore_cleanup_errors=True) as folder:
        free = shutil.disk_usage(folder).free
        if free < NEEDED_UPLOADS * plan.upload + 1024 * MIB:
            console.print(f"{folder} has too little room; BENCH_SCALE=0.1 needs a tenth, TMPDIR names another disk.")
            return 1
        sections = measure(plan, Path(folder), description, lambda text: console.print(f"[dim]{text} …"))
    report.show(console, description, sections)
    if results := os.environ.get("BENCH_RESULTS", str(report.RESULTS)):
        console.print(f"Written to {report.write(description, sections, Path(results))}")
    return 0


def measure(plan: Plan, scratch: Path, description: dict[str, Any], say: Callable[[str], None]) -> list[Section]:
    """Start everything, measure, end everything."""
    left_out: list[str] = []
    source = make_source(scratch / "source.bin", plan.upload)
    with ExitStack() as stack:

        def start(name: str, peer: AbstractContextManager[T]) -> T | None:
            if name in plan.without:
                left_out.append(f"{name}: as asked.")
                return None
            say(f"starting {name}")
            try:
                return stack.enter_context(peer)
            except NotHere as error:
                left_out.append(f"{name}: {error}")
                return None

        ours = stack.enter_context(running_openstage(scratch))
        nginx = start("nginx", running_nginx(scratch, ours.data / "objects"))
        tus = start("tus", running_tus(scratch))
        bare_port = stack.enter_context(running_bare(scratch))
        description["versions"] |= {"nginx": nginx.version if nginx else "", "@tus/server": tus.version if tus else ""}
        say("publishing a clip")
        clip = ours.publish(synthesise_clip(scratch))
        say("small calls")
        calls = attempt("Small calls", Calling(plan, ours, clip, bare_port).run)
        downloads = Section("Ranged downloads", left_out=["nginx is not here."])
        if nginx:
            say("ranged downloads")
            file = plant(ours, clip, source, plan.download)
            name = str(file.relative_to(ours.data / "objects"))
            downloads = attempt("Ranged downloads", Downloading(plan, ours, clip, nginx, name).run)
            file.unlink()
        uploads, memory = Uploading(plan, source, ours, nginx, tus, say).run()
        uploads.left_out += left_out
    return [uploads, downloads, calls, memory]


def attempt(title: str, run: Callable[[], Section]) -> Section:
    """Measure a section, or say why it can't be."""
    try:
        return run()
    except (NotHere, LoadError, RuntimeError) as error:
        return Section(title, left_out=[str(error)])


def make_source(path: Path, size: int) -> Path:
    """Write a file of random bytes, which then lies in the page cache."""
    with path.open("wb") as file:
        for _ in range(size // MIB):
            file.write(os.urandom(MIB))
    with contextlib.suppress(OSError):
        os.sync()
    return path


if __name__ == "__main__":
    runs = {"publish": publish.main, "karaoke": karaoke.main, "search": search.main}
    sys.exit(runs[sys.argv[1]](sys.argv[2:]) if sys.argv[1:2] and sys.argv[1] in runs else main())
