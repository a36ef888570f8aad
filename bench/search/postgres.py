"""PostgreSQL's own full-text search on the same tracks and queries, with the same words by the same segmentation."""

import time
from collections.abc import Sequence
from typing import Any

import psycopg

from bench.search.load import Asked
from openstage.catalogue import text
from openstage.catalogue.query.nodes import And, Node, Not, Word
from openstage.catalogue.query.parser import parse

_TABLE = """
    create table fts (id bigint primary key, words tsvector, genre_ids bigint[], mood_ids bigint[],
                      instrument_ids bigint[], bpm real, duration integer, heat integer)
    """
_ROWS = """
    select track.id, title, artist, description, genre_ids, mood_ids, instrument_ids, given_bpm,
           given_duration_ms / 1000, heat from track
    """


def prepare(connection: "psycopg.Connection[Any]") -> float:
    """Make the table and its indexes; returns the seconds that took."""
    began = time.perf_counter()
    names = {
        row[0]: f"{row[1]} {' '.join(row[2])}" for row in connection.execute("select id, name, aliases from category")
    }
    connection.execute(_TABLE)
    with (
        connection.transaction(),
        connection.cursor(name="rows") as cursor,
        psycopg.connect(connection.info.dsn, password=connection.info.password, autocommit=True) as other,
        other.cursor().copy("copy fts from stdin") as copy,
    ):
        cursor.execute(_ROWS)
        for number, title, artist, description, genres, moods, instruments, bpm, duration, heat in cursor:
            said = " ".join([title, artist, description, *(names[each] for each in (*genres, *moods, *instruments))])
            lexemes = sorted({word.replace("'", "") for word in text.indexed_words(said)})
            vector = " ".join(f"'{word}'" for word in lexemes)
            copy.write_row([number, vector, genres, moods, instruments, bpm, duration, heat])
    connection.execute("create index on fts using gin (words)")
    connection.execute("create index on fts using gin (genre_ids)")
    connection.execute("create index on fts using gin (instrument_ids)")
    connection.execute("create index on fts (bpm)")
    connection.execute("analyze fts")
    return time.perf_counter() - began


def ask(connection: "psycopg.Connection[Any]", asked: Sequence[Asked]) -> list[tuple[str, float]]:
    """Run queries one after the other: a page by rank and the number of all, as the interface wants them."""
    bands = {row[0]: (row[1], row[2]) for row in connection.execute("select id, low, high from bpm_band")}
    took = []
    for each in asked:
        condition, values, order = _condition(each.parameters, bands)
        began = time.perf_counter()
        connection.execute(f"select id from fts where {condition} order by {order} limit 30", values).fetchall()
        connection.execute(f"select count(*) from fts where {condition}", values).fetchone()
        took.append((each.kind, time.perf_counter() - began))
    return took


def _condition(asked: dict[str, Any], bands: dict[int, tuple[float, float]]) -> tuple[str, dict[str, Any], str]:
    conditions, values, order = ["true"], dict(asked), "id desc"
    node = parse(asked.get("keyword", ""))
    if node is not None:
        values["query"] = _tsquery(node)
        conditions.append("words @@ %(query)s::tsquery")
        order = "ts_rank(words, %(query)s::tsquery) desc, id desc"
    conditions += [
        f"{name}s @> array[%({name})s]::bigint[]" for name in ("genre_id", "mood_id", "instrument_id") if name in asked
    ]
    if "bpm_id" in asked:
        values["low"], values["high"] = bands[asked["bpm_id"]]
        conditions.append("bpm >= %(low)s and bpm < %(high)s")
    if "duration_from" in asked:
        conditions.append("duration between %(duration_from)s and %(duration_to)s")
    if asked.get("sort") == "heat":
        conditions.append("heat is not null")
        order = "heat desc"
    elif asked.get("sort") == "bpm":
        order = "bpm"
    return " and ".join(conditions), values, order


def _tsquery(node: Node) -> str:
    if isinstance(node, Word):
        words = [
            word
            for piece in text.pieces(node.text)
            for word in (text.segments(piece) if text.is_run(piece) else [text.joined(piece)])
        ]
        return "(" + " & ".join(f"'{word}'" for word in words) + ")"
    if isinstance(node, Not):
        return f"!{_tsquery(node.node)}"
    return "(" + (" & " if isinstance(node, And) else " | ").join(map(_tsquery, node.nodes)) + ")"
