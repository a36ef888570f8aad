"""The reply of every call of this dialect: JSON with a `code`, HTTP 200 unless the contract says otherwise."""

from typing import Any, Final

import msgspec
from starlette.responses import Response

from openstage.dialects.replies import JsonReply

SUCCESS: Final = "A00000"
FAILURE: Final = "Q00001"
"""The document's word for a failure that has no code of its own."""

_encode = msgspec.json.Encoder().encode


def reply(
    code: str = SUCCESS, *, data: Any = msgspec.UNSET, msg: str | None = None, status: int = 200, **flat: Any
) -> Response:
    """Make a reply.

    Args:
        code: the dialect's code.
        data: what goes under `data`; left out when not given.
        msg: what goes under `msg`; left out when None.
        status: HTTP status (200 for errors too; 202 and 503 are the contract's exceptions).
        flat: further fields beside `code`, such as `range_md5`.

    """
    body: dict[str, Any] = {"code": code}
    if data is not msgspec.UNSET:
        body["data"] = data
    body.update(flat)
    if msg is not None:
        body["msg"] = msg
    return JsonReply(_encode(body), status)
