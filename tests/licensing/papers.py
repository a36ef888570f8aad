"""Certificates without a server: facts as a purchase gives them, keys, pages as text and as a picture."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pypdf
import pypdfium2
import zxingcpp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from openstage import certificate_file
from openstage.licensing.certificate_keys import thumbprint
from openstage.licensing.certificate_pdf import typeset

PAGE = "https://music.example.com/certificates/0123456789abcdefghijABCDEFGHIJ-_"
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
ARABIC_TITLE = "ليلة في الصحراء"


def make_facts(**changes: Any) -> dict[str, Any]:
    """The facts of a certificate, some of them changed: `title="…"`, `name="…"` (licensee), `file_format="…"`."""
    return {
        "format": 1,
        "number": "20261121-K7QF-3M9A-XW",
        "issuer": "https://music.example.com",
        "page": changes.get("page", PAGE),
        "licensor": changes.get("licensor", "云上音乐 Cloud Music Ltd."),
        "licensee": {
            "name": changes.get("name", "广州汽车集团股份有限公司"),
            "account": {"id": 10001, "name": changes.get("account", "Guangzhou Studio")},
            "member": {"id": 10002, "name": changes.get("member", "didi")},
        },
        "track": {
            "id": 505947,
            "title": changes.get("title", "彩云之南 Beginner's Luck"),
            "artist": changes.get("artist", "Z01803360"),
            "duration_ms": changes.get("duration_ms", 128_400),
        },
        "scope": {"id": 35, "name": changes.get("offer", "全媒体 All media"), "type": "all"},
        "price": "812.50",
        "currency": "CNY",
        "bought_at": "2026-11-21T16:41:47+08:00",
        "issued_at": "2026-11-21T16:42:01+08:00",
        "file": {
            "sha256": SHA256,
            "size": 4_512_345,
            "format": changes.get("file_format", "mp3"),
            "type": "audio/mpeg",
        },
        "key": changes.get("key", "k" * 43),
        "test": changes.get("test", False),
    }


@dataclass(frozen=True)
class Signer:
    """A key and what is public of it."""

    private: Ed25519PrivateKey

    @cached_property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes_raw()

    @cached_property
    def key_id(self) -> str:
        return thumbprint(self.public)

    @property
    def keys(self) -> dict[str, bytes]:
        return {self.key_id: self.public}

    @property
    def jwk(self) -> dict[str, str]:
        x = base64.urlsafe_b64encode(self.public).rstrip(b"=").decode()
        return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.key_id}

    def sign(self, pdf: bytes, facts: Mapping[str, Any]) -> bytes:
        """A signed file, as `Certificates` makes it."""
        before, after = certificate_file.prepare(pdf, facts, self.key_id)
        return certificate_file.assemble(before, self.private.sign(before + after), after)


def make_signer(seed: int = 1) -> Signer:
    return Signer(Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


def make_certificate(signer: Signer, **changes: Any) -> bytes:
    """A whole certificate."""
    facts = make_facts(key=signer.key_id, **changes)
    return signer.sign(typeset(facts), facts)


def text_of(pdf: bytes) -> str:
    """What stands on the one page there must be, read strictly; breaks of long words are taken out."""
    reader = pypdf.PdfReader(io.BytesIO(pdf), strict=True)
    assert len(reader.pages) == 1
    return reader.pages[0].extract_text().replace("\u200b", "")


def qr_of(pdf: bytes) -> str:
    """What the page's QR code says, read off a picture of the page as a phone would see it (at 144 dpi)."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        assert len(document) == 1
        picture = document[0].render(scale=2, grayscale=True)
        pixels = memoryview(bytes(picture.buffer)).cast("B", shape=[picture.height, picture.stride])
        (code,) = zxingcpp.read_barcodes(pixels)
        return str(code.text)
    finally:
        document.close()
