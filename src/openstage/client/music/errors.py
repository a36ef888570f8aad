"""What can go wrong with a music library: one class per code, besides those of every client.

```
MusicError                     the server refused with a code; of another server, with one that is not known here
├── InvalidInputError          1002 to 1005: a parameter, or a call that the server doesn't have
├── SignatureError             1101 to 1105: ClientUnknownError, ClockError, WrongSignatureError, AppNotUsableError
├── TrackNotFoundError         1201
├── QueryError                 1202, 1203
├── PurchaseError              13xx: PurchaseNotFoundError, OfferError, CreditExceededError, RefundedError, …
DownloadError                  a file that was downloaded is not what was bought
CertificateError               a certificate that can't be verified here
```
"""

from collections.abc import Mapping
from typing import Any, Final

from openstage.client.errors import ApiError, ClientError


class MusicError(ApiError):
    """The server refused a call; `code` is the dialect's integer."""

    meaning = "the server could not do it"


class InvalidInputError(MusicError):
    """1002 to 1005."""

    meaning = "a parameter is missing or wrong"


class SignatureError(MusicError):
    """11xx: the request is not taken for the app's."""

    meaning = "the signature is not taken"


class ClientUnknownError(SignatureError):
    """1101."""

    meaning = "no app has this client_id"


class ClockError(SignatureError):
    """1102, after the client has tried it with the server's own time."""

    meaning = "this machine's clock is off"


class WrongSignatureError(SignatureError):
    """1103."""

    meaning = "the client_secret is wrong, or something between here and the server changes requests"


class AppNotUsableError(SignatureError):
    """1105."""

    meaning = "the app is not approved"


class TrackNotFoundError(MusicError):
    """1201."""

    meaning = "there is no such track"


class QueryError(MusicError):
    """1202 and 1203."""

    meaning = "the search can't be understood, or the page lies too deep"


class PurchaseError(MusicError):
    """13xx."""

    meaning = "the purchase can't be made or used"


class PurchaseNotFoundError(PurchaseError):
    """1301."""

    meaning = "this app has no such purchase"


class OfferError(PurchaseError):
    """1302 and 1303."""

    meaning = "the track is not sold like that"


class CreditExceededError(PurchaseError):
    """1304."""

    meaning = "the app may not owe so much"


class RequestReusedError(PurchaseError):
    """1305."""

    meaning = "the request_id has bought something else"


class RefundedError(PurchaseError):
    """1306."""

    meaning = "the purchase was refunded"


class DownloadError(ClientError):
    """The bytes that came are not those that were bought, also when fetched anew."""


class CertificateError(ClientError):
    """A certificate can't be verified here; nothing is said about whether it is genuine."""


_KINDS: Final[dict[int, type[MusicError]]] = {
    1002: InvalidInputError,
    1003: InvalidInputError,
    1004: InvalidInputError,
    1005: InvalidInputError,
    1101: ClientUnknownError,
    1102: ClockError,
    1103: WrongSignatureError,
    1104: WrongSignatureError,
    1105: AppNotUsableError,
    1201: TrackNotFoundError,
    1202: QueryError,
    1203: QueryError,
    1301: PurchaseNotFoundError,
    1302: OfferError,
    1303: OfferError,
    1304: CreditExceededError,
    1305: RequestReusedError,
    1306: RefundedError,
    1307: PurchaseError,
}


def error_for(code: int, *, call: str, message: str = "", data: Mapping[str, Any] | None = None) -> MusicError:
    """Make the error for a code of this dialect."""
    return _KINDS.get(code, MusicError)(code, call=call, message=message, data=data)
