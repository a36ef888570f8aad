"""`openstage serve` as a process, as an operator starts it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import openstage
from tests.support.processes import alive, descendants, ended_after
from tests.support.waiting import wait_for

REPOSITORY = Path(openstage.__file__).parents[2]
COMMAND = (sys.executable, "-m", "openstage.cli")


def environment(data: Path, **variables: str) -> dict[str, str]:
    """What an operator would set: a data folder, any free port, and `OPENSTAGE_<NAME>` for each of `variables`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENSTAGE_")}
    given = {"data": str(data), "listen": "127.0.0.1:0", **variables}
    return kept | {"PYTHONPATH": str(REPOSITORY)} | {f"OPENSTAGE_{name.upper()}": each for name, each in given.items()}


class Serving:
    """A running `openstage serve`."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self.process = process
        self.log = log
        self.announced: dict[str, Any] = {}

    @property
    def url(self) -> str:
        return cast(str, self.announced["url"])

    @property
    def pid(self) -> int:
        return self.process.pid

    def tree(self) -> list[int]:
        """All its processes, itself the first."""
        return [self.pid, *descendants(self.pid)]

    def end(self, number: int = signal.SIGTERM, *, within: float = 20.0) -> int:
        """Send a signal and wait until the whole tree has ended; gives the exit status."""
        tree = self.tree()
        with ended_after(tree):
            self.process.send_signal(number)
            status = self.process.wait(within)
            wait_for(lambda: not any(map(alive, tree)), within=within, what="the end of all processes")
        return status


@contextlib.contextmanager
def serve(data: Path, *options: str, env: Mapping[str, str] | None = None, **variables: str) -> Iterator[Serving]:
    """Run `openstage serve --json` until the end of the block.

    Args:
        data: the data folder.
        options: further options.
        env: the whole environment, instead of `environment(data, **variables)`.
        variables: settings, such as `worker="false"`.

    """
    log = data.parent / f"{data.name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*COMMAND, "serve", "--json", *options],
            env=dict(env or environment(data, **variables)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
            cwd=data.parent,
        )
    serving = Serving(process, log)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"The server did not start: {log.read_text()[-4000:]}"
        serving.announced = json.loads(line)
        yield serving
    finally:
        if process.poll() is None:
            serving.end()
        if process.stdout is not None:
            process.stdout.close()


def run(data: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run another `openstage` command to its end, on the same data folder."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(data, **variables),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
