"""`kill -9` of the worker in the middle of a ladder: what is done again."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.figures import Row, Section, Series, Target
from bench.processes import process_tree, wait_for
from bench.publish.plan import Plan
from bench.publish.sources import SOURCES, source_file
from bench.publish.works import Bench

LETTER: Final = "a"
_TASKS: Final = (
    "select kind, number, state, tries, percent, spec from production_task"
    " where work_id = (select id from work where file_id = %s) order by kind, number"
)


@dataclass
class Killing:
    """The measurement."""

    plan: Plan
    bench: Bench
    say: Callable[[str], None]

    def run(self) -> Section:
        """Kill the worker while chunks are under way, and wait until these are done by the next one."""
        file = source_file(LETTER, self.plan.seconds, self.say)
        section = Section(f"`kill -9` of the worker in the middle of the ladder of ({LETTER}) {SOURCES[LETTER].what}")
        self.say("a worker that is killed")
        file_id = self.bench.send(file)
        self.bench.finish(file_id)
        try:
            wait_for(lambda: self._in_the_middle(file_id), "the middle of the ladder", within=3600)
            worker = worker_of(self.bench)
            os.kill(worker, signal.SIGKILL)
            before = self._tasks(file_id)
            caught = [name for name, task in before.items() if task["state"] == "doing"]
            done = [name for name, task in before.items() if task["state"] == "done"]
            chunks = [name for name in caught if name[0] == "chunk"]
            wait_for(lambda: self._all_done(file_id, caught), "the tasks that were caught", within=1800)
            after = self._tasks(file_id)
        finally:
            self.bench.delete(file_id)
        again = [name for name in done if after[name]["tries"] > before[name]["tries"]]
        slots = os.cpu_count() or 1
        section.rows += [
            Row("chunks under way when it was killed", Series("", (len(chunks),))),
            Row(
                "chunks done again, per slot of the worker",
                Series("", (len(chunks) / slots,)),
                target=Target(1, sign="≤"),
            ),
            Row("tasks that were done, and done again", Series("", (len(again),)), target=Target(0, sign="≤")),
        ]
        section.notes.append(f"{len(done)} tasks were done when it was killed; caught: {caught}.")
        return section

    def _tasks(self, file_id: str) -> dict[tuple[str, int], dict[str, Any]]:
        rows = self.bench.database.execute(_TASKS, (file_id,)).fetchall()
        names = ("state", "tries", "percent", "spec")
        return {(kind, number): dict(zip(names, rest, strict=True)) for kind, number, *rest in rows}

    def _in_the_middle(self, file_id: str) -> bool:
        """Whether a quarter of the chunks is done, and another one is under way for a while; or most are done."""
        chunks = [task for (kind, _), task in self._tasks(file_id).items() if kind == "chunk"]
        done = sum(task["state"] == "done" for task in chunks)
        half = any(task["state"] == "doing" and task["percent"] > 30 for task in chunks)
        doing = any(task["state"] == "doing" for task in chunks)
        return done >= max(1, len(chunks) // 4) and (half or (doing and done >= len(chunks) // 2))

    def _all_done(self, file_id: str, names: list[tuple[str, int]]) -> bool:
        tasks = self._tasks(file_id)
        return all(tasks[name]["state"] == "done" for name in names)


def worker_of(bench: Bench) -> int:
    """Return the process id of the server's worker.

    Raises:
        RuntimeError: there is none.

    """
    for pid in process_tree(bench.server.process.pid):
        command = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
        if command[-2:-1] == ["worker"]:
            return pid
    raise RuntimeError("There is no worker.")
