"""What identity is made of."""

import datetime as dt
from dataclasses import dataclass
from typing import Literal

AppState = Literal["pending", "approved", "rejected", "frozen", "deleted"]
Realm = Literal["app", "person", "partner"]


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


@dataclass(frozen=True, slots=True)
class AppCredentials:
    """An app's id and its secret, as shown once when it is made or rotated."""

    client_id: str
    client_secret: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a valid access token speaks for."""

    app_id: int
    user_id: int
    app_state: AppState
    client_id: str
    uid: str
    """The app's own name for its end user; empty where the app speaks for itself."""


@dataclass(frozen=True, slots=True)
class TokenPair:
    """An access token, its life in seconds, and the refresh token that replaces both."""

    access_token: str
    expires_in: int
    refresh_token: str
