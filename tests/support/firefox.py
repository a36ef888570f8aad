"""Firefox ESR for tests, spoken to directly in WebDriver BiDi (https://w3c.github.io/webdriver-bidi/).

Debian has no geckodriver, and Firefox needs none for this: it opens the socket by itself.
"""

import base64
import contextlib
import itertools
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websocket import WebSocket, create_connection

from tests.support.waiting import wait_for

PROGRAM = Path("/usr/bin/firefox-esr")
# No calls home, and sound goes nowhere.
PREFERENCES = {
    "app.normandy.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "media.volume_scale": "0.0",
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "toolkit.telemetry.enabled": False,
}


class Firefox:
    """One window; the methods are those of `tests.support.browser.Browser` that the tests of Firefox use."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._logged: list[str] = []
        self._command("session.new", capabilities={})
        self._command("session.subscribe", events=["log.entryAdded"])
        self._context = self._command("browsingContext.getTree")["contexts"][0]["context"]

    def open(self, address: str) -> None:
        """Load a page and wait for its scripts."""
        self._command("browsingContext.navigate", context=self._context, url=address, wait="complete")

    def js(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        value = self._evaluate(f"JSON.stringify({expression})")
        return json.loads(value["value"]) if value["type"] == "string" else None

    def wait_js(self, expression: str, within: float = 20.0) -> Any:
        """Wait until a JavaScript expression is truthy, and give its value."""
        return wait_for(lambda: self.js(expression), within=within, what=expression, every=0.05)

    def click(self, selector: str) -> None:
        """Click in the middle of the element, as a person would."""
        element = self._evaluate(f"document.querySelector({json.dumps(selector)})")
        origin = {"type": "element", "element": {"sharedId": element["sharedId"]}}
        actions = [
            {"type": "pointerMove", "x": 0, "y": 0, "origin": origin},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        self._act({"type": "pointer", "id": "mouse", "actions": actions})

    def press(self, key: str) -> None:
        """Press a key, wherever the focus is."""
        self._act(
            {"type": "key", "id": "keys", "actions": [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]}
        )

    def complaints(self) -> list[str]:
        """Errors and warnings on the console so far."""
        return self._logged

    def screenshot(self, path: Path) -> None:
        """Write what is on the screen as a PNG."""
        shot = self._command("browsingContext.captureScreenshot", context=self._context)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _evaluate(self, expression: str) -> Any:
        target = {"context": self._context}
        answer = self._command("script.evaluate", expression=expression, target=target, awaitPromise=True)
        assert answer["type"] == "success", answer["exceptionDetails"]["text"]
        return answer["result"]

    def _act(self, *sources: dict[str, Any]) -> None:
        self._command("input.performActions", context=self._context, actions=list(sources))

    def _command(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == number:
                assert message["type"] == "success", f"{method}: {message}"
                return message["result"]
            if message.get("method") == "log.entryAdded" and message["params"]["level"] in {"error", "warn"}:
                self._logged.append(str(message["params"]["text"]))


@contextlib.contextmanager
def open_firefox(*, language: str = "en-GB", size: tuple[int, int] = (1280, 800)) -> Iterator[Firefox]:
    """Start Firefox with nothing remembered from before, and end it with the block."""
    preferences = {**PREFERENCES, "intl.accept_languages": language}
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in preferences.items()]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        (Path(profile) / "user.js").write_text("".join(lines))
        log = Path(profile) / "firefox.log"
        command = [str(PROGRAM), "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port=0"]
        command += [f"--width={size[0]}", f"--height={size[1]}"]
        with log.open("wb") as output:
            # As root with another user's home, Firefox refuses to start: its home is the profile.
            environment = {**os.environ, "HOME": profile}
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        try:
            (address,) = wait_for(lambda: re.findall(r"ws://[\d.:]+", log.read_text()), within=60, what="its socket")
            # Firefox refuses what looks like a web page (an Origin header).
            connection = create_connection(f"{address}/session", timeout=60, suppress_origin=True)
            with contextlib.closing(connection) as socket:
                yield Firefox(socket)
        finally:
            process.terminate()
            process.wait(20)
