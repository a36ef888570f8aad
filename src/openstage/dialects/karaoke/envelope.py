"""The reply of every call of this dialect: HTTP 200 and JSON with `code`, `msg` and `data`.

The token calls answer flat, as documented; their shape is in `tokens`.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from starlette.responses import Response

from openstage.dialects.replies import JsonReply

SUCCESS: Final = 0
SUCCEEDED: Final = "请求成功"
"""`msg` of a success, as in the document's sample."""

_encode = msgspec.json.Encoder().encode


def reply(
    data: Mapping[str, Any] | msgspec.Struct | None = None,
    *,
    code: int = SUCCESS,
    msg: str = SUCCEEDED,
    status: int = 200,
) -> Response:
    """Make a reply.

    Args:
        data: what goes under `data`; an empty object when there is nothing, so that clients with a fixed shape read it.
        code: the dialect's code (`errors`); 0 for success.
        msg: one sentence for a person.
        status: HTTP status: 200 for errors too, but for addresses that players and browsers open.

    """
    return json_response({"code": code, "msg": msg, "data": {} if data is None else data}, status=status)


def json_response(body: Mapping[str, Any] | msgspec.Struct, *, status: int = 200) -> Response:
    """Answer with a JSON object, for the calls that answer flat."""
    return JsonReply(_encode(body), status)
