"""Setting certificates in type: facts to one page of PDF, with Typst in this process and fonts from two packages.

Nothing of a purchase becomes markup: texts are handed over as data, of bounded length, so that the time is bounded too.
docs/decisions/certificates.md has the figures.
"""

import datetime as dt
import functools
import importlib.resources
import io
import json
import re
import threading
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import segno
import typst

TEMPLATE: Final = Path(__file__).parent / "certificate.typ"
FONTS: Final = ("manimgx_fonts", "manimgx_fonts_cjk")
"""Packages that hold the font files: Noto Sans for many scripts, and Noto Sans CJK."""
LONGEST: Final = 300
"""Characters of one text that are printed; the signed facts hold all of it."""

_RUN: Final = re.compile("[!-~\u00a1-\u024f]{25,}")
"""Latin text that no line would hold; other scripts break where they may."""
_PIECE: Final = 12
_BREAK: Final = "\u200b"
_turn = threading.Lock()


def typeset(facts: Mapping[str, Any]) -> bytes:
    """Return the page as a PDF, the same bytes for the same facts (`certificates.facts_of`). Blocks; takes turns."""
    inputs = {"facts": json.dumps(printed(facts), ensure_ascii=False), "qr": _qr(facts["page"])}
    issued_at = dt.datetime.fromisoformat(facts["issued_at"])
    with _turn:
        compiler, template = _compiler()
        made = compiler.compile(template, format="pdf", sys_inputs=inputs, timestamp=issued_at)
    assert isinstance(made, bytes)
    return made


def printed(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands on the page: the facts put in words, in both languages."""
    licensee, track, scope, file = facts["licensee"], facts["track"], facts["scope"], facts["file"]
    account = _person(licensee["account"])
    if licensee["member"] != licensee["account"]:
        account = f"{account}    经办成员 Member: {_person(licensee['member'])}"
    texts = {
        "number": facts["number"],
        "licensee": licensee["name"],
        "licensor": facts["licensor"],
        "account": account,
        "title": track["title"],
        "artist": f"艺术家 Artist: {track['artist'] or '–'}",
        "track": _joined(f"编号 ID {track['id']}", _duration("时长 Duration", track["duration_ms"])),
        "scope": scope["name"],
        "scope_more": _joined(f"类型 Type: {scope['type']}", f"编号 ID {scope['id']}"),
        "price": f"{facts['currency']} {facts['price']}",
        "bought_at": _moment(facts["bought_at"]),
        "issued_at": _moment(facts["issued_at"]),
        "file": _joined(file["format"].upper(), file["type"], f"{file['size']:,} 字节 bytes"),
    }
    return {name: fit_for_print(text) for name, text in texts.items()} | {
        "heading": "音乐使用授权证书",
        "heading_en": "Music Licence Certificate",
        "statement": "兹证明：授权方按下列条件，许可被授权方使用下述音乐作品。",
        "statement_en": "This certifies that the licensor licenses the music below to the licensee on these terms.",
        "sha256": file["sha256"],
        "page": facts["page"],
        "key_id": facts["key"],
        "test": facts["test"],
    }


def fit_for_print(text: str) -> str:
    """Return a text as it is printed: in one line, without what steers the setting, of bounded length.

    Control characters and those that turn the direction of writing are left out, else a name could rearrange the line
    around it. Long runs without a blank may break.
    """
    plain = "".join(
        character
        for character in " ".join(text.split())
        if unicodedata.category(character) not in {"Cc", "Cs", "Co", "Cn"} and character not in _DIRECTIONS
    )
    if len(plain) > LONGEST:
        plain = plain[: LONGEST - 1] + "…"
    return _RUN.sub(_let_break, plain)


_DIRECTIONS: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@functools.cache
def _compiler() -> tuple[typst.Compiler, bytes]:
    folders = [str(importlib.resources.files(package)) for package in FONTS]
    # Typst's own fonts hold the one for digests; the machine's fonts would make pages differ between machines.
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=True, font_paths=folders)
    return typst.Compiler(root=str(TEMPLATE.parent), font_paths=fonts, ignore_system_fonts=True), TEMPLATE.read_bytes()


def _qr(address: str) -> str:
    out = io.BytesIO()
    segno.make(address, error="m", micro=False).save(out, kind="svg", border=2, xmldecl=False, dark="#16233b")
    return out.getvalue().decode()


def _let_break(run: re.Match[str]) -> str:
    text = run[0]
    return _BREAK.join(text[at : at + _PIECE] for at in range(0, len(text), _PIECE))


def _person(person: Mapping[str, Any]) -> str:
    return f"{person['name']} (#{person['id']})"


def _joined(*parts: str) -> str:
    return " · ".join(part for part in parts if part)


def _duration(label: str, milliseconds: int) -> str:
    seconds = round(milliseconds / 1000)
    return f"{label} {seconds // 60}:{seconds % 60:02}"


def _moment(text: str) -> str:
    """`2026-11-21T16:20:54+08:00` as people write it."""
    return f"{text[:10]} {text[11:19]} (UTC{text[19:]})"
