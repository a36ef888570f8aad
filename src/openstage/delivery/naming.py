"""Names of files that are sent to be kept (RFC 6266, RFC 8187); pure functions."""

import re
import unicodedata
from typing import Final
from urllib.parse import quote

LONGEST_NAME: Final = 180
"""Bytes of a name in UTF-8: file systems take 255, and browsers add ` (1)` and the like."""
_FORBIDDEN = re.compile(r'[\\/:*?"<>|]')
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)
_ATTR_CHARS: Final = "!#$&+-.^_`|~"
"""What RFC 8187 (3.2.1) leaves unencoded beside letters and digits."""


def file_name(*parts: str, ending: str) -> str:
    """Make the name of a file from titles in any script, joined by ` - `, that every usual file system takes.

    Args:
        parts: such as a title and an artist; empty ones are left out.
        ending: such as `mp3`, without the dot; may be empty.

    """
    text = " - ".join(filter(None, (_clean(part) for part in parts))).lstrip(". ") or "file"
    if _RESERVED.fullmatch(text):
        text += "_"
    ending = re.sub(r"[^a-z0-9]", "", ending.lower())[:10]
    room = LONGEST_NAME - (len(ending) + 1 if ending else 0)
    text = text.encode()[:room].decode(errors="ignore").rstrip(". ")
    return f"{text}.{ending}" if ending else text


def attachment(name: str, *, plain: str) -> str:
    """Return the `Content-Disposition` that has a browser save what is sent under a name.

    Args:
        name: in any script; see `file_name`.
        plain: what clients take that know ASCII names alone; letters, digits, dots, dashes.

    """
    if name.isascii() and not re.search(r'["\\%]', name):
        return f'attachment; filename="{name}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe=_ATTR_CHARS)}"


def _clean(text: str) -> str:
    """Take out what file systems refuse, and what is not seen: control characters, marks of writing direction."""
    seen = "".join(
        " " if character.isspace() else character
        for character in unicodedata.normalize("NFC", text)
        if character.isspace() or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn"}
    )
    return " ".join(_FORBIDDEN.sub("_", seen).split())
