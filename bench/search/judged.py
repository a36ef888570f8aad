"""A judged set: queries by which somebody looks for one track that he knows, and which that is.

Each variant writes title and artist of a track as people do: as they are, with a word left unfinished, in other cases
and widths, without accents, with one letter or character wrong, in pinyin.
"""

import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from pypinyin import lazy_pinyin

SEED = 5
_HAN: Final = re.compile(r"[\u4e00-\u9fff]+")
_LATIN: Final = re.compile(r"[A-Za-zÀ-ÿ']+")
_ACCENTED: Final = dict(zip("aeiou", "áéïôü", strict=True))


@dataclass(frozen=True, slots=True)
class Known:
    """A query and the external id of the track that it means."""

    variant: str
    query: str
    external_id: str


def judged(rows: Iterable[dict[str, Any]], each: int) -> list[Known]:
    """Return `each` queries of every variant for tracks among `rows`."""
    source = random.Random(SEED)
    pool = [row for row in rows if len(_words(row["title"])) + len(_HAN.findall(row["title"])) >= 2]
    source.shuffle(pool)
    found: list[Known] = []
    for variant, write in VARIANTS.items():
        wanted = each
        for row in pool:
            text = write(row["title"], source) if wanted else None
            if text is not None:
                found.append(Known(variant, f"{text} {row['artist']}", row["external_id"]))
                wanted -= 1
    return found


def _words(text: str) -> list[str]:
    return _LATIN.findall(text)


def _exact(title: str, _: random.Random) -> str | None:
    return title


def _partial(title: str, source: random.Random) -> str | None:
    long = [word for word in _words(title) if len(word) >= 5]
    if not long:
        return None
    word = source.choice(long)
    return title.replace(word, word[: source.randrange(3, len(word) - 1)], 1)


def _part_of_chinese(title: str, source: random.Random) -> str | None:
    runs = [run for run in _HAN.findall(title) if len(run) >= 4]
    if not runs:
        return None
    start = source.randrange(2)
    return str(runs[0][start : start + max(3, len(runs[0]) - 1)])


def _case(title: str, source: random.Random) -> str | None:
    return "".join(source.choice((str.upper, str.lower))(letter) for letter in title) if _words(title) else None


def _width(title: str, _: random.Random) -> str | None:
    return (
        "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in title)
        if _words(title)
        else None
    )


def _accent(title: str, source: random.Random) -> str | None:
    if not _words(title):
        return None
    return "".join(_ACCENTED.get(letter, letter) if source.random() < 0.3 else letter for letter in title)


def _typo(title: str, source: random.Random) -> str | None:
    long = [word for word in _words(title) if len(word) >= 5]
    if not long:
        return None
    word = source.choice(long)
    at = source.randrange(1, len(word) - 1)
    letter = source.choice("abcdefghijklmnopqrstuvwxyz")
    wrong = source.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + letter + word[at:],
            word[:at] + letter + word[at + 1 :],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        )
    )
    return title.replace(word, wrong, 1)


def _chinese_typo(title: str, source: random.Random) -> str | None:
    runs = [run for run in _HAN.findall(title) if len(run) >= 4]
    if not runs:
        return None
    run = runs[0]
    at = source.randrange(len(run))
    return title.replace(run, run[:at] + source.choice("的在有是和中大为上个国") + run[at + 1 :], 1)


def _initials(title: str, _: random.Random) -> str | None:
    runs = [run for run in _HAN.findall(title) if 3 <= len(run) <= 8]
    return "".join(syllable[0] for syllable in lazy_pinyin(runs[0])) if runs else None


def _pinyin(title: str, _: random.Random) -> str | None:
    runs = [run for run in _HAN.findall(title) if 2 <= len(run) <= 8]
    return "".join(lazy_pinyin(runs[0])) if runs else None


VARIANTS: Final[dict[str, Callable[[str, random.Random], str | None]]] = {
    "exact": _exact,
    "partial": _partial,
    "part of Chinese": _part_of_chinese,
    "case": _case,
    "width": _width,
    "accent": _accent,
    "one typo": _typo,
    "one wrong character": _chinese_typo,
    "pinyin": _pinyin,
    "pinyin initials": _initials,
}
WANTED: Final = dict.fromkeys(("exact", "partial", "part of Chinese", "case", "width", "accent"), 0.98) | {
    "one typo": 0.80
}
"""Part of the queries whose track is among the first ten, at least."""
