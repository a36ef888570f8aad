"""Two workers against one, each with one slot and encoders of one thread; and what all of a work costs a server."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.figures import Row, Section, Series, Target
from bench.ours import running_openstage
from bench.processes import end, wait_for
from bench.publish.plan import Plan
from bench.publish.sources import SOURCES, excerpt
from bench.publish.works import Bench, cpu_seconds, database_of

LETTER: Final = "a"
TARGET: Final = Target(0.60, "one worker", sign="≤")


@dataclass(frozen=True)
class Share:
    """What a work took, from the reply to finish until all of it was there."""

    seconds: float
    ladder_seconds: float
    """Of it from the plan on."""
    cpu_seconds: float


@dataclass
class Sharing:
    """The measurement."""

    plan: Plan
    scratch: Path
    say: Callable[[str], None]

    def run(self) -> Section:
        """Measure one worker, then two."""
        seconds = self.plan.shared_seconds
        file = excerpt(LETTER, seconds, self.plan.seconds, self.say)
        self.say("one worker")
        one = self._share(file, 1)
        self.say("two workers")
        two = self._share(file, 2)
        section = Section(f"Workers with encoders of one thread, {seconds} s of ({LETTER}) {SOURCES[LETTER].what}")
        for what, both, alone in (
            ("from the reply to finish until the work is whole", two.seconds, one.seconds),
            ("of it from the plan on", two.ladder_seconds, one.ladder_seconds),
        ):
            pair, single = Series("s", (both,)), Series("s", (alone,))
            ratio = {TARGET.against: pair.ratio_to(single)}
            section.rows.append(Row(f"two workers, {what}", pair, ratio, TARGET if both is two.seconds else None))
            section.rows.append(Row(f"one worker, {what}", single, ours=False))
        for count, share in (("one worker", one), ("two workers", two)):
            section.rows.append(
                Row(f"processor time of {count}, everything", Series("s", (share.cpu_seconds,)), ours=False)
            )
        return section

    def _share(self, file: Path, count: int) -> Share:
        scratch = self.scratch / str(count)
        scratch.mkdir(parents=True)
        settings = {"worker": "false", "encoder_threads": "1", "chunk_seconds": f"{self.plan.chunk_seconds:g}"}
        with running_openstage(scratch, **settings) as server, database_of(server) as database:
            bench = Bench(server, database)
            with contextlib.ExitStack() as stack:
                workers = [stack.enter_context(_worker(bench, scratch, number)) for number in range(count)]
                time.sleep(3)  # they start; what that costs isn't the work's
                before = sum(cpu_seconds(worker.pid) for worker in workers)
                file_id = bench.send(file)
                replied = bench.finish(file_id)
                wait_for(lambda: self._planned(bench, file_id), "the plan", within=600)
                planned = time.monotonic()
                whole = bench.whole(file_id)
                used = sum(cpu_seconds(worker.pid) for worker in workers) - before
            return Share(whole - replied, whole - planned, used)

    @staticmethod
    def _planned(bench: Bench, file_id: str) -> bool:
        query = (
            "select count(*) from production_task"
            " where kind = 'chunk' and work_id = (select id from work where file_id = %s)"
        )
        return bool(bench.one(query, file_id)[0])


@contextlib.contextmanager
def _worker(bench: Bench, scratch: Path, number: int) -> "Iterator[subprocess.Popen[bytes]]":
    environment = {**bench.server.environment, "OPENSTAGE_WORKER_CONCURRENCY": "1"}
    with (scratch / f"worker-{number}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "openstage.cli", "worker"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end(process)
