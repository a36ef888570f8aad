"""Finding tracks by the names of their categories.

Names are looked up when a query is made, not written into the index, so that a new name counts at once.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from openstage.catalogue import text
from openstage.catalogue.models import Categories, CategoryKind

Found = dict[CategoryKind, set[int]]


@dataclass(frozen=True, slots=True)
class CategoryWords:
    """The words of all categories' names: which categories each of them, its parts and its sound belong to."""

    words: dict[str, Found] = field(default_factory=dict)
    parts: dict[str, Found] = field(default_factory=dict)
    sounds: dict[str, Found] = field(default_factory=dict)

    @classmethod
    def of(cls, categories: Categories) -> "CategoryWords":
        """Take the names and other names of all genres, moods and instruments."""
        made = cls(defaultdict(dict), defaultdict(dict), defaultdict(dict))
        for category in (*categories.genres, *categories.moods, *categories.instruments):
            for name in (category.name, *category.aliases):
                for found, words in (
                    (made.words, text.indexed_words(name)),
                    (made.parts, text.parts(name)),
                    (made.sounds, text.sounds(name)),
                ):
                    for word in words:
                        found[word].setdefault(category.kind, set()).add(category.id)
        return cls(dict(made.words), dict(made.parts), dict(made.sounds))

    def word(self, word: str) -> Found:
        """Return the categories with a word in a name."""
        return self.words.get(word, {})

    def sound(self, word: str) -> Found:
        """Return the categories with a name that sounds so."""
        return self.sounds.get(word, {})

    def beginning(self, word: str) -> Found:
        """Return the categories with a word that begins so."""
        return _together(found for each, found in self.words.items() if each.startswith(word))

    def inside(self, word: str) -> Found:
        """Return the categories with a word that has this in it."""
        return _together(found for each, found in self.words.items() if word in each)

    def near(self, word: str) -> Found:
        """Return the categories with a word that differs in one letter."""
        return _together(found for each, found in self.words.items() if one_off(word, each))


def one_off(first: str, second: str) -> bool:
    """Tell whether one letter too many, too few, another one, or two neighbours that changed places part two words."""
    if abs(len(first) - len(second)) > 1:
        return False
    start = 0
    while start < min(len(first), len(second)) and first[start] == second[start]:
        start += 1
    one, other = first[start:], second[start:]
    return (
        one[1:] == other[1:] or one == other[1:] or one[1:] == other or (one[1::-1] + one[2:] == other and len(one) > 1)
    )


def _together(each: Iterable[Found]) -> Found:
    every: Found = {}
    for found in each:
        for kind, ids in found.items():
            every.setdefault(kind, set()).update(ids)
    return every
