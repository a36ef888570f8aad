"""What identity is made of."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Literal

from msgspec import Struct

AppState = Literal["pending", "approved", "rejected", "frozen", "deleted"]
Realm = Literal["app", "person", "partner", "account"]
"""Whom a token speaks for: the app itself; a user whom the app, or a partner, names; a person with an account here."""
AccountState = Literal["active", "disabled"]
Origin = Literal["client", "code", "device"]
"""How an authorisation came about: the app's own credentials, a code that was sent to it, a device's code."""
EndedBy = Literal["user", "app", "operator", "reuse", "newer", "disabled"]
"""What ended an authorisation: who revoked it, a refresh token or code used twice, a newer one, a disabled account."""


@dataclass(frozen=True, slots=True)
class App:
    """An integrator's program. One id and one secret serve all dialects."""

    id: int
    client_id: str
    name: str
    state: AppState
    quota: int | None
    """Bytes it may store; None: the server's setting; 0: no limit."""
    stored: int
    reserved: int
    created_at: dt.datetime
    developer_id: int | None = None
    """Account of the developer who owns it; None: the operator."""
    public: bool = False
    """It can't keep a secret (an app on a phone, a page): known by its id and PKCE alone."""
    redirects: list[str] = field(default_factory=list)
    """Addresses that authorization codes may be sent to, compared exactly."""
    scopes: list[str] = field(default_factory=list)
    """What it may ask for; see `openstage.identity.scopes`."""


@dataclass(frozen=True, slots=True)
class AppCredentials:
    """An app's id and its secret, as shown once when it is made or rotated."""

    client_id: str
    client_secret: str


class Caller(Struct, frozen=True):
    """Who a valid access token speaks for."""

    app_id: int
    user_id: int
    app_state: AppState
    client_id: str
    uid: str
    """The app's own name for its end user, or the openid of a person with an account; empty: the app for itself."""
    scopes: tuple[str, ...] = ()
    account_id: int | None = None
    """The person's account, where the token speaks for one."""


@dataclass(frozen=True, slots=True)
class TokenPair:
    """An access token, its life in seconds, and the refresh token that replaces both."""

    access_token: str
    expires_in: int
    refresh_token: str


@dataclass(frozen=True, slots=True)
class Issued:
    """What an authorisation gave: tokens, and whom they speak for."""

    pair: TokenPair
    """`refresh_token` is empty where none is given (client credentials)."""
    scopes: tuple[str, ...]
    family_id: int
    openid: str = ""
    """The person as this app alone knows them; empty where the app speaks for itself."""
    unionid: str = ""
    """The person as all apps of one developer know them."""


@dataclass(frozen=True, slots=True)
class Account:
    """A person who can sign in here."""

    id: int
    name: str
    state: AccountState
    created_at: dt.datetime
    signed_in_at: dt.datetime | None
