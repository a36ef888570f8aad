"""The token and QR calls of the karaoke dialect, as an app's server and its devices make them."""

import hashlib
import time
from typing import Any

import httpx

from tests.oauth.conftest import Client

USER_TOKEN = {
    "access_token": str,
    "expires_in": int,
    "refresh_token": str,
    "openid": str,
    "unionid": str,
    "scope": str,
    "orig_acnt_type": str,
    "error_code": str,
    "error_msg": str,
}
"""The document's sample, field for field."""


class Api:
    """Calls of one app."""

    def __init__(self, http: httpx.AsyncClient, client: Client) -> None:
        self.http = http
        self.client = client

    @property
    def proof(self) -> dict[str, str]:
        return {"appid": self.client.id, "secret": self.client.secret}

    async def call(self, path: str, body: dict[str, Any], **headers: str) -> dict[str, Any]:
        """Reply to a call; HTTP is 200 whatever happened."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        reply = await self.http.post(path, json=body, headers=named)
        assert reply.status_code == 200, reply.text
        assert reply.headers["content-type"] == "application/json"
        found: dict[str, Any] = reply.json()
        return found

    async def user_token(self, code: str, **more: str) -> dict[str, Any]:
        body = {**self.proof, "code": code, "grant_type": "authorization_code", **more}
        return await self.call("/oauth/v2/access_token", body)

    async def app_token(self, path: str = "/api/v2/getToken") -> dict[str, Any]:
        return await self.call(path, {**self.proof, "grant_type": "client_credential"})

    async def renew(
        self, refresh_token: str, *, openid: str = "", ts: int | None = None, secret: str = "", **more: str
    ) -> dict[str, Any]:
        ts = int(time.time()) if ts is None else ts
        signed = f"KG_{self.client.id}_{ts}_{secret or self.client.secret}"
        body = {
            "appid": self.client.id,
            "refresh_token": refresh_token,
            "ts": ts,
            "sign": hashlib.md5(signed.encode()).hexdigest(),
            **({"openid": openid} if openid else {}),
            **more,
        }
        return await self.call("/oauth/v2/refresh_token", body)

    async def ticket(self, **more: str) -> dict[str, Any]:
        made = await self.call("/oauth/v2/light_qr", {**self.proof, **more})
        assert made["error_code"] == 0, made
        return made

    async def status(self, ticket: dict[str, Any], **more: Any) -> dict[str, Any]:
        body = {"appid": self.client.id, "qr_ticket": ticket["qr_ticket"], **more}
        return await self.call("/oauth/v2/light_qr_stat", body)
