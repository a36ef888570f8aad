"""What can go wrong with any server; each interface adds a class per code of its own.

```
ClientError
├── ApiError              the server answered with a code; see `video.errors`, `karaoke.errors`, `music.errors`
├── UnreachableError      no answer, or one that says "not now" (HTTP 5xx), however often it was tried
│   └── OutcomeUnknownError    no answer to a call that may have been done and can't be repeated
├── ProtocolError         an answer that is not of this interface
├── FileChangedError      the file was written to while it was being uploaded
└── WaitTimeoutError      also a TimeoutError
```
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class ClientError(Exception):
    """Base of every error of this package; its text names no token and no secret."""


class UnreachableError(ClientError):
    """The server could not be reached or kept answering "not now" (HTTP 408, 429, 5xx); trying later may help.

    Attributes:
        status: the HTTP status of the last answer; None if there was no answer.

    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class OutcomeUnknownError(UnreachableError):
    """The answer to a call got lost that is not safe to repeat, such as an upload: it may have been done or not."""


class ProtocolError(ClientError):
    """The answer is not what the document says: a wrong address, or a proxy in between."""


class FileChangedError(ClientError):
    """The file changed while it was being uploaded; what was sent of it counts for nothing."""


class WaitTimeoutError(ClientError, TimeoutError):
    """What was waited for did not come in time."""


class ApiError(ClientError):
    """The server refused a call with a code.

    Attributes:
        code: code as the server gave it, such as `A00010` (video) or `1001` (karaoke, music: an integer).
        call: the call that was refused, such as `openupload`.
        message: the server's own text; may be empty.
        data: the reply's `data`, for codes that explain themselves there.

    """

    meaning: ClassVar[str] = "the call was refused with a code that the document does not explain"

    def __init__(self, code: str | int, *, call: str, message: str = "", data: Mapping[str, Any] | None = None) -> None:
        self.code = code
        self.call = call
        self.message = message
        self.data = data or {}
        super().__init__(f"{call}: {code}, {self.meaning}" + (f" (the server says: {message})" if message else ""))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the arguments: errors cross process pools."""
        return _rebuild, (type(self), self.code, self.call, self.message, dict(self.data))


def _rebuild(kind: type[ApiError], code: str | int, call: str, message: str, data: dict[str, Any]) -> ApiError:
    return kind(code, call=call, message=message, data=data)
