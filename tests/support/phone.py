"""A person with a phone: signs in, opens the address of a QR code, confirms or refuses. As HTTP, without scripts."""

import subprocess
import sys
from types import TracebackType

import httpx

from tests.oauth.person import Form
from tests.support.openstage_server import OpenstageServer

PASSWORD = "correct horse battery"


class Phone:
    """A browser in which somebody is signed in; makes their account."""

    def __init__(self, server: OpenstageServer, name: str) -> None:
        self.name = name
        self.http = httpx.Client(base_url=server.address, timeout=30, headers={"Origin": server.address})
        command = [
            sys.executable,
            "-m",
            "openstage.cli",
            "user",
            "create",
            "--name",
            name,
            "--password-stdin",
            "--json",
        ]
        subprocess.run(command, env=server.environment, input=PASSWORD, text=True, check=True, capture_output=True)
        self._send(self.http.get("/sign-in"), "/sign-in", name=name, password=PASSWORD)

    def __enter__(self) -> "Phone":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()

    def open(self, address: str) -> httpx.Response:
        """Open the page behind a QR code."""
        return self.http.get(address)

    def decide(self, address: str, *, allow: bool = True) -> None:
        """Open the page behind a QR code, and press a button."""
        done = self._send(self.open(address), "/qr/", decision="allow" if allow else "refuse")
        assert done.status_code == 200, done.text[-2000:]

    def _send(self, page: httpx.Response, action: str, **fields: str) -> httpx.Response:
        target, given = Form(page.text).to(action)
        return self.http.post(target, data=given | fields)
