"""What of an event is sent: its body, and in it the addresses of this server as they are when it is sent."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from openstage.settings import Settings

_ROLES: Final[Mapping[str, Literal["public", "media"]]] = {"public": "public", "media": "media"}


def compose(kind: str, at: dt.datetime, sequence: int, data: Mapping[str, Any], settings: Settings) -> str:
    """Return the body of an event, the same for each attempt: `type`, `timestamp` and `data` (Standard Webhooks).

    Args:
        kind: what has happened.
        at: when.
        sequence: of the work's events; 0: it concerns none.
        data: the rest, as it was emitted (`Events.emit`).
        settings: tell the addresses of this server.

    """
    said = told(data, settings)
    if sequence:
        said = {"sequence": sequence} | said
    stamp = at.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return msgspec.json.encode({"type": kind, "timestamp": stamp, "data": said}).decode()


def told(data: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Return what was emitted with addresses in place of roles and paths."""
    return {key: _address(value, settings) if key.endswith("_url") else value for key, value in data.items()}


def _address(value: Any, settings: Settings) -> Any:
    role, _, path = value.partition(":") if isinstance(value, str) else ("", "", "")
    return settings.base(_ROLES[role]) + path if role in _ROLES and path.startswith("/") else value
