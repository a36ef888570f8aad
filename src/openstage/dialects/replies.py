"""The reply that all dialects give: a few bytes of JSON."""

from starlette.responses import Response

_CONTENT_TYPE = (b"content-type", b"application/json")


class JsonReply(Response):
    """JSON that has been encoded already; calls answer with it by the thousand, so its headers are made by hand."""

    def __init__(self, body: bytes, status: int = 200) -> None:
        self.status_code = status
        self.background = None
        self.body = body
        self.raw_headers = [(b"content-length", b"%d" % len(body)), _CONTENT_TYPE]
