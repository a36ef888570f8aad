"""The public page of a certificate, and the keys with which certificates are verified."""

import datetime as dt
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from openstage.console.rendering import Renderer
from openstage.licensing.certificate_keys import key_set
from openstage.licensing.certificates import Certificate, Certificates
from openstage.licensing.errors import UnknownCertificate

KEYS_PATH: Final = "/.well-known/openstage-certificate-keys.json"
KEYS_SECONDS: Final = 300
"""For so long anybody may keep the list of keys without asking again."""


class CertificatePages:
    """Tells those who have a certificate whether its licence holds."""

    def __init__(self, certificates: Certificates, renderer: Renderer) -> None:
        self._certificates = certificates
        self._renderer = renderer

    def routes(self) -> list[Route]:
        """Return the pages' addresses."""
        return [
            Route("/certificates/{token}", self.page),
            Route(KEYS_PATH, self.keys),
        ]

    async def page(self, request: Request) -> Response:
        """Show what a certificate certifies and how its licence stands; neither price nor accounts."""
        try:
            certificate = await self._certificates.by_token(request.path_params["token"])
        except UnknownCertificate:
            return self._renderer.page(request, "certificates/unknown.html", {}, status=404)
        facts = certificate.facts
        values = {
            "standing": _standing(certificate),
            "refunded_at": certificate.refunded_at,
            "number": facts["number"],
            "licensor": facts["licensor"],
            "licensee": facts["licensee"]["name"],
            "track": facts["track"],
            "scope": facts["scope"],
            "bought_at": dt.datetime.fromisoformat(facts["bought_at"]),
            "issued_at": dt.datetime.fromisoformat(facts["issued_at"]),
            "file": facts["file"],
            "key_id": certificate.key_id,
            "sha256": certificate.sha256 or "",
            "keys_path": KEYS_PATH,
        }
        return self._renderer.page(request, "certificates/certificate.html", values)

    async def keys(self, _: Request) -> Response:
        """Give the public keys, retired ones too (JSON Web Key Set, RFC 7517)."""
        text = key_set(await self._certificates.keys.list())
        headers = {
            "Cache-Control": f"public, max-age={KEYS_SECONDS}",
            # Public by nature: pages of other sites may verify too.
            "Access-Control-Allow-Origin": "*",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(text, headers=headers, media_type="application/jwk-set+json")


def _standing(certificate: Certificate) -> str:
    if certificate.facts["test"]:
        return "test"
    return "refunded" if certificate.refunded_at else "valid"
