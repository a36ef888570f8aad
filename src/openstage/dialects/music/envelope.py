"""The reply of every call of this dialect: `{"result": true, "data": …}` or a failure, HTTP 200 for both."""

from typing import Any

import msgspec
from starlette.responses import Response

from openstage.dialects.replies import JsonReply

_encode = msgspec.json.Encoder().encode


def reply(data: Any) -> Response:
    """Make the reply of a call that did what was asked."""
    return JsonReply(_encode({"result": True, "data": data}))


def failure(code: int, message: str) -> Response:
    """Make the reply of a call that failed: the dialect's code, and one sentence for a person."""
    return JsonReply(_encode({"result": False, "message": message, "code": code}))
