"""Certificates of purchases: made once, signed, kept, and looked up by the unguessable address that is printed on them.

The row of a certificate comes before its file: it freezes what is certified, the key and the address. So whoever makes
the file (several servers at once, or a server again after a crash) makes the same bytes.
"""

import asyncio
import datetime as dt
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from openstage import certificate_file
from openstage.database.engine import Connection, Database
from openstage.database.text import storable
from openstage.licensing.certificate_keys import CertificateKeys
from openstage.licensing.certificate_pdf import typeset
from openstage.licensing.errors import UnknownCertificate
from openstage.licensing.models import Purchase
from openstage.settings import Settings
from openstage.storage.objects import ObjectStore

TOKEN_BYTES: Final = 24
"""192 bits: nobody finds a certificate's page by trying."""
PATH: Final = "/certificates"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and how its licence stands now."""

    purchase_id: int
    token: str
    key_id: str
    facts: Mapping[str, Any]
    """What it certifies (docs/certificates.md lists the fields), prices included."""
    created_at: dt.datetime
    key: str | None
    """Of the PDF in the object store; None: not made yet."""
    sha256: str | None
    """Of the PDF."""
    refunded_at: dt.datetime | None
    """Since when the licence no longer holds."""


_SELECT = """
    select c.purchase_id, c.token, c.key_id, c.facts, c.created_at, c.key, c.sha256, p.refunded_at
    from certificate c join purchase p on p.id = c.purchase_id
"""


class Certificates:
    """The certificates of all purchases."""

    def __init__(self, database: Database, store: ObjectStore, keys: CertificateKeys, settings: Settings) -> None:
        self._database = database
        self._store = store
        self.keys = keys
        self._settings = settings
        # Pages are set one at a time anyway: who waits does so here, and not in a thread that others need.
        self._turn = asyncio.Lock()

    async def certificate(self, purchase: Purchase) -> bytes:
        """Return a purchase's certificate as PDF: made when it is first asked for, the same bytes ever after.

        A refund changes nothing of it: the page whose address it bears tells.

        Raises:
            MasterKeyUnusable: the key that signs was encrypted under another master key.
            Unavailable: the database or the object store is away.
            ObjectMissing: it was made, and the object store has lost it.

        """
        certificate = await self._row(purchase)
        if certificate.key is None:
            return await self._make(certificate)
        return await self._store.get(certificate.key)

    async def find(self, purchase: Purchase) -> Certificate:
        """Return what is known of a purchase's certificate; makes it unless that has been done. Raises as above."""
        await self.certificate(purchase)
        return await self._row(purchase)

    async def by_token(self, token: str) -> Certificate:
        """Return the certificate of a page.

        Raises:
            UnknownCertificate: there is none with this token.

        """
        async with self._database.connection() as connection:
            found = await _fetch(connection, "where c.token = %s", storable(token))
        if found is None:
            raise UnknownCertificate("There is no certificate at this address.")
        return found

    async def _row(self, purchase: Purchase) -> Certificate:
        """Read a certificate's row; make it if there is none. Of several at once one is kept."""
        async with self._database.connection() as connection:
            if found := await _fetch(connection, "where c.purchase_id = %s", purchase.id):
                return found
        key = await self.keys.signing()
        token = secrets.token_urlsafe(TOKEN_BYTES)
        now = dt.datetime.now(dt.UTC)
        async with self._database.connection() as connection:
            facts = facts_of(
                purchase,
                issuer=self._settings.base(),
                licensor=self._settings.licensor or self._settings.base(),
                token=token,
                key_id=key.key_id,
                issued_at=now,
                zone=ZoneInfo(self._settings.time_zone),
            )
            await connection.execute(
                """
                insert into certificate (purchase_id, token, key_id, facts, created_at) values (%s, %s, %s, %s, %s)
                on conflict (purchase_id) do nothing
                """,
                (purchase.id, token, key.key_id, Jsonb(facts), now),
            )
            found = await _fetch(connection, "where c.purchase_id = %s", purchase.id)
        assert found is not None, "rows of certificates are never removed"
        return found

    async def _make(self, certificate: Certificate) -> bytes:
        key = await self.keys.signing(certificate.key_id)
        async with self._turn:
            page = await asyncio.to_thread(typeset, certificate.facts)
        before, after = certificate_file.prepare(page, certificate.facts, key.key_id)
        made = certificate_file.assemble(before, key.sign(before + after), after)
        digest = hashlib.sha256(made).hexdigest()
        # The digest is part of the key: should servers of two versions make it at once, neither overwrites the other's,
        # and the row names the one that counts.
        place = f"certificates/{certificate.purchase_id}/{digest}.pdf"
        await self._store.put(place, made)
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                "update certificate set key = %s, sha256 = %s where purchase_id = %s and key is null",
                (place, digest, certificate.purchase_id),
            )
            if cursor.rowcount:
                return made
            kept = await _fetch(connection, "where c.purchase_id = %s", certificate.purchase_id)
        assert kept is not None
        assert kept.key is not None
        return made if kept.key == place else await self._store.get(kept.key)


def facts_of(
    purchase: Purchase,
    *,
    issuer: str,
    licensor: str,
    token: str,
    key_id: str,
    issued_at: dt.datetime,
    zone: dt.tzinfo,
) -> dict[str, Any]:
    """Return what a certificate certifies. Everything is text, whole numbers and booleans.

    Args:
        purchase: the licence.
        issuer: the server's public address, where its public keys are.
        licensor: who grants the licence.
        token: of the public page.
        key_id: the key that signs.
        issued_at: when the certificate was made.
        zone: in which times are told.

    """
    return {
        "format": certificate_file.FORMAT,
        "number": purchase.number,
        "issuer": issuer,
        "page": f"{issuer}{PATH}/{token}",
        "licensor": licensor,
        "licensee": {
            "name": purchase.warrant_name,
            "account": {"id": purchase.main.id, "name": purchase.main.name},
            "member": {"id": purchase.buyer.id, "name": purchase.buyer.name},
        },
        "track": {
            "id": purchase.audio_id,
            "title": purchase.title,
            "artist": purchase.artist,
            "duration_ms": purchase.file.duration_ms,
        },
        "scope": {"id": purchase.offer.id, "name": purchase.offer.name, "type": purchase.offer.type},
        "price": f"{purchase.price:.2f}",
        "currency": purchase.currency,
        "bought_at": _moment(purchase.bought_at, zone),
        "issued_at": _moment(issued_at, zone),
        "file": {
            "sha256": purchase.sha256,
            "size": purchase.file.byte_size,
            "format": purchase.format,
            "type": purchase.file.content_type,
        },
        "key": key_id,
        "test": purchase.is_test,
    }


async def _fetch(connection: Connection, condition: str, value: object) -> Certificate | None:
    async with connection.cursor(row_factory=class_row(Certificate)) as cursor:
        await cursor.execute(f"{_SELECT} {condition}".encode(), (value,))
        return await cursor.fetchone()


def _moment(moment: dt.datetime, zone: dt.tzinfo) -> str:
    return moment.astimezone(zone).isoformat(timespec="seconds")
