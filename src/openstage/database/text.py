"""Text as PostgreSQL keeps it.

Text is stored as it was given. Two things can't be: NUL, which PostgreSQL text doesn't hold, and lone surrogates,
which UTF-8 doesn't. Both become U+FFFD, so that the reader sees that something stood there.
"""

_UNSTORABLE = {0: "\ufffd"} | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


def storable(text: str) -> str:
    """Return the text with what can't be stored replaced by U+FFFD."""
    return text.translate(_UNSTORABLE)
