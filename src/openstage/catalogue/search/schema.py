"""What the index holds of a track.

Two numbers say whether an index can be used: one of another `SCHEMA` can't be read by this program; one of another
`CONTENT` can, and is served until it has been made anew.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import tantivy

from openstage.catalogue import text
from openstage.catalogue.models import TrackSummary

SCHEMA: Final = 2
CONTENT: Final = 1

WORDS: Final = ("title", "artist", "description")
"""Fields of words, and beside them the words of categories, which the index holds by number."""
CATEGORY_FIELDS: Final = {"genre": "genre", "mood": "mood", "instrument": "instrument"}
_LOW_BITS: Final = 2**30
_SPACED: Final = "spaced"

TRACK_COLUMNS: Final = """
    track.id, external_id, title, artist, description, genre_ids, mood_ids, instrument_ids, level_id, vhifun, heat,
    coalesce(given_bpm, measured_bpm)::numeric::float8, coalesce(given_duration_ms, file.duration_ms),
    extract(epoch from track.created_at)::bigint, track.file_id is not null,
    track.file_id is not null and exists (
        select from track_offer join offer on offer.id = offer_id where track_id = track.id and retired_at is null),
    removed_at is not null
    """
"""Columns of the rows that `document` takes, of `track left join track_file file on file.id = track.file_id`."""
_TOLD: Final = 8
"""So many of the first columns are the first fields of a `TrackSummary`."""
REMOVED: Final = 16
"""Place of the last column: the track is no longer listed."""


def build_schema() -> tantivy.Schema:
    """Return the fields.

    `parts` holds what parts of Chinese words are found by, `sound` its pinyin. The `by_` fields are orders: numbers
    that are different for each track, so that pages are the same wherever the index keeps it. Equally relevant tracks
    come in the order of the index, the newest first. `summary` is what lists tell of a track: a page is answered from
    the index alone, for thirty rows of the database cost as much as the search.
    """
    builder = tantivy.SchemaBuilder()
    for name in WORDS:
        builder.add_text_field(name, tokenizer_name=_SPACED, index_option="freq")
    for name in ("parts", "sound"):
        builder.add_text_field(name, tokenizer_name=_SPACED, index_option="basic")
    builder.add_integer_field("id", indexed=True, fast=True)
    builder.add_bytes_field("summary", stored=True)
    for name in (*CATEGORY_FIELDS.values(), "level", "vhifun", "purchasable"):
        builder.add_integer_field(name, indexed=True)
    for name in ("bpm", "duration"):
        builder.add_integer_field(name, indexed=True, fast=True)
    for name in ("by_newest", "by_heat", "by_duration", "by_bpm"):
        builder.add_integer_field(name, fast=True)
    return builder.build()


def create(folder: Path) -> tantivy.Index:
    """Make an empty index in an empty folder."""
    index = tantivy.Index(build_schema(), path=str(folder), sort_by_field="id", sort_order=tantivy.Order.Desc)
    return _prepared(index)


def open_index(folder: Path) -> tantivy.Index:
    """Open an index.

    Raises:
        ValueError: it is damaged, or none.

    """
    return _prepared(tantivy.Index.open(str(folder)))


def _prepared(index: tantivy.Index) -> tantivy.Index:
    index.register_tokenizer(_SPACED, tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build())
    index.config_reader("manual")
    return index


def documents(rows: Iterable[Sequence[Any]], schema: tantivy.Schema) -> Iterable[tantivy.Document]:
    """Return the documents of rows of `TRACK_COLUMNS` that are listed."""
    return (tantivy.Document.from_dict(document(row), schema) for row in rows if not row[REMOVED])


def document(row: Sequence[Any]) -> dict[str, Any]:
    """Return what is indexed of a row of `TRACK_COLUMNS`."""
    (
        number, _, title, artist, description, genres, moods, instruments, level, vhifun, heat, bpm, duration,
        made, has_file, sold, _,
    ) = row  # fmt: skip
    low = number % _LOW_BITS
    fields: dict[str, Any] = {
        "summary": _encode([*row[:_TOLD], heat, bpm, duration or 0, has_file]),
        "title": " ".join(text.indexed_words(title)),
        "artist": " ".join(text.indexed_words(artist)),
        "description": " ".join(text.indexed_words(description)),
        "parts": " ".join(dict.fromkeys([*text.parts(title), *text.parts(artist)])),
        "sound": " ".join(dict.fromkeys([*text.sounds(title), *text.sounds(artist)])),
        "id": number,
        "genre": genres,
        "mood": moods,
        "instrument": instruments,
        "vhifun": int(vhifun),
        "purchasable": int(sold),
        "by_newest": made * _LOW_BITS + low,
    }
    if level is not None:
        fields["level"] = level
    if heat is not None:
        fields["by_heat"] = heat * _LOW_BITS + low
    if bpm is not None:
        fields["bpm"] = int(bpm)
        fields["by_bpm"] = round(bpm * 100) * _LOW_BITS + low
    if duration is not None:
        fields["duration"] = (duration + 500) // 1000  # as the track's seconds are shown
        fields["by_duration"] = duration * _LOW_BITS + low
    return fields


def summary_of(stored: bytes) -> TrackSummary:
    """Return what the index keeps of a track for lists."""
    return TrackSummary(*_decode(stored))


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Any]).decode
