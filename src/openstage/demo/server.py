"""A server to demonstrate on: the one that runs at the listen address, or a temporary one of our own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from openstage.client import BadClientError, VideoCloud
from openstage.database import launch
from openstage.settings import Settings

STOP_SECONDS = 30.0
KEPT_VARIABLES = ("OPENSTAGE_FFMPEG",)
"""What a temporary server takes over from this environment: nothing that points at real data."""


class NoServerError(Exception):
    """There is no server to demonstrate on; the message says what to do."""


@dataclass(frozen=True, slots=True)
class DemoServer:
    """A server and an app on it."""

    url: str
    client_id: str
    client_secret: str = field(repr=False)
    own: bool
    """Whether it was started for the demonstration and ends with it."""
    environment: Mapping[str, str] | None = field(default=None, repr=False)
    """For commands beside it; None: this program's."""

    def command(self, *arguments: str, given: str = "", shown: bool = False) -> dict[str, Any]:
        """Run `openstage … --json` beside the server.

        Args:
            arguments: the command.
            given: its standard input.
            shown: let it show its progress on the terminal, if there is one.

        Raises:
            NoServerError: it fails; the message is its own.

        """
        return _command(*arguments, given=given, shown=shown, environment=self.environment)

    def cloud(self) -> VideoCloud:
        """Make a client."""
        return VideoCloud(self.client_id, self.client_secret, self.url)


def answers(url: str) -> bool:
    """Whether an Openstage answers at an address."""
    try:
        reply = httpx.get(f"{url}/healthz", timeout=3.0)
    except httpx.HTTPError:
        return False
    return reply.status_code == 200 and "status" in reply.text


def listen_url(settings: Settings) -> str:
    """Tell at which address a server with these settings is reached from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)  # noqa: S104 - compared only
    return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{settings.port}"


def running_server(url: str, settings: Settings, client_id: str, client_secret: str) -> DemoServer:
    """Give a running server with credentials: the given ones, the first app's, or those of a new app.

    Raises:
        NoServerError: there are no credentials that work.

    """
    if client_id and client_secret:
        return DemoServer(url, client_id, client_secret, own=False)
    if not settings.folder.is_dir():
        raise NoServerError(f"a server runs at {url}, but its data are not in {settings.folder}: {_GIVE}")
    for find in (_first_app, _new_app):
        credentials = find(settings.folder)
        if credentials is None:
            continue
        server = DemoServer(url, credentials["client_id"], credentials["client_secret"], own=False)
        with contextlib.suppress(BadClientError), server.cloud() as cloud:
            cloud.authorise()
            return server
    raise NoServerError(f"the server at {url} knows no app of {settings.folder}: {_GIVE}")


_GIVE = "set OPENSTAGE_DATA to the server's data folder, or give --client-id and --client-secret"


def _first_app(folder: Path) -> dict[str, str] | None:
    with contextlib.suppress(OSError, ValueError):
        credentials = json.loads((folder / "first-app.json").read_text())
        if isinstance(credentials, dict) and {"client_id", "client_secret"} <= credentials.keys():
            return credentials
    return None


def _new_app(_: Path) -> dict[str, str] | None:
    return _command("app", "create", "--name", "Demonstration")


def _command(
    *arguments: str, given: str = "", shown: bool = False, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    command = [sys.executable, "-m", "openstage.cli", *arguments, "--json"]
    told = None if shown and sys.stderr.isatty() else subprocess.PIPE
    done = subprocess.run(
        command, env=environment, input=given, stdout=subprocess.PIPE, stderr=told, text=True, check=False
    )
    if done.returncode:
        raise NoServerError(f"openstage {' '.join(arguments[:2])}: {(done.stderr or 'it failed').strip()}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@contextlib.contextmanager
def temporary_server(listen: str, **settings: str) -> Iterator[DemoServer]:
    """Run a server with an empty data folder of its own for the length of the block.

    Args:
        listen: address and port.
        settings: further settings, such as `sign_up="true"`.

    Raises:
        NoServerError: it does not start; the message holds what it said.

    """
    with tempfile.TemporaryDirectory(prefix="openstage-demo-") as folder:
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("OPENSTAGE_") or name in KEPT_VARIABLES
        } | {
            "OPENSTAGE_DATA": f"{folder}/data",
            "OPENSTAGE_LISTEN": listen,
            "OPENSTAGE_CONFIG": f"{folder}/none.toml",
            "OPENSTAGE_LOG_LEVEL": "warning",
        }
        environment |= {f"OPENSTAGE_{name.upper()}": value for name, value in settings.items()}
        # It dies with this process, however that ends; Ctrl-C in the terminal reaches this process alone.
        launcher = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), str(int(signal.SIGTERM))]
        serve = [sys.executable, "-m", "openstage.cli", "serve", "--first-app", "--json"]
        log = Path(folder, "server.log")
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [*launcher, "-1", "-1", "0", *serve],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        try:
            yield _started(process, log, environment)
        finally:
            _end(process)


def _started(process: "subprocess.Popen[bytes]", log: Path, environment: dict[str, str]) -> DemoServer:
    assert process.stdout is not None
    line = process.stdout.readline()  # it prints one line when it is ready, and none if it ends before
    try:
        ready = json.loads(line)
        # Commands find the server where it listens now, whichever port that is.
        beside = environment | {"OPENSTAGE_LISTEN": ready["url"].partition("://")[2]}
        return DemoServer(ready["url"], ready["client_id"], ready["client_secret"], own=True, environment=beside)
    except (ValueError, KeyError) as error:
        said = (line + log.read_bytes()).decode(errors="replace").strip()[-2000:]
        raise NoServerError(f"the demonstration's own server does not start:\n{said}") from error


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
