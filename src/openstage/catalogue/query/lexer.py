"""The tokens of a query and where they stand."""

import unicodedata
from dataclasses import dataclass
from typing import Final, Literal

TokenKind = Literal["word", "and", "or", "not", "(", ")", "end"]
OPERATORS: Final[dict[str, TokenKind]] = {"and": "and", "or": "or", "not": "not"}
PARENTHESES: Final[dict[str, TokenKind]] = {"(": "(", ")": ")"}


@dataclass(frozen=True, slots=True)
class Token:
    """A word, an operator, a parenthesis or the end; `position` counts characters of the query from 0."""

    kind: TokenKind
    text: str
    position: int


def tokens(text: str) -> list[Token]:
    """Return the tokens of a query, the end as the last of them.

    Spaces and parentheses part tokens, in half and full width. An operator is a whole token in any case and width:
    `AND`, `Ａｎｄ`; inside a word (`android`, `云南and民族`) it is part of the word.
    """
    found: list[Token] = []
    start = 0
    for position, character in enumerate(text + " "):
        plain = unicodedata.normalize("NFKC", character)
        if not (plain.isspace() or plain in PARENTHESES or _invisible(character)):
            continue
        if start < position:
            word = text[start:position]
            name = unicodedata.normalize("NFKC", word).casefold()
            found.append(Token(OPERATORS.get(name, "word"), word, start))
        if plain in PARENTHESES:
            found.append(Token(PARENTHESES[plain], character, position))
        start = position + 1
    return [*found, Token("end", "", len(text))]


def _invisible(character: str) -> bool:
    """Control characters, and spaces without width that come with copied text."""
    return unicodedata.category(character) in {"Cc", "Cf"} and character != "\u200d"
