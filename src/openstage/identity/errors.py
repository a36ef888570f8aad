"""What can go wrong with apps and tokens."""

from typing import ClassVar

from openstage.errors import DomainError
from openstage.identity.models import AppState


class BadClient(DomainError):
    """The client id is unknown or the secret is wrong (which of the two is not told)."""

    code = "identity.bad_client"


class TokenInvalid(DomainError):
    """The access token was never issued, or was revoked."""

    code = "identity.token_invalid"


class TokenExpired(DomainError):
    """The access token's life is over; refresh it."""

    code = "identity.token_expired"


class RefreshInvalid(DomainError):
    """The refresh token is unknown, used up, expired, or of another app."""

    code = "identity.refresh_invalid"


class AppNotUsable(DomainError):
    """The app is not approved: pending, rejected, frozen or deleted."""

    code = "identity.app_not_usable"
    messages: ClassVar[dict[str, str]] = {
        "pending": "This app is awaiting review; ask the operator to approve it.",
        "rejected": "This app was rejected in review.",
        "frozen": "This app is frozen; ask the operator why.",
        "deleted": "This app has been deleted.",
    }

    def __init__(self, state: AppState) -> None:
        super().__init__(self.messages[state])
        self.state = state


class QuotaExceeded(DomainError):
    """The app has no room left for so many bytes."""

    code = "identity.quota_exceeded"


class UnknownApp(DomainError):
    """No app has this client id."""

    code = "identity.unknown_app"


class BadUid(DomainError):
    """The app's name for its end user is too long to be kept."""

    code = "identity.bad_uid"


class UnknownUser(DomainError):
    """No end user has this number."""

    code = "identity.unknown_user"


class TooManyGuesses(DomainError):
    """There were too many wrong guesses; no further one is looked at for a while."""

    code = "identity.too_many_guesses"

    def __init__(self, wait: int) -> None:
        """Tell the wait in seconds."""
        super().__init__(f"Too many wrong attempts; try again in {wait} s.")
        self.wait = wait


class WrongPassword(DomainError):
    """There is no account of that name, or the password is another one (which of the two is not told)."""

    code = "identity.wrong_password"


class PasskeyInvalid(DomainError):
    """What an authenticator answered isn't what it was asked, or the passkey isn't (or is already) known."""

    code = "identity.passkey_invalid"


class AccountDisabled(DomainError):
    """The operator has disabled the account."""

    code = "identity.account_disabled"


class BadName(DomainError):
    """The name can't be an account's."""

    code = "identity.bad_name"


class NameTaken(DomainError):
    """Somebody has the name, in this or another spelling."""

    code = "identity.name_taken"


class BadPassword(DomainError):
    """The password is too short, too long, or among the first that would be guessed."""

    code = "identity.bad_password"


class UnknownAccount(DomainError):
    """No account has this name."""

    code = "identity.unknown_account"


class BadRedirect(DomainError):
    """The address is none that codes may be sent to."""

    code = "identity.bad_redirect"


class BadScope(DomainError):
    """The app may not ask for that, or there is no such scope."""

    code = "identity.bad_scope"


class ScopeMissing(DomainError):
    """The token is valid, but nobody allowed it this."""

    code = "identity.scope_missing"


class BadProof(DomainError):
    """The code challenge or verifier (RFC 7636) is missing, malformed, or of a method that isn't served."""

    code = "identity.bad_proof"


class SignatureWrong(BadClient):
    """What was sent was not signed with the app's secret, or the app is unknown (which of the two is not told)."""

    code = "identity.signature_wrong"


class SignatureUsed(DomainError):
    """What was signed has been answered before."""

    code = "identity.signature_used"


class CodeInvalid(DomainError):
    """The authorization code is unknown, used, expired, of another app, or was made for another address or verifier."""

    code = "identity.code_invalid"


class DeviceUnknown(DomainError):
    """The device's code is unknown, used up, or of another app."""

    code = "identity.device_unknown"


class DeviceExpired(DomainError):
    """Nobody confirmed in time; the device must ask for a new code."""

    code = "identity.device_expired"


class DeviceWaiting(DomainError):
    """Nobody has confirmed yet; ask again after the interval."""

    code = "identity.device_waiting"


class DeviceTooFast(DeviceWaiting):
    """The device asks more often than it may; its interval has grown by 5 seconds (RFC 8628, 3.5)."""

    code = "identity.device_too_fast"


class DeviceRefused(DomainError):
    """The person refused."""

    code = "identity.device_refused"


class AlreadyDecided(DomainError):
    """Somebody has confirmed or refused it before."""

    code = "identity.already_decided"


class AlreadyRefused(AlreadyDecided):
    """Somebody has refused it before."""

    code = "identity.already_refused"


class UnknownAuthorisation(DomainError):
    """No authorisation has this number or token."""

    code = "identity.unknown_authorisation"


class NoFriend(DomainError):
    """Nobody can be their own friend, or have more friends than are gathered from."""

    code = "identity.no_friend"


class BadCity(DomainError):
    """No city has such a number."""

    code = "identity.bad_city"
