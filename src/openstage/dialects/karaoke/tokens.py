"""Tokens: of users for a code, of the app for its secret, and new ones for a refresh token.

These calls answer flat, with `error_code` and `error_msg` beside the fields. A reply has all its fields whatever
happened: those of a failure are empty, so that clients with a fixed shape read it.
"""

import msgspec


class UserToken(msgspec.Struct):
    """Reply of `POST /oauth/v2/access_token` (the document's sample, field for field)."""

    access_token: str = ""
    expires_in: int = 0
    """Life of the access token in seconds."""
    refresh_token: str = ""
    """Used again and again, until it expires (`refresh_token_lifetime`) or a newer sign-in takes its place."""
    openid: str = ""
    """The person as this app alone knows them."""
    unionid: str = ""
    """The person as all apps of one developer know them."""
    scope: str = ""
    """What the person allowed, with blanks between."""
    orig_acnt_type: str = ""
    """Where the person's account comes from: `1`, from this server (`2` is kept for accounts of other providers, of
    which there are none). Empty unless the person allowed the scope `profile`."""
    error_code: str = "0"
    """A string here, as in the document's sample; an integer in the other calls."""
    error_msg: str = ""


class AppToken(msgspec.Struct):
    """Reply of `POST /api/v2/getToken` and `POST /test/api/v2/getToken`."""

    access_token: str = ""
    """Speaks for the app, for no user: don't send `X-Open-ID` with it."""
    expires_in: int = 0
    refresh_token: str = ""
    error_code: int = 0
    error_msg: str = ""


class RenewedToken(msgspec.Struct):
    """Reply of `POST /oauth/v2/refresh_token`; the refresh token stays the one that was sent."""

    access_token: str = ""
    """The one before it has ended."""
    expires_in: int = 0
    error_code: int = 0
    error_msg: str = ""


class CodeRequest(msgspec.Struct):
    """Body of `POST /oauth/v2/access_token`."""

    appid: str = ""
    secret: str = ""
    code: str = ""
    """From a confirmed QR ticket, or from `/oauth/authorize`; good for 5 minutes, once, for this app."""
    grant_type: str = ""
    """`authorization_code`."""
    redirect_uri: str = ""
    """Ours. The document has no such field, so it may be left out; if sent, it must be the one the code was sent to."""
    code_verifier: str = ""
    """Ours. Needed where the code was asked for with a `code_challenge` (RFC 7636)."""


class AppTokenRequest(msgspec.Struct):
    """Body of `getToken`."""

    appid: str = ""
    secret: str = ""
    grant_type: str = ""
    """`client_credential`; `client_credentials`, as OAuth spells it, is taken too."""


class RenewalRequest(msgspec.Struct):
    """Body of `POST /oauth/v2/refresh_token`."""

    appid: str = ""
    openid: str = ""
    """With a user's refresh token: theirs. With the app's own: left out or empty."""
    refresh_token: str = ""
    ts: int = 0
    """Unix time in seconds; may be 5 minutes off."""
    sign: str = ""
    """`md5("KG_" + appid + "_" + ts + "_" + appKey)`, 32 hex digits; appKey is the app's secret."""
