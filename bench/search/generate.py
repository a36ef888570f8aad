"""A catalogue of any size that is like a real one: bilingual titles, words by Zipf's law, categories, prices.

The same number and seed give the same catalogue on every machine.
"""

import argparse
import itertools
import json
import random
import sys
from bisect import bisect
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from bench.search.words import CHINESE, ENGLISH, GENRES, INSTRUMENTS, MOODS, tail

SEED = 20261121
TAIL_WORDS = 30_000
ARTISTS = 20_000
LEVELS = ("1", "2", "3", "99", "100")


class Zipf:
    """Draws things, the n-th of them about 1/n as often as the first."""

    def __init__(self, things: Sequence[str], exponent: float = 1.0) -> None:
        self.things = things
        self._sums = list(itertools.accumulate(1 / (rank + 2) ** exponent for rank in range(len(things))))

    def draw(self, source: random.Random) -> str:
        """Return one thing."""
        return self.things[bisect(self._sums, source.random() * self._sums[-1])]

    def several(self, source: random.Random, count: int) -> list[str]:
        """Return up to `count` different ones."""
        return list(dict.fromkeys(self.draw(source) for _ in range(count)))


class Generator:
    """Makes the rows of a catalogue, in the columns that `openstage catalogue import` takes."""

    def __init__(self, seed: int = SEED) -> None:
        chinese, english = tail(TAIL_WORDS, seed)
        self.chinese = Zipf([*CHINESE, *chinese], 0.9)
        self.english = Zipf([*ENGLISH, *english], 0.9)
        names = random.Random(seed + 1)
        self.artists = Zipf([self._artist(names) for _ in range(ARTISTS)], 0.8)
        self.genres, self.moods, self.instruments = (Zipf(names, 0.8) for names in (GENRES, MOODS, INSTRUMENTS))
        self._seed = seed

    def rows(self, count: int) -> Iterator[dict[str, Any]]:
        """Yield the rows."""
        source = random.Random(self._seed + 2)
        for number in range(count):
            yield self._row(number, source)

    def _row(self, number: int, source: random.Random) -> dict[str, Any]:
        return {
            "external_id": f"demo-{number:08}",
            "title": self._title(source),
            "artist": self.artists.draw(source),
            "description": self._description(source),
            "genres": self.genres.several(source, source.choice((1, 1, 2))),
            "moods": self.moods.several(source, source.choice((0, 1, 2))),
            "instruments": self.instruments.several(source, source.choice((1, 2, 3))),
            "bpm": round(min(max(source.gauss(112, 28), 40), 220), 1),
            "duration": round(min(max(source.lognormvariate(4.9, 0.5), 5), 900), 1),
            "level": source.choice(LEVELS),
            "vhifun": source.random() < 0.1,
            "heat": source.randrange(1, 1_000_000) if source.random() < 0.2 else None,
        }

    def _title(self, source: random.Random) -> str:
        kind = source.random()
        chinese = "".join(self.chinese.several(source, source.choice((1, 2, 2, 3))))
        english = " ".join(word.capitalize() for word in self.english.several(source, source.choice((1, 2, 3, 3, 4))))
        if kind < 0.4:
            return chinese
        return english if kind < 0.75 else f"{chinese} {english}"

    def _description(self, source: random.Random) -> str:
        if source.random() < 0.4:
            return ""
        if source.random() < 0.5:
            return "，".join("".join(self.chinese.several(source, 3)) for _ in range(source.randrange(1, 5)))
        return " ".join(self.english.several(source, source.randrange(4, 16)))

    def _artist(self, source: random.Random) -> str:
        kind = source.random()
        if kind < 0.3:
            return f"Z{source.randrange(10**7, 10**8)}"
        if kind < 0.6:
            return "".join(source.choices(self.chinese.things[120:400], k=1)) + source.choice(
                ["乐队", "工作室", "合唱团", "组合"]
            )
        return " ".join(self.english.draw(source).capitalize() for _ in range(2))


def write(count: int, out: TextIO) -> None:
    """Write a catalogue as JSON lines."""
    for row in Generator().rows(count):
        given = {name: value for name, value in row.items() if value is not None}
        print(json.dumps(given, ensure_ascii=False), file=out)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("count", type=int)
    write(arguments.parse_args().count, sys.stdout)
