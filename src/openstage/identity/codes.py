"""Authorization codes (RFC 6749, 4.1) with proof keys (RFC 7636): for one app, one address, one use, five minutes."""

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from openstage.database.engine import Database
from openstage.identity import tokens
from openstage.identity.errors import BadProof, CodeInvalid
from openstage.identity.issuing import STANDARD, Issuer, Terms, end, person_of
from openstage.identity.models import Account, App, Issued
from openstage.settings import Settings

VERIFIER: Final = re.compile(r"[A-Za-z0-9\-._~]{43,128}")  # RFC 7636, 4.1
CHALLENGE: Final = re.compile(r"[A-Za-z0-9\-_]{43}")  # 32 bytes in base64url


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a valid authorization request asks for."""

    app: App
    redirect: str
    """Where the answer goes."""
    redirect_sent: bool
    """Whether the request named it, so that the app must name it again with the code."""
    scopes: Sequence[str]
    challenge: str = ""


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636, 4.2)."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii", "replace")).digest()).rstrip(b"=").decode()


def require_challenge(app: App, challenge: str, method: str) -> str:
    """Return the challenge of an authorization request; empty where an app with a secret sends none.

    Raises:
        BadProof: it is malformed, its method isn't S256, or it is missing from an app that can't keep a secret.

    """
    if not challenge:
        if app.public or method:
            raise BadProof("code_challenge is missing: this app must prove itself by PKCE (RFC 7636).")
        return ""
    if method != "S256":
        raise BadProof("code_challenge_method must be S256.")
    if not CHALLENGE.fullmatch(challenge):
        raise BadProof("code_challenge must be 43 characters of base64url.")
    return challenge


class Codes:
    """Makes codes and takes them back for tokens."""

    def __init__(self, database: Database, settings: Settings, issuer: Issuer) -> None:
        self._database = database
        self._life = settings.code_lifetime
        self._issuer = issuer

    async def make(self, account: Account, wanted: Wanted) -> str:
        """Make a code for what a person has just allowed."""
        code = tokens.new_code()
        async with self._database.transaction() as connection:
            user_id = await person_of(connection, wanted.app.id, account.id, account.name)
            await connection.execute(
                """
                insert into authorization_code (digest, app_id, user_id, redirect, redirect_sent, scopes, challenge,
                    expires_at)
                values (%s, %s, %s, %s, %s, %s, %s, now() + make_interval(secs => %s))
                """,
                (
                    *(tokens.digest(code), wanted.app.id, user_id, wanted.redirect, wanted.redirect_sent),
                    *(list(wanted.scopes), wanted.challenge, self._life),
                ),
            )
        return code

    async def redeem(
        self, app: App, code: str, *, redirect: str | None = "", verifier: str = "", terms: Terms = STANDARD
    ) -> Issued:
        """Give tokens for a code. Used again it ends what came of its first use (RFC 6749, 4.1.2).

        Args:
            app: who asks, authenticated.
            code: the code.
            redirect: `redirect_uri` of the request; must be that of the authorization request if that had one. None:
                the interface has no place for it, so it isn't asked for.
            verifier: `code_verifier`; needed where there was a challenge, refused where there was none.
            terms: how the tokens behave.

        Raises:
            CodeInvalid: unknown, used, expired, of another app, or for another address or verifier.
            AccountDisabled: the person's account has been disabled meanwhile.

        """
        async with self._database.transaction() as connection:
            # Of two that come at once the second waits here, and finds the code used.
            cursor = await connection.execute(
                """
                select user_id, redirect, redirect_sent, scopes, challenge, used_at is not null, family_id,
                       expires_at <= now()
                from authorization_code where digest = %s and app_id = %s for update
                """,
                (tokens.digest(code), app.id),
            )
            row = await cursor.fetchone()
            if row is None:
                raise CodeInvalid("The code is unknown, or was given to another app.")
            user_id, kept_redirect, redirect_sent, scopes, challenge, used, family_id, expired = row
            if redirect is not None and (redirect_sent or redirect) and redirect != kept_redirect:
                raise CodeInvalid("redirect_uri is not the one that the code was made for.")
            _require_proof(challenge, verifier)
            if not used:
                if expired:
                    raise CodeInvalid("The code has expired; authorise again.")
                issued = await self._issuer.issue(
                    connection, app_id=app.id, user_id=user_id, scopes=scopes, origin="code", terms=terms
                )
                await connection.execute(
                    "update authorization_code set used_at = now(), family_id = %s where digest = %s",
                    (issued.family_id, tokens.digest(code)),
                )
                return issued
            if family_id is not None:
                await end(connection, family_id, by="reuse")
        # After the commit: the end of what came of it must stay.
        raise CodeInvalid("The code was used before: what came of it has been revoked; authorise again.")

    async def forget_expired(self) -> int:
        """Remove codes a day after their end (until then a second use still ends what came of it)."""
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                "delete from authorization_code where expires_at < now() - interval '1 day'"
            )
        return cursor.rowcount


def _require_proof(challenge: str, verifier: str) -> None:
    if not challenge and not verifier:
        return
    # A verifier without a challenge: somebody has taken the challenge out of the request (RFC 9700, 4.8.2).
    if not challenge or not VERIFIER.fullmatch(verifier):
        raise CodeInvalid("code_verifier does not fit the code.")
    if not hmac.compare_digest(challenge_of(verifier), challenge):
        raise CodeInvalid("code_verifier does not fit the code.")
