"""`python -m bench karaoke [calls] [poll] [wait] [upload]`: all parts, or those that are named."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from bench import machine, report
from bench.figures import Section
from bench.http import LoadError
from bench.karaoke.calls import Calling
from bench.karaoke.party import begin
from bench.karaoke.plan import PARTS, Plan, allow_files
from bench.karaoke.uploads import Uploading, make_recording
from bench.karaoke.waiting import Waiting
from bench.ours import running_openstage
from bench.peers.bare import running_bare
from bench.processes import NotHere, wait_for
from bench.publish.works import tools_of


def main(words: list[str]) -> int:
    """Run the parts; the exit code says whether they ran, not how fast."""
    console = Console(width=max(Console().width, 140) if not sys.stdout.isatty() else None)
    try:
        plan = Plan.read(words)
    except ValueError as error:
        console.print(f"python -m bench karaoke: {error}")
        return 2

    def say(text: str) -> None:
        console.print(f"[dim]{text} …", highlight=False)

    description = {**machine.describe(), "scale": plan.scale, "rounds": plan.rounds}
    with tempfile.TemporaryDirectory(prefix="openstage-bench-", ignore_cleanup_errors=True) as folder:
        sections = list(measure(plan, Path(folder), say))
    kind = "karaoke" if plan.parts == PARTS else f"karaoke-{'-'.join(plan.parts)}"
    if results := os.environ.get("BENCH_RESULTS", str(report.RESULTS)):
        report.write(description, sections, Path(results), kind)
    report.show(console, description, sections)
    return 0


def measure(plan: Plan, scratch: Path, say: Callable[[str], None]) -> Iterator[Section]:
    """Measure the parts one after the other, on one server."""
    allow_files(max(plan.waiting, plan.polling))  # what the server inherits; each part looks whether it suffices
    with ExitStack() as stack:
        say("starting a server")
        server = stack.enter_context(running_openstage(scratch))
        party = begin(server)
        recording = make_recording(scratch, plan.recording)
        uploading = Uploading(plan, party, recording, say)
        waiting = Waiting(plan, party, say)
        if "calls" in plan.parts:
            bare_port = stack.enter_context(running_bare(scratch))
            say("one recording, and calls that ask for it")
            ugc_id = uploading.send_one()
            wait_for(lambda: not tools_of(server.pids()), "the end of the media tools", within=120)
            yield attempt("Calls of a user", Calling(plan, party, ugc_id, bare_port, scratch).run)
        if "poll" in plan.parts:
            yield attempt("Devices that poll", waiting.polling)
        if "wait" in plan.parts:
            yield attempt("Devices in long polls", waiting.waiting)
        if "upload" in plan.parts:
            yield attempt("Recordings", uploading.run)


def attempt(title: str, run: Callable[[], Section]) -> Section:
    """Measure a part, or say why it can't be."""
    try:
        return run()
    except (NotHere, LoadError, RuntimeError, TimeoutError, OSError) as error:
        return Section(title, left_out=[f"{type(error).__name__}: {error}"])
    except ExceptionGroup as group:
        return Section(title, left_out=[f"{type(group.exceptions[0]).__name__}: {group.exceptions[0]}"])
