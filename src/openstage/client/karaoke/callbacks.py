"""Callbacks as they arrive: whether they are what they say (Standard Webhooks), and what they tell.

Nothing here does any I/O, so it goes into any web framework::

    event = verify_callback(callback_secret(secret_of_the_app), request.headers, request.body)
    if event.id not in seen:
        …
"""

import base64
import binascii
import datetime as dt
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from openstage.client.karaoke.errors import CallbackError, SignatureError, StaleError

TOLERANCE: Final = 300.0
"""Seconds by which a callback's time may differ from ours (Standard Webhooks: five minutes)."""
PREFIX: Final = "whsec_"


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to a work."""

    id: str
    """One per event, however often it is delivered: remember it, and ignore one that you know."""
    type: str
    """`ugc.published`, `ugc.reviewing`, `ugc.refused`, `ugc.failed`, `ugc.access_changed`, `ugc.deleted`,
    `ugc.restored`; ignore those that you don't know."""
    time: dt.datetime | None
    """When it happened, in UTC."""
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ugc_id(self) -> str:
        """The work."""
        return str(self.data.get("ugc_id") or "")

    @property
    def sequence(self) -> int:
        """Number of the event among those of its work, from 1: a lower one than you have seen is old news."""
        number = self.data.get("sequence")
        return number if isinstance(number, int) else 0


def callback_secret(app_secret: str) -> str:
    """Return the callback secret of an Openstage app: `whsec_…`, derived from the app's secret.

    For receivers that shall not know the app's secret itself; `openstage callback secret` shows it too.
    """
    derived = hmac.digest(app_secret.encode(), b"openstage-callbacks", hashlib.sha256)
    return PREFIX + base64.b64encode(derived).decode()


def verify_callback(
    secret: str | bytes,
    headers: Mapping[str, str],
    body: bytes | str,
    *,
    tolerance: float = TOLERANCE,
    now: float | None = None,
) -> Event:
    """Check a callback's signature and time, and read it.

    Args:
        secret: the app's callback secret, `whsec_…`.
        headers: those of the request; their names' case doesn't matter.
        body: the request's body as it came, not parsed and written anew.
        tolerance: seconds that its time may be off.
        now: seconds since the epoch; by default the clock's.

    Raises:
        SignatureError: it is not signed with this secret, or its headers are missing.
        StaleError: it is too old, or from the future.
        CallbackError: it is signed, and yet no event.
        ValueError: `secret` is no secret.

    """
    content = body.encode() if isinstance(body, str) else bytes(body)
    named = {name.lower(): value for name, value in headers.items()}
    try:
        message_id, stamp, signatures = (named[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
        sent_at = int(stamp)
    except (KeyError, ValueError):
        raise SignatureError("the callback lacks webhook-id, webhook-timestamp or webhook-signature") from None
    expected = _signature(secret, message_id, stamp, content)
    # Several signatures stand there while a secret is being replaced.
    if not any(hmac.compare_digest(expected, given) for given in _of_version_1(signatures)):
        raise SignatureError("the callback is not signed with this secret")
    off = (time.time() if now is None else now) - sent_at
    if abs(off) > tolerance:
        raise StaleError(f"the callback's time is {abs(off):.0f} s {'ago' if off > 0 else 'ahead'}")
    return _event(message_id, content)


def _key(secret: str | bytes) -> bytes:
    if isinstance(secret, bytes):
        return secret
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("a callback secret is whsec_ and base64") from None


def _signature(secret: str | bytes, message_id: str, stamp: str, content: bytes) -> bytes:
    signed = f"{message_id}.{stamp}.".encode() + content
    return hmac.new(_key(secret), signed, hashlib.sha256).digest()


def _of_version_1(signatures: str) -> list[bytes]:
    found = []
    for signature in signatures.split():
        version, _, encoded = signature.partition(",")
        try:
            found.append(base64.b64decode(encoded, validate=True) if version == "v1" else b"")
        except ValueError:
            continue
    return found


def _event(message_id: str, content: bytes) -> Event:
    try:
        body = json.loads(content)
        kind, data = body["type"], body["data"]
    except (ValueError, KeyError, TypeError):
        raise CallbackError("the callback is signed, but is no event") from None
    if not isinstance(kind, str) or not isinstance(data, dict):
        raise CallbackError("the callback is signed, but is no event")
    return Event(message_id, kind, _time(body.get("timestamp")), data)


def _time(value: object) -> dt.datetime | None:
    try:
        if isinstance(value, str):
            return dt.datetime.fromisoformat(value).astimezone(dt.UTC)
        return dt.datetime.fromtimestamp(value, dt.UTC) if isinstance(value, int | float) else None
    except (ValueError, OSError, OverflowError):
        return None
