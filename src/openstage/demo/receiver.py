"""The app's own server, in small: offers a file to be fetched, and receives callbacks, whose signatures it checks."""

import contextlib
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import quote

from openstage.client.karaoke import CallbackError, Event, verify_callback

LARGEST: Final = 1 << 20
"""Bytes of a callback."""
HOOK: Final = "/callbacks"


class NoCallbackError(Exception):
    """No callback came, or one that is not signed with the app's secret; the message says which."""


class Receiver:
    """What came, and what is offered."""

    def __init__(self, address: str, secret: str) -> None:
        self.address = address
        self.secret = secret
        self.files: dict[str, Path] = {}
        self.refused = ""
        """Why the last callback was not believed."""
        self._events: queue.Queue[Event] = queue.Queue()
        self._seen: set[str] = set()

    @property
    def callback_url(self) -> str:
        """Where callbacks go."""
        return self.address + HOOK

    def offer(self, path: Path) -> str:
        """Let a file be fetched; gives its address."""
        place = f"/{quote(path.name)}"
        self.files[place] = path
        return self.address + place

    def take(self, headers: dict[str, str], body: bytes) -> bool:
        """Take a callback; gives whether it is signed."""
        try:
            event = verify_callback(self.secret, headers, body)
        except CallbackError as error:
            self.refused = str(error)
            return False
        if event.id not in self._seen:
            self._seen.add(event.id)
            self._events.put(event)
        return True

    def wait(self, ugc_id: str, kinds: set[str], within: float, *, tick: Callable[[], None] = lambda: None) -> Event:
        """Wait for an event of a work.

        Args:
            ugc_id: the work.
            kinds: any of these; others of the work are skipped.
            within: seconds.
            tick: called again and again meanwhile.

        Raises:
            NoCallbackError: none came in time.

        """
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                event = self._events.get(timeout=0.2)
                if event.ugc_id == ugc_id and event.type in kinds:
                    return event
            tick()
        why = f"; one that came was not believed: {self.refused}" if self.refused else ""
        raise NoCallbackError(f"no callback of {' or '.join(sorted(kinds))} came within {within:.0f} s{why}")


@contextlib.contextmanager
def receiving(secret: str) -> Iterator[Receiver]:
    """Run a receiver on a free port of 127.0.0.1 for the length of the block.

    Args:
        secret: the app's callback secret.

    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = receiver.files.get(self.path)
            if path is None:
                self.send_error(404)
                return
            with path.open("rb") as file:
                self.send_response(200)
                self.send_header("Content-Type", "application/octet-stream")
                self.send_header("Content-Length", str(path.stat().st_size))
                self.end_headers()
                shutil.copyfileobj(file, self.wfile)

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            known = self.path == HOOK and length <= LARGEST
            taken = known and receiver.take(dict(self.headers.items()), self.rfile.read(length))
            self.send_response(204 if taken else 400)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(f"http://127.0.0.1:{server.server_address[1]}", secret)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
