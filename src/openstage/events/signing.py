"""Signatures of callbacks: Standard Webhooks 1.0, with secrets that come from the app's own.

An integrator has one secret to keep, the app's. The callback secret is derived from it, so that it can be computed by
whoever holds that secret, shown by `openstage callback secret`, and given to a receiver that needn't know the other.
"""

import base64
import datetime as dt
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from standardwebhooks import Webhook

PURPOSE: Final = b"openstage-callbacks"


def callback_secret(app_secret: str) -> str:
    """Return `whsec_` and the base64 of HMAC-SHA256 over "openstage-callbacks" under the app's secret."""
    derived = hmac.digest(app_secret.encode(), PURPOSE, hashlib.sha256)
    return "whsec_" + base64.b64encode(derived).decode()


def headers(event_id: str, body: str, at: dt.datetime, secrets: Sequence[str]) -> dict[str, str]:
    """Return the header fields of a delivery.

    Args:
        event_id: the event's public id.
        body: exactly what is sent.
        at: when: receivers refuse what is minutes old, so each attempt is signed anew.
        secrets: callback secrets; each makes a signature, so that during a rotation either of them verifies.

    """
    return {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(event_id, at, body) for secret in secrets),
    }
