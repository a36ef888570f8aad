"""A real worker process, and what is left of it when it has gone."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from openstage.publishing.crashpoints import VARIABLE
from openstage.settings import Settings
from tests.support.waiting import wait_for


@dataclass
class WorkerProcess:
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_for_death(self, within: float = 30) -> int:
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"The worker lives on: {self.text()}") from error

    def text(self) -> str:
        return self.log.read_text(errors="replace")[-6000:]

    def tools(self) -> list[psutil.Process]:
        """The processes that the worker has started."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return list(psutil.Process(self.pid).children(recursive=True))
        return []


@contextlib.contextmanager
def worker_process(
    settings: Settings, *, crash_at: str = "", env: Mapping[str, str] | None = None
) -> Iterator[WorkerProcess]:
    """Run `openstage worker` on the settings' database and folder until the block ends."""
    number = len(list(settings.folder.glob("worker-*.log")))
    log = settings.folder / f"worker-{number}.log"
    variables = {
        **os.environ,
        "OPENSTAGE_DATA": str(settings.folder),
        "OPENSTAGE_DATABASE_URL": settings.database_url,
        "OPENSTAGE_REVIEW": settings.review,
        "OPENSTAGE_LOG_LEVEL": "info",
        **(env or {}),
    }
    if crash_at:
        variables[VARIABLE] = crash_at
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "openstage.cli", "worker"], env=variables, stdout=output, stderr=subprocess.STDOUT
        )
    worker = WorkerProcess(process, log)
    try:
        yield worker
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            worker.wait_for_death(15)


def tools_of(settings: Settings) -> list[psutil.Process]:
    """Media tools that work on files of the data folder, whoever started them."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and str(settings.folder) in " ".join(process.cmdline()):
                found.append(process)
    return found


def wait_until_no_tools(settings: Settings) -> None:
    wait_for(lambda: not tools_of(settings), within=5, what="the end of all media tools")
