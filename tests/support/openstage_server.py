"""A whole Openstage, as an operator runs it: `openstage serve` with its database and its worker, in a data folder."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.support.waiting import wait_for

START_SECONDS = 60.0
STOP_SECONDS = 30.0


@dataclass
class OpenstageServer:
    """A running server; `address` is its base URL."""

    data: Path
    address: str
    settings: Mapping[str, str] = field(default_factory=dict)
    """Further settings by name, without the prefix: `{"review": "before"}`."""
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def environment(self) -> dict[str, str]:
        """Environment of the server and of commands beside it."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OPENSTAGE_")}
        own = {
            "data": str(self.data),
            "listen": self.address.removeprefix("http://"),
            "address_lifetime": "900",
            **self.settings,
        }
        return inherited | {f"OPENSTAGE_{name.upper()}": value for name, value in own.items()}

    @property
    def log(self) -> Path:
        """File of what the server printed."""
        return self.data.with_name(self.data.name + ".log")

    def command_line(self) -> list[str]:
        """What starts the server."""
        return [sys.executable, "-m", "openstage.cli", "serve"]

    def start(self) -> None:
        """Start it and wait until database, storage and worker are there."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command_line(),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_for(self._ready, within=START_SECONDS, what=f"the server's start (see {self.log})", every=0.1)

    def _ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode}: {self.log.read_text()[-3000:]}")
        try:
            return httpx.get(f"{self.address}/readyz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)

    def command(self, *arguments: str, check: bool = True) -> Any:
        """Run `openstage … --json` beside the server and return what it printed."""
        run = subprocess.run(
            [sys.executable, "-m", "openstage.cli", *arguments, "--json"],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if check and run.returncode:
            raise AssertionError(f"openstage {' '.join(arguments)}: exit code {run.returncode}: {run.stderr}")
        return json.loads(run.stdout) if run.stdout.strip() else None

    def create_app(self, name: str = "A test's app", *options: str) -> dict[str, str]:
        """Make an app; returns `client_id` and `client_secret`."""
        credentials: dict[str, str] = self.command("app", "create", "--name", name, *options)
        return credentials


@contextlib.contextmanager
def running_openstage(data: Path, port: int, **settings: str) -> Iterator[OpenstageServer]:
    """Run a server for the length of the block."""
    server = OpenstageServer(data, f"http://127.0.0.1:{port}", settings)
    server.start()
    try:
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.end()
