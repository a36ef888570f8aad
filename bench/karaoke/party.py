"""A running server as an app of the karaoke dialect sees it: tokens, a person, tickets."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bench.http import Connection, LoadError
from bench.ours import Openstage

SINGER: Final = "A singer"
JSON: Final = {"Content-Type": "application/json"}


@dataclass
class Party:
    """An app, and a person who signed in to it."""

    server: Openstage
    appid: str
    secret: str
    user_headers: Mapping[str, str]
    """Headers of calls for the person."""

    def post(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Make one call that should succeed; gives the whole reply."""
        with self.server.connection() as connection:
            return post(connection, path, body, headers)

    def ticket(self, connection: Connection) -> dict[str, Any]:
        """Begin a sign-in."""
        body = {"appid": self.appid, "secret": self.secret, "scope": "works.read works.write"}
        return post(connection, "/oauth/v2/light_qr", body)


def post(
    connection: Connection, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Make one call of the dialect.

    Raises:
        LoadError: it was refused.

    """
    reply = connection.post(path, json.dumps(body).encode(), JSON | dict(headers or {}))
    return accepted(path, reply.body)


def accepted(path: str, body: bytes) -> dict[str, Any]:
    """Read a reply.

    Raises:
        LoadError: it is a refusal.

    """
    reply: dict[str, Any] = json.loads(body)
    if int(reply.get("error_code", reply.get("code", -1))) != 0:
        raise LoadError(f"{path} answers {reply}")
    return reply


def begin(server: Openstage) -> Party:
    """Make an app and a person, and sign the person in as a device does."""
    app = server.command("app", "create", "--name", "A karaoke benchmark")
    _command(server, "user", "create", "--name", SINGER, "--password-stdin", given="correct horse battery")
    party = Party(server, app["client_id"], app["client_secret"], {})
    with server.connection() as connection:
        ticket = party.ticket(connection)
    server.command("ticket", "confirm", ticket["qr_ticket"], "--user", SINGER)
    state = party.post("/oauth/v2/light_qr_stat", {"appid": party.appid, "qr_ticket": ticket["qr_ticket"]})
    credentials = {"appid": party.appid, "secret": party.secret}
    body = credentials | {"code": state["code"], "grant_type": "authorization_code"}
    token = party.post("/oauth/v2/access_token", body)
    party.user_headers = {
        "X-Open-Access-Token": token["access_token"],
        "X-Open-App-ID": party.appid,
        "X-Open-ID": token["openid"],
    }
    return party


def _command(server: Openstage, *arguments: str, given: str) -> None:
    command = [sys.executable, "-m", "openstage.cli", *arguments, "--json"]
    subprocess.run(command, env=server.environment, input=given, capture_output=True, text=True, check=True)
