"""Text as it is searched: folded, cut into words, with what a word sounds like.

The same functions prepare what is indexed and what is asked for, so that both always agree.
"""

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise
from typing import Final

import rjieba

LONGEST_WORD: Final = 64
"""Letters of a word that count; the rest is cut off, in the index as in queries."""
LONGEST_SOUND: Final = 8
"""Longest stretch of Chinese that is known by its whole sound or its initials, in characters."""

_REMEMBERED: Final = 16
"""Longest stretch of Chinese whose words are remembered: titles repeat, sentences don't."""

# Chinese and Japanese, written without spaces. Half-width forms have become full ones before.
_WITHOUT_SPACES: Final = (
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_RUN: Final = re.compile(rf"[{_WITHOUT_SPACES}]+")
_PIECE: Final = re.compile(rf"[{_WITHOUT_SPACES}]+|[^\W_{_WITHOUT_SPACES}]+(?:'[^\W_{_WITHOUT_SPACES}]+)*")
_ACCENTS: Final = re.compile("[\u0300-\u036f]")
# Letters that Unicode doesn't take apart, and the apostrophes that people type.
_LETTERS: Final = str.maketrans(
    {
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "þ": "th",
        "æ": "ae",
        "œ": "oe",
        "ı": "i",
        "’": "'",
        "‘": "'",
        "ʼ": "'",
        "＇": "'",
    }
)


def warm_up() -> None:
    """Load what the first use would load: dictionaries of words and of sounds."""
    syllables("云南")


def fold(text: str) -> str:
    """Return text without what doesn't count in a search: case, accents of Latin letters, full and half width."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_LETTERS)
    return unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", folded)))


def pieces(text: str) -> list[str]:
    """Return the pieces of text, folded: words of scripts with spaces, and whole stretches of Chinese or Japanese."""
    return [piece if is_run(piece) else piece[:LONGEST_WORD] for piece in _PIECE.findall(fold(text))]


def is_run(piece: str) -> bool:
    """Tell whether a piece is a stretch of a script without spaces."""
    return _RUN.match(piece) is not None


def joined(word: str) -> str:
    """Return a word of a script with spaces as it is looked for: `beginner's` as `beginners`."""
    return word.replace("'", "")


def segments(run: str) -> list[str]:
    """Return the words of a stretch of Chinese, one after the other."""
    return list(_segments(run) if len(run) <= _REMEMBERED else rjieba.cut(run))


def indexed_words(text: str) -> list[str]:
    """Return all words under which text is found; a long Chinese word also under the words in it."""
    words: list[str] = []
    for piece in pieces(text):
        if is_run(piece):
            words += _searched_segments(piece) if len(piece) <= _REMEMBERED else rjieba.cut_for_search(piece)
        else:
            words.append(joined(piece))
            if "'" in piece:
                words.append(piece.partition("'")[0])
    return words


def bigrams(run: str) -> list[str]:
    """Return each two neighbouring characters of a stretch of Chinese, or its only one."""
    return [run[at : at + 2] for at in range(len(run) - 1)] or [run]


def trigrams(word: str) -> list[str]:
    """Return each three neighbouring letters of a word; none of a shorter one."""
    return [word[at : at + 3] for at in range(len(word) - 2)]


def parts(text: str) -> list[str]:
    """Return what parts of words are found by: single characters and neighbours of Chinese, trigrams of other words."""
    found: dict[str, None] = {}
    for piece in pieces(text):
        if is_run(piece):
            found |= dict.fromkeys(piece)
            found |= dict.fromkeys(bigrams(piece))
        else:
            found |= dict.fromkeys(trigrams(joined(piece)))
    return list(found)


def syllable_pairs(run: str) -> list[str]:
    """Return how each two neighbouring characters sound, without tones; of a single one nothing."""
    return [first + second for first, second in pairwise(syllables(run))]


def sounds(text: str) -> list[str]:
    """Return what Chinese is found by in Latin letters: pinyin and its initials, of words, stretches and pairs."""
    found: dict[str, None] = {}
    for run in _RUN.findall(fold(text)):
        found |= dict.fromkeys(_sounds(run))
    return list(found)


@lru_cache(maxsize=100_000)
def _segments(run: str) -> tuple[str, ...]:
    return tuple(rjieba.cut(run))


@lru_cache(maxsize=100_000)
def _searched_segments(run: str) -> tuple[str, ...]:
    return tuple(rjieba.cut_for_search(run))


@lru_cache(maxsize=100_000)
def syllables(run: str) -> tuple[str, ...]:
    """Return how a stretch of Chinese sounds, character by character, without tones."""
    # Word by word: the sound of a character depends on its word, and words repeat.
    return tuple(syllable for word in _segments(run) for syllable in _word_syllables(word))


@lru_cache(maxsize=100_000)
def _word_syllables(word: str) -> tuple[str, ...]:
    # Half a second and 50 MB, which most servers and commands never need.
    from pypinyin import lazy_pinyin  # noqa: PLC0415

    return tuple(fold(syllable) for syllable in lazy_pinyin(word))


@lru_cache(maxsize=100_000)
def _sounds(run: str) -> tuple[str, ...]:
    found = dict.fromkeys(syllable_pairs(run))
    for word in {*_segments(run), run}:
        if len(word) <= LONGEST_SOUND:
            spoken = syllables(word)
            found["".join(spoken)] = None
            if len(spoken) > 1:
                found["".join(syllable[:1] for syllable in spoken)] = None
    return tuple(found)
