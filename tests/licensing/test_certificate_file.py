import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from openstage import certificate_file
from openstage.certificate_file import BadKeys, NotPdf, read_keys, verify
from tests.licensing.papers import Signer, make_certificate, make_facts, make_signer, qr_of, text_of

SMALL = b"%PDF-1.7\nsmall enough to change every byte\nstartxref\n9\n%%EOF"
# The order of Ed25519's group (RFC 8032, 5.1): adding it to S gives the same signature in another spelling.
ORDER = 2**252 + 27742317777372353535851937790883648493


@pytest.fixture(scope="module")
def signer() -> Signer:
    return make_signer()


@pytest.fixture(scope="module")
def certificate(signer: Signer) -> bytes:
    return make_certificate(signer)


def test_a_certificate_is_valid_and_tells_its_facts(signer: Signer, certificate: bytes) -> None:
    verdict = verify(certificate, signer.keys)
    assert (verdict.valid, verdict.reason, verdict.key_id) == (True, "", signer.key_id)
    assert verdict.facts == make_facts(key=signer.key_id)


def test_viewers_read_a_signed_file_without_complaint(certificate: bytes) -> None:
    assert "音乐使用授权证书" in text_of(certificate)
    assert qr_of(certificate) == make_facts()["page"]


def test_any_changed_bit_of_any_byte_is_found(signer: Signer) -> None:
    signed = signer.sign(SMALL, {"title": "彩云之南"})
    assert verify(signed, signer.keys).valid
    for at in range(len(signed)):
        for bit in range(8):
            changed = bytearray(signed)
            changed[at] ^= 1 << bit
            assert not verify(bytes(changed), signer.keys).valid, (at, bit)


def test_changed_bytes_all_over_a_real_certificate_are_found(signer: Signer, certificate: bytes) -> None:
    chance = random.Random(8)
    size = len(certificate)
    for at in [*range(size - 700, size), *(chance.randrange(size) for _ in range(300))]:
        changed = bytearray(certificate)
        changed[at] = (changed[at] + chance.randrange(1, 256)) % 256
        assert not verify(bytes(changed), signer.keys).valid, at


@pytest.mark.parametrize("more", [b"\n", b" ", b"\0", b"%%EOF\n"])
def test_added_and_missing_bytes_are_found(signer: Signer, certificate: bytes, more: bytes) -> None:
    assert not verify(certificate + more, signer.keys).valid
    assert not verify(more + certificate, signer.keys).valid
    assert not verify(certificate[:-1], signer.keys).valid
    assert not verify(certificate[1:], signer.keys).valid


def test_the_signature_has_one_spelling(signer: Signer) -> None:
    """Else a file with other bytes would pass: in capitals, or with S + L in place of S."""
    signed = signer.sign(SMALL, {})
    before, digits, after = signed[:-156], signed[-156:-28], signed[-28:]
    raw = bytes.fromhex(digits.decode())
    other = raw[:32] + (int.from_bytes(raw[32:], "little") + ORDER).to_bytes(32, "little")
    assert not verify(before + digits.upper() + after, signer.keys).valid
    assert not verify(before + other.hex().encode() + after, signer.keys).valid


def test_another_servers_certificate_is_refused(signer: Signer) -> None:
    """Whether it names its own key, which we don't know, or ours, which didn't sign it."""
    stranger = make_signer(2)
    genuine = verify(stranger.sign(SMALL, {}), signer.keys)
    assert (genuine.valid, genuine.reason, genuine.key_id) == (False, "unknown_key", stranger.key_id)
    before, after = certificate_file.prepare(SMALL, {}, signer.key_id)
    forged = certificate_file.assemble(before, stranger.private.sign(before + after), after)
    assert verify(forged, signer.keys).reason == "changed"


def test_one_of_several_keys_is_enough(signer: Signer) -> None:
    signed = make_signer(2).sign(SMALL, {})
    assert verify(signed, signer.keys | make_signer(2).keys).valid


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7\n", SMALL, b"\xff" * 1000])
def test_what_is_no_certificate_is_called_that(signer: Signer, data: bytes) -> None:
    assert verify(data, signer.keys).reason == "not_a_certificate"


def test_only_a_pdf_is_signed(signer: Signer) -> None:
    for data in (b"", b"hello", SMALL[1:], SMALL[:-3]):
        with pytest.raises(NotPdf):
            signer.sign(data, {})


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"keys": []}', '{"keys": [{"kty": "RSA"}]}', '{"keys": [3]}', "[" * 9999]
)
def test_a_broken_list_of_keys_is_refused(text: str) -> None:
    with pytest.raises(BadKeys):
        read_keys(text)


def test_keys_of_other_kinds_are_passed_over(signer: Signer) -> None:
    assert read_keys(json.dumps({"keys": [{"kty": "EC", "kid": "e"}, signer.jwk]})) == signer.keys


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_the_documents_lines_verify_without_openstage(signer: Signer, certificate: bytes, tmp_path: Path) -> None:
    """The shell lines and the Python lines of docs/certificates.md, as they stand there."""
    public = Ed25519PublicKey.from_public_bytes(signer.public)
    (tmp_path / "key.pem").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    shell, python = _lines("sh"), _lines("python")
    for change, right in ((b"", True), (b"x", False)):
        (tmp_path / "certificate.pdf").write_bytes(certificate[:5000] + change + certificate[5000 + len(change) :])
        for command in (["bash", "-c", shell], ["python3", "-c", python]):
            done = subprocess.run(_with_us(command), cwd=tmp_path, capture_output=True, text=True, check=False)
            assert (done.returncode == 0) is right, (command, done.stdout, done.stderr)


def _lines(language: str) -> str:
    text = Path(__file__).parents[2].joinpath("docs/certificates.md").read_text("utf-8")
    section = text[text.index("## Without Openstage") :]
    return section.split(f"```{language}\n")[1].split("```")[0]


def _with_us(command: list[str]) -> list[str]:
    return [sys.executable, *command[1:]] if command[0] == "python3" else command
