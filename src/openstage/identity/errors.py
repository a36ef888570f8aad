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
