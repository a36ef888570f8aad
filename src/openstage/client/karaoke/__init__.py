"""The documented karaoke interface: of Openstage, and of any server of the same contract.

from openstage.client import Karaoke

with Karaoke(appid, secret, "http://127.0.0.1:8080") as karaoke:
ticket = karaoke.ticket()
print(ticket.qr_url, ticket.user_code)  # show them; a person confirms on a phone
user = karaoke.sign_in(ticket)
recording = user.upload("song.mp3")
print(recording.play_url)
"""

from openstage.client.karaoke.app import AsyncKaraoke
from openstage.client.karaoke.blocking import Karaoke, KaraokeUser
from openstage.client.karaoke.callbacks import Event, callback_secret, verify_callback
from openstage.client.karaoke.errors import (
    AccountDisabledError,
    AddressError,
    AppNotUsableError,
    AuthorisationError,
    BadClientError,
    BadScopeError,
    CallbackError,
    CodeInvalidError,
    FileError,
    InvalidInputError,
    KaraokeError,
    NotPublishedError,
    RefreshInvalidError,
    RequestError,
    ScopeMissingError,
    ServerError,
    SignatureError,
    SignInError,
    StaleError,
    TicketCancelledError,
    TicketExpiredError,
    TicketRefusedError,
    TokenExpiredError,
    TokenInvalidError,
    TooManyGuessesError,
    UnknownCallError,
    UserTokenNeededError,
    WorkError,
    WorkNotFoundError,
    WrongAppError,
    WrongUserError,
)
from openstage.client.karaoke.models import (
    Access,
    Performance,
    Progress,
    Recording,
    Song,
    Ticket,
    TicketState,
    TicketStatus,
    User,
    UserInfo,
    Work,
    WorkPage,
)
from openstage.client.karaoke.user import AsyncKaraokeUser

__all__ = [
    "Access",
    "AccountDisabledError",
    "AddressError",
    "AppNotUsableError",
    "AsyncKaraoke",
    "AsyncKaraokeUser",
    "AuthorisationError",
    "BadClientError",
    "BadScopeError",
    "CallbackError",
    "CodeInvalidError",
    "Event",
    "FileError",
    "InvalidInputError",
    "Karaoke",
    "KaraokeError",
    "KaraokeUser",
    "NotPublishedError",
    "Performance",
    "Progress",
    "Recording",
    "RefreshInvalidError",
    "RequestError",
    "ScopeMissingError",
    "ServerError",
    "SignInError",
    "SignatureError",
    "Song",
    "StaleError",
    "Ticket",
    "TicketCancelledError",
    "TicketExpiredError",
    "TicketRefusedError",
    "TicketState",
    "TicketStatus",
    "TokenExpiredError",
    "TokenInvalidError",
    "TooManyGuessesError",
    "UnknownCallError",
    "User",
    "UserInfo",
    "UserTokenNeededError",
    "Work",
    "WorkError",
    "WorkNotFoundError",
    "WorkPage",
    "WrongAppError",
    "WrongUserError",
    "callback_secret",
    "verify_callback",
]
