"""What can go wrong with a video cloud: one class per code of the document, besides those of every client.

```
ApiError              the server answered with a code; a code without a class of its own gives ApiError itself
├── AppPendingError, QuotaExceededError, TokenExpiredError, VideoNotFoundError, …
DigestMismatchError   the server received other bytes than were sent
UploadBusyError       another process is uploading this file
```
"""

from collections.abc import Mapping
from typing import Any, Final

from openstage.client.errors import ApiError, ClientError

VideoCloudError = ClientError
"""The name under which this client knows the base of all errors."""


class DigestMismatchError(ClientError):
    """The MD5 that the server reports for a piece is not that of the bytes that were sent, and stays so."""


class UploadBusyError(ClientError):
    """The same file is being uploaded to the same server by another process or thread."""


class FailedError(ApiError):
    """Q00001."""

    meaning = "the server could not do it"


class InvalidInputError(ApiError):
    """A00010."""

    meaning = (
        "a parameter is missing or wrong (if all seem right: a proxy may drop headers with underscores in their names)"
    )


class QuotaExceededError(ApiError):
    """A00018."""

    meaning = "the app's quota has no room for this file; delete videos or ask the operator for more"


class AppPendingError(ApiError):
    """A00005 of a call that judges the app."""

    meaning = "the app is awaiting review by the operator"


class AppRejectedError(ApiError):
    """A00007 of a call that judges the app."""

    meaning = "the app was rejected in review"


class AppFrozenError(ApiError):
    """A00008."""

    meaning = "the app is frozen; ask the operator why"


class AppDeletedError(ApiError):
    """A00009."""

    meaning = "the app has been deleted"


class UnknownFileError(ApiError):
    """A00005 of a call that moves bytes: never issued, or finished, cancelled or expired since."""

    meaning = "the server takes no bytes for this file_id"


class ServerFailureError(ApiError):
    """A00007 of an authorisation."""

    meaning = "the server failed while it authorised the app; try again later"


class VideoStateError(ApiError):
    """Base of the codes that name a video's state (A00001 to A00007 of calls that ask about a video)."""


class StillPublishingError(VideoStateError):
    """A00001."""

    meaning = "the video is still being published"


class ReviewRefusedError(VideoStateError):
    """A00002."""

    meaning = "the video was refused in review"


class VideoNotFoundError(VideoStateError):
    """A00003."""

    meaning = "there is no such video, or it has been deleted"


class StillUploadingError(VideoStateError):
    """A00004."""

    meaning = "the video is still being uploaded"


class UploadCancelledError(VideoStateError):
    """A00006."""

    meaning = "the upload was cancelled"


class PublishingFailedError(VideoStateError):
    """A00007 of a call that asks about a video."""

    meaning = "the video could not be published"


class OAuthError(ApiError):
    """Base of the codes A21322 to A21332, which are about clients, grants and tokens."""

    meaning = "the authorisation was refused"


class RedirectMismatchError(OAuthError):
    """A21322."""

    meaning = "the redirect address is not the one that is registered"


class InvalidRequestError(OAuthError):
    """A21323."""

    meaning = "the authorisation request lacks a parameter or holds a wrong one"


class BadClientError(OAuthError):
    """A21324."""

    meaning = "client_id or client_secret is wrong"


class InvalidGrantError(OAuthError):
    """A21325."""

    meaning = "the refresh token or the code is invalid, used up or expired"


class UnauthorizedClientError(OAuthError):
    """A21326."""

    meaning = "this app may not use this kind of authorisation"


class TokenExpiredError(OAuthError):
    """A21327."""

    meaning = "the access token has expired"


class UnsupportedGrantTypeError(OAuthError):
    """A21328."""

    meaning = "the server does not know this kind of authorisation"


class UnsupportedResponseTypeError(OAuthError):
    """A21329."""

    meaning = "the server does not know this response type"


class AccessDeniedError(OAuthError):
    """A21330."""

    meaning = "the user or the server denied the authorisation"


class TemporarilyUnavailableError(OAuthError):
    """A21331."""

    meaning = "the authorisation server is not available at the moment"


class TokenInvalidError(OAuthError):
    """A21332."""

    meaning = "the access token is invalid or was revoked"


_ANY_CALL: Final[dict[str, type[ApiError]]] = {
    "Q00001": FailedError,
    "A00008": AppFrozenError,
    "A00009": AppDeletedError,
    "A00010": InvalidInputError,
    "A00018": QuotaExceededError,
    "A21322": RedirectMismatchError,
    "A21323": InvalidRequestError,
    "A21324": BadClientError,
    "A21325": InvalidGrantError,
    "A21326": UnauthorizedClientError,
    "A21327": TokenExpiredError,
    "A21328": UnsupportedGrantTypeError,
    "A21329": UnsupportedResponseTypeError,
    "A21330": AccessDeniedError,
    "A21331": TemporarilyUnavailableError,
    "A21332": TokenInvalidError,
}
_APP: Final[dict[str, type[ApiError]]] = {"A00005": AppPendingError, "A00007": AppRejectedError}
_BYTES: Final[dict[str, type[ApiError]]] = {"A00005": UnknownFileError, "A00007": AppRejectedError}
_AUTHORISE: Final[dict[str, type[ApiError]]] = {"A00005": AppPendingError, "A00007": ServerFailureError}
_VIDEO: Final[dict[str, type[ApiError]]] = {
    "A00001": StillPublishingError,
    "A00002": ReviewRefusedError,
    "A00003": VideoNotFoundError,
    "A00004": StillUploadingError,
    "A00005": AppPendingError,
    "A00006": UploadCancelledError,
    "A00007": PublishingFailedError,
}
_BY_CALL: Final[dict[str, dict[str, type[ApiError]]]] = {
    "openupload": _APP,
    "upload": _BYTES,
    "uploadfinish": _BYTES,
    "uploadstatus": _BYTES,
    "cancelupload": _BYTES,
    "authorize": _AUTHORISE,
    "token": _AUTHORISE,
}


def error_for(code: str, *, call: str, message: str = "", data: Mapping[str, Any] | None = None) -> ApiError:
    """Make the error for a code; the same code means different things in different calls.

    Args:
        code: code of the reply's envelope.
        call: last part of the call's path, such as `openupload`.
        message: the reply's `msg`.
        data: the reply's `data`.

    """
    kind = _BY_CALL.get(call, _VIDEO).get(code) or _ANY_CALL.get(code, ApiError)
    return kind(code, call=call, message=message, data=data)
