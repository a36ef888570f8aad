"""Searching one state of the index."""

import math
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import tantivy
from tantivy import FieldType, Order, Query

from openstage.catalogue.errors import BadValue, UnknownCategory
from openstage.catalogue.models import DEEPEST, BpmBand, Categories, Matched, Search, Sort, TrackSummary
from openstage.catalogue.query.nodes import Node, bare_words
from openstage.catalogue.search.category_words import CategoryWords
from openstage.catalogue.search.compiling import Compiler, Reach, every
from openstage.catalogue.search.schema import summary_of

_ORDERS: Final[dict[Sort, tuple[str, Order]]] = {
    "newest": ("by_newest", Order.Desc),
    "heat": ("by_heat", Order.Desc),
    "duration": ("by_duration", Order.Asc),
    "-duration": ("by_duration", Order.Desc),
    "bpm": ("by_bpm", Order.Asc),
    "-bpm": ("by_bpm", Order.Desc),
}
_LARGEST: Final = 2**62
_REMEMBERED: Final = 1000
"""Pages that are remembered while the index stays as it is: most catalogues are asked the same a lot."""
_LONGEST: Final = 2**31
"""Seconds of any track."""


@dataclass(frozen=True, slots=True)
class Names:
    """The categories, and the words by which they are found; made again whenever one changes."""

    categories: Categories
    words: CategoryWords

    @classmethod
    def of(cls, categories: Categories) -> "Names":
        """Take all categories."""
        return cls(categories, CategoryWords.of(categories))

    def band(self, band_id: int) -> BpmBand:
        """Return a band of tempo.

        Raises:
            UnknownCategory: there is none of this number.

        """
        for band in self.categories.bpms:
            if band.id == band_id:
                return band
        known = ", ".join(str(band.id) for band in self.categories.bpms)
        raise UnknownCategory(f"There is no bpm_id {band_id}; there are {known}.")


@dataclass(frozen=True, slots=True)
class Hits:
    """The tracks of a page, in order, as the index keeps them; how many there are in all; how they match."""

    stored: list[bytes]
    total: int
    matched: Matched = "all"

    @property
    def tracks(self) -> list[TrackSummary]:
        """The tracks; made anew each time, as pages are remembered in large numbers."""
        return [summary_of(each) for each in self.stored]


class Reader:
    """One state of an index, for any number of threads; remembers what was asked last."""

    def __init__(self, index: tantivy.Index) -> None:
        self._schema = index.schema
        self._searcher = index.searcher()
        # Every track has one of the two, deleted ones too until their segment is written anew.
        held = sum(self._searcher.doc_freq("vhifun", value) for value in (0, 1))
        self._deleted = held - self._searcher.num_docs
        self._remembered: OrderedDict[Search, Hits] = OrderedDict()
        self._names: Names | None = None
        self._lock = threading.Lock()

    @property
    def tracks(self) -> int:
        """How many tracks are in it."""
        return self._searcher.num_docs

    def remembered(self, wanted: Search, names: Names) -> Hits | None:
        """Return what `find` gave before, if it was asked; takes no time."""
        with self._lock:
            if self._names is not names:
                self._names = names
                self._remembered.clear()
            return self._remembered.get(wanted)

    def find(self, wanted: Search, node: Node | None, names: Names) -> Hits:
        """Return a page of what is found; `node` is the tree of `wanted.text`.

        Raises:
            UnknownCategory: there is no such band of tempo.

        """
        hits = self._find(wanted, node, names)
        with self._lock:
            if self._names is names:
                self._remembered[wanted] = hits
                while len(self._remembered) > _REMEMBERED:
                    self._remembered.popitem(last=False)
        return hits

    def _find(self, wanted: Search, node: Node | None, names: Names) -> Hits:
        filters = self._filters(wanted, names)
        if node is None:
            return self._page(wanted, [*filters] or [Query.all_query()], "all", ranked=False)
        compiler = Compiler(self._schema, self._searcher, names.words, deleted=self._deleted)
        query = compiler.node(node)
        hits = self._page(wanted, [query, *filters], "widened" if compiler.widened else "all")
        words = bare_words(node)
        if words is None or self._has(hits, query, filters):
            return hits
        # Nothing has all the words, whatever else was asked for: the words are meant more widely.
        for reach in (Reach.PARTS, Reach.TYPOS):
            query = compiler.bare(words, reach)
            hits = self._page(wanted, [query, *filters], "widened")
            if self._has(hits, query, filters):
                return hits
        return self._page(wanted, [compiler.any_of(words), *filters], "any")

    def _has(self, hits: Hits, query: Query, filters: list[Query]) -> bool:
        """Whether a query matches anything, with filters or without them."""
        return hits.total > 0 or (bool(filters) and self._any(query))

    def _any(self, query: Query) -> bool:
        return bool(self._searcher.search(query, limit=1, count=False).hits)

    def _page(self, wanted: Search, required: list[Query], matched: Matched, *, ranked: bool = True) -> Hits:
        sort: Sort = "newest" if wanted.sort == "relevance" and not ranked else wanted.sort
        if sort == "heat":
            required = [*required, _unscored(Query.exists_query("by_heat"))]
        query = every(required)
        offset = (wanted.page - 1) * wanted.per_page
        limit = min(wanted.per_page, DEEPEST - offset)
        if sort == "relevance":
            found = self._searcher.search(query, limit, offset=offset)
        else:
            name, order = _ORDERS[sort]
            found = self._searcher.search(query, limit, offset=offset, order_by_field=name, order=order)
        stored: list[bytes] = [self._searcher.doc(address)["summary"][0] for _, address in found.hits]
        total: int = found.count  # type: ignore[attr-defined]
        return Hits(stored, total, matched if total else "all")

    def _filters(self, wanted: Search, names: Names) -> list[Query]:
        exact = {
            "genre": wanted.genre_id,
            "mood": wanted.mood_id,
            "instrument": wanted.instrument_id,
            "level": wanted.level_id,
            "vhifun": None if wanted.vhifun is None else int(wanted.vhifun),
            "purchasable": None if wanted.purchasable is None else int(wanted.purchasable),
        }
        return [_unscored(query) for query in (*self._exact(exact.items()), *self._ranges(wanted, names))]

    def _exact(self, values: Iterable[tuple[str, int | None]]) -> list[Query]:
        return [
            Query.term_query(self._schema, name, value, "basic") if abs(value) < _LARGEST else Query.empty_query()
            for name, value in values
            if value is not None
        ]

    def _ranges(self, wanted: Search, names: Names) -> list[Query]:
        ranges: list[Query] = []
        if wanted.bpm_id is not None:
            band = names.band(wanted.bpm_id)
            fastest = band.high == max(each.high for each in names.categories.bpms)
            high = math.ceil(band.high) - (0 if fastest else 1)
            ranges.append(
                Query.range_query(
                    self._schema, "bpm", FieldType.Integer, math.ceil(band.low), high, use_inverted_index=True
                )
            )
        if wanted.duration_from is not None or wanted.duration_to is not None:
            low = 0 if wanted.duration_from is None else _seconds(math.ceil(wanted.duration_from))
            high = _LONGEST if wanted.duration_to is None else _seconds(math.floor(wanted.duration_to))
            ranges.append(
                Query.range_query(self._schema, "duration", FieldType.Integer, low, high)
                if low <= high
                else Query.empty_query()
            )
        return ranges


def _seconds(seconds: int) -> int:
    return min(max(seconds, 0), _LONGEST)


def _unscored(query: Query) -> Query:
    return Query.const_score_query(query, 0.0)


def check(wanted: Search) -> None:
    """Refuse what can't be searched for, before anything is done.

    Raises:
        BadValue: the message says which value, and what it may be.

    """
    if wanted.page < 1:
        raise BadValue(f"page is {wanted.page}; pages are counted from 1.")
    low, high = wanted.duration_from, wanted.duration_to
    if low is not None and high is not None and low > high:
        raise BadValue(f"duration_from ({low:g}) is larger than duration_to ({high:g}).")
