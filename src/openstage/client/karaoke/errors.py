"""What can go wrong with a karaoke platform: one class per code, besides those of every client.

```
KaraokeError              the server refused with a code; of another server, with one that is not known here
├── RequestError          the request: InvalidInputError, UnknownCallError
├── AuthorisationError    who asks: TokenInvalidError, TokenExpiredError, CodeInvalidError, TooManyGuessesError, …
├── FileError             the recording's file
├── WorkError             the work: WorkNotFoundError, …
├── AddressError          an address that the server is to fetch from or to call
└── ServerError           the server; may pass
NotPublishedError         a work that was waited for failed or was refused
SignInError               a ticket without a code: TicketRefusedError, TicketExpiredError, TicketCancelledError
CallbackError             a callback that is not what it says: SignatureError, StaleError
```
"""

from collections.abc import Mapping
from typing import Any, Final

from openstage.client.errors import ApiError, ClientError


class KaraokeError(ApiError):
    """The server refused a call; `code` is the dialect's integer."""


class RequestError(KaraokeError):
    """10xx."""

    meaning = "the request is not one that the server takes"


class InvalidInputError(RequestError):
    """1001 to 1003, 1008: the fields, the JSON that holds them, or a `passback` of another list."""

    meaning = "a field is missing or wrong"


class UnknownCallError(RequestError):
    """1004, 1005: the server has no such call."""

    meaning = "the server does not have this call"


class AuthorisationError(KaraokeError):
    """11xx."""

    meaning = "the caller may not do this"


class TokenInvalidError(AuthorisationError):
    """1101, 1102."""

    meaning = "the access token is missing, was never issued, or has been revoked or replaced by another"


class TokenExpiredError(AuthorisationError):
    """1103."""

    meaning = "the access token has expired"


class WrongAppError(AuthorisationError):
    """1104."""

    meaning = "the token was issued to another app"


class WrongUserError(AuthorisationError):
    """1105."""

    meaning = "the token was issued for another user"


class UserTokenNeededError(AuthorisationError):
    """1106."""

    meaning = "the call concerns a user's own things; the app's own token does not do"


class ScopeMissingError(AuthorisationError):
    """1107."""

    meaning = "the person did not allow this to the app"


class AccountDisabledError(AuthorisationError):
    """1108."""

    meaning = "the person's account is disabled"


class AppNotUsableError(AuthorisationError):
    """1110 to 1113: awaiting review, rejected, frozen, deleted."""

    meaning = "the operator has not approved the app, or not any more"


class BadClientError(AuthorisationError):
    """1120."""

    meaning = "appid, secret or sign is wrong"


class RefreshInvalidError(AuthorisationError):
    """1121."""

    meaning = "the refresh token is worth nothing any more; the person has to sign in again"


class CodeInvalidError(AuthorisationError):
    """1122."""

    meaning = "the code is wrong, used or expired"


class BadScopeError(AuthorisationError):
    """1123."""

    meaning = "the app may not ask for this scope"


class SignRefusedError(AuthorisationError):
    """1124 to 1126: `sign` is wrong, was answered before, or this machine's clock is more than 5 minutes off."""

    meaning = "the signature of the refresh is not taken; is this machine's clock right?"


class SignUsedError(SignRefusedError):
    """1125."""

    meaning = "this signed request was answered before"


class ClockError(SignRefusedError):
    """1126."""

    meaning = "this machine's clock is more than 5 minutes off, and the server doesn't tell its own"


class TicketUnknownError(AuthorisationError):
    """1127."""

    meaning = "the server knows no such ticket of this app"


class TooManyGuessesError(AuthorisationError):
    """1130."""

    meaning = "too many wrong attempts; wait as long as the message says"


class FileError(KaraokeError):
    """12xx."""

    meaning = "the server does not take this file"


class QuotaExceededError(FileError):
    """1205."""

    meaning = "the app's quota has no room for this file; delete works or ask the operator for more"


class WorkError(KaraokeError):
    """13xx."""

    meaning = "the server can't do this with the work"


class WorkNotFoundError(WorkError):
    """1301."""

    meaning = "there is no such work, or it is not for this user"


class AddressError(KaraokeError):
    """14xx."""

    meaning = "the server does not fetch from, or call, this address"


class ServerError(KaraokeError):
    """19xx."""

    meaning = "the server failed; try again later"


class NotPublishedError(ClientError):
    """A work that was waited for failed or was refused; the message says why."""


class SignInError(ClientError):
    """A ticket came to an end without a code."""


class TicketRefusedError(SignInError):
    """The person refused."""


class TicketExpiredError(SignInError):
    """Nobody decided in time, or the code has been used: show a new ticket."""


class TicketCancelledError(SignInError):
    """Waiting was given up on this side."""


class CallbackError(ClientError):
    """A callback can't be trusted or read: answer it with HTTP 400 and do nothing of what it says."""


class SignatureError(CallbackError):
    """It was not signed with this app's secret."""


class StaleError(CallbackError):
    """It was signed too long ago, or in the future: it may be a copy that somebody kept."""


_BLOCKS: Final[dict[int, type[KaraokeError]]] = {
    10: RequestError,
    11: AuthorisationError,
    12: FileError,
    13: WorkError,
    14: AddressError,
    19: ServerError,
}
_CODES: Final[dict[int, type[KaraokeError]]] = {
    1001: InvalidInputError,
    1002: InvalidInputError,
    1003: InvalidInputError,
    1004: UnknownCallError,
    1005: UnknownCallError,
    1008: InvalidInputError,
    1101: TokenInvalidError,
    1102: TokenInvalidError,
    1103: TokenExpiredError,
    1104: WrongAppError,
    1105: WrongUserError,
    1106: UserTokenNeededError,
    1107: ScopeMissingError,
    1108: AccountDisabledError,
    1110: AppNotUsableError,
    1111: AppNotUsableError,
    1112: AppNotUsableError,
    1113: AppNotUsableError,
    1120: BadClientError,
    1121: RefreshInvalidError,
    1122: CodeInvalidError,
    1123: BadScopeError,
    1124: SignRefusedError,
    1125: SignUsedError,
    1126: ClockError,
    1127: TicketUnknownError,
    1130: TooManyGuessesError,
    1205: QuotaExceededError,
    1301: WorkNotFoundError,
}


def error_for(code: int, *, call: str, message: str = "", data: Mapping[str, Any] | None = None) -> KaraokeError:
    """Make the error for a code.

    Args:
        code: `code` or `error_code` of the reply.
        call: last part of the call's path, such as `get_work_info`.
        message: `msg` or `error_msg`.
        data: the reply's `data`.

    """
    kind = _CODES.get(code) or _BLOCKS.get(code // 100, KaraokeError)
    return kind(code, call=call, message=message, data=data)
