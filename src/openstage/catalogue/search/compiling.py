"""From the tree of a query to what tantivy runs.

A word means the tracks that have it in title, artist, description or a category's name. A word that none has means
those in which it is a part of a word, or sounds so, or differs in one letter. What a word means depends on the word and
the index alone, so that `a and b` is always within `a`, and `not a` is always the rest.

A bare list of words that no track has all of is tried again with each word meant more widely (`Reach`).
"""

from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from typing import Final

import tantivy
from tantivy import Occur, Query

from openstage.catalogue import text
from openstage.catalogue.query.nodes import Node, Not, Or, Word
from openstage.catalogue.search.category_words import CategoryWords, Found
from openstage.catalogue.search.schema import CATEGORY_FIELDS, WORDS

BOOSTS: Final = {"title": 3.0, "artist": 2.0, "description": 1.0}
CATEGORY_SCORE: Final = 4.0
PART_SCORE: Final = 2.0
"""What stands for a word by less than all of it counts less than most words."""
SHORTEST_PART, SHORTEST_TYPO, SHORTEST_BEGINNING = 3, 4, 2
"""Letters of a word that is looked for inside others; with a letter wrong; at the beginning of others."""


class Reach(IntEnum):
    """How widely the words of a bare list are meant: exactly, also as parts or pinyin, Chinese also misspelt."""

    EXACT = 0
    PARTS = 1
    TYPOS = 2


class Compiler:
    """Makes queries for one state of an index; for one thread."""

    def __init__(
        self, schema: tantivy.Schema, searcher: tantivy.Searcher, names: CategoryWords, *, deleted: int = 0
    ) -> None:
        """Take a state of the index; `deleted`: how many tracks its counts still hold that it has no more."""
        self._schema = schema
        self._searcher = searcher
        self._names = names
        self._deleted = deleted
        self.widened = False
        """Whether something other than the words themselves was taken, because none has them."""

    def node(self, node: Node) -> Query:
        """Return the query of a tree."""
        if isinstance(node, Word):
            return every(self.piece(piece) for piece in text.pieces(node.text))
        if isinstance(node, Not):
            return without(Query.all_query(), [self.node(node.node)])
        if isinstance(node, Or):
            return some(self.node(each) for each in node.nodes)
        refused = [each.node for each in node.nodes if isinstance(each, Not)]
        wanted = [self.node(each) for each in node.nodes if not isinstance(each, Not)]
        found = every(wanted) if wanted else Query.all_query()
        return without(found, [self.node(each) for each in refused]) if refused else found

    def bare(self, words: Sequence[Word], reach: Reach) -> Query:
        """Return the query for all words of a bare list, each meant as widely as `reach` says."""
        return every(self.piece(piece, reach) for word in words for piece in text.pieces(word.text))

    def any_of(self, words: Sequence[Word]) -> Query:
        """Return the query for at least one word of a bare list."""
        return some(
            self._word(segment)
            for word in words
            for piece in text.pieces(word.text)
            for segment in (text.segments(piece) if text.is_run(piece) else [text.joined(piece)])
        )

    def piece(self, piece: str, reach: Reach = Reach.EXACT) -> Query:
        """Return the query for a word, or a stretch of Chinese."""
        widths = self._run_widths(piece) if text.is_run(piece) else self._word_widths(text.joined(piece))
        if reach is not Reach.EXACT:
            return some(query for width in widths[: reach + 1] if (query := width()) is not None)
        for number, width in enumerate(widths):
            query = width()
            certain = number == len(widths) - 1 or (number == 0 and self._common(piece))
            if query is not None and (certain or self._matches(query)):
                self.widened = self.widened or number > 0
                return query
        return Query.empty_query()

    # --- words of scripts with spaces -------------------------------------------------------------------------
    def _word_widths(self, word: str) -> list[Callable[[], Query | None]]:
        return [
            lambda: self._word(word) if self._known(word) else None,
            lambda: self._part(word),
            # What is a word isn't taken for a slip of another one: that costs most, and seldom finds what was meant.
            lambda: None if self._known(word) else self._typo(word),
        ]

    def _part(self, word: str) -> Query | None:
        ways = [self._sound(word)]
        if len(word) >= SHORTEST_BEGINNING:
            ways += [Query.fuzzy_term_query(self._schema, name, word, 0, prefix=True) for name in WORDS]
            ways += self._categories(self._names.beginning(word))
        if len(word) >= SHORTEST_PART:
            ways.append(every(self._term("parts", part) for part in text.trigrams(word)))
            ways += self._categories(self._names.inside(word))
        return _scored(some(ways))

    def _typo(self, word: str) -> Query | None:
        if len(word) < SHORTEST_TYPO:
            return None
        ways = [Query.fuzzy_term_query(self._schema, name, word, 1) for name in (*WORDS, "sound")]
        return _scored(some([*ways, *self._categories(self._names.near(word))]))

    def _sound(self, word: str) -> Query:
        return some([self._term("sound", word), *self._categories(self._names.sound(word))])

    # --- stretches of Chinese ---------------------------------------------------------------------------------
    def _run_widths(self, run: str) -> list[Callable[[], Query | None]]:
        segments = text.segments(run)
        return [
            lambda: self._run(run, segments),
            lambda: _scored(self._side_by_side(run)),
            lambda: self._misspelt(run),
            lambda: _most([self._segment(segment) for segment in segments]) if len(segments) > 1 else None,
        ]

    def _run(self, run: str, segments: Sequence[str]) -> Query:
        """All words of a stretch; or, however the text was cut, the stretch itself."""
        words = every(self._segment(segment) for segment in segments)
        return words if len(segments) == 1 else some([words, self._side_by_side(run)])

    def _side_by_side(self, run: str) -> Query:
        return every(self._term("parts", pair) for pair in text.bigrams(run))

    def _segment(self, segment: str) -> Query:
        """A word that the text is cut into; where no text was cut so, its characters side by side."""
        if self._known(segment):
            return self._word(segment)
        named = {kind: ids for kind, ids in self._names.inside(segment).items() if ids}
        return _scored(some([self._side_by_side(segment), *self._categories(named)]))

    def _misspelt(self, run: str) -> Query | None:
        """A stretch that sounds so, or that shares all pairs of characters but those with one wrong character."""
        sounding = [self._term("sound", pair) for pair in text.syllable_pairs(run)]
        if not sounding:
            return None
        ways = [every(sounding), *self._categories(self._names.sound("".join(text.syllables(run))))]
        if len(sounding) > 2:
            pairs = [self._term("parts", pair) for pair in text.bigrams(run)]
            ways.append(Query.boolean_query([(Occur.Should, pair) for pair in pairs], len(pairs) - 2))
        return _scored(some(ways))

    # --- pieces of queries ------------------------------------------------------------------------------------
    def _word(self, word: str) -> Query:
        return some(
            [
                *(Query.boost_query(self._term(name, word), boost) for name, boost in BOOSTS.items()),
                *self._categories(self._names.word(word)),
            ]
        )

    def _known(self, word: str) -> bool:
        return bool(self._names.word(word)) or any(self._searcher.doc_freq(name, word) for name in WORDS)

    def _common(self, piece: str) -> bool:
        """Whether so many tracks have a word that they can't all be deleted ones, so that one needn't be looked for.

        To look for one costs as much as the search: all that match are scored.
        """
        words = text.segments(piece) if text.is_run(piece) else [text.joined(piece)]
        return len(words) == 1 and any(self._searcher.doc_freq(name, words[0]) > self._deleted for name in WORDS)

    def _matches(self, query: Query) -> bool:
        return self._searcher.search(query, limit=1, count=False).hits != []

    def _term(self, name: str, word: str) -> Query:
        return Query.term_query(self._schema, name, word, "basic" if name in {"parts", "sound"} else "freq")

    def _categories(self, found: Found) -> list[Query]:
        return [
            Query.const_score_query(self._category(CATEGORY_FIELDS[kind], sorted(ids)), CATEGORY_SCORE)
            for kind, ids in found.items()
        ]

    def _category(self, name: str, ids: Sequence[int]) -> Query:
        if len(ids) == 1:  # which is most of them, and quicker than a set of one
            return Query.term_query(self._schema, name, ids[0], "basic")
        return Query.term_set_query(self._schema, name, list(ids))


def every(queries: Iterable[Query]) -> Query:
    """Return the query for what all match; nothing if there are none."""
    return _joined(queries, Occur.Must)


def some(queries: Iterable[Query]) -> Query:
    """Return the query for what one of them matches; nothing if there are none."""
    return _joined(queries, Occur.Should)


def without(query: Query, refused: Iterable[Query]) -> Query:
    """Return the query for what one matches and none of the others."""
    return Query.boolean_query([(Occur.Must, query), *((Occur.MustNot, each) for each in refused)])


def _joined(queries: Iterable[Query], occur: Occur) -> Query:
    each = list(queries)
    if not each:
        return Query.empty_query()
    return each[0] if len(each) == 1 else Query.boolean_query([(occur, query) for query in each])


def _most(queries: Sequence[Query]) -> Query:
    """Two thirds of the queries, at least one."""
    return Query.boolean_query([(Occur.Should, query) for query in queries], max(1, len(queries) * 2 // 3))


def _scored(query: Query) -> Query:
    return Query.boost_query(query, 1.0 / PART_SCORE)
