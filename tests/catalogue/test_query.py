"""What queries mean, and what is said of those that break."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openstage.catalogue.errors import BadQuery
from openstage.catalogue.query.nodes import And, Node, Not, Or, Word, bare_words
from openstage.catalogue.query.parser import LONGEST, MOST_WORDS, parse

A, B, C = Word("a"), Word("b"), Word("c")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a", A),
        ("a b", And((A, B), written=False)),
        ("a and b", And((A, B))),
        ("a or b c", Or((A, And((B, C), written=False)))),
        ("a AND b Or c", Or((And((A, B)), C))),
        ("a ＡＮＤ（b ｏｒ c）", And((A, Or((B, C))))),
        ("not a", Not(A)),
        ("a not b", And((A, Not(B)), written=False)),
        ("not not a", Not(Not(A))),
        ("a and not (b or c)", And((A, Not(Or((B, C)))))),
        ("not a or b", Or((Not(A), B))),
        ("a\u3000b\tc", And((A, B, C), written=False)),
        ("android norton", And((Word("android"), Word("norton")), written=False)),
        ("a !!! b", And((A, B), written=False)),
    ],
)
def test_queries_mean_what_they_say(text: str, tree: Node) -> None:
    assert parse(text) == tree


def test_only_words_side_by_side_are_a_bare_list() -> None:
    assert [
        text for text in ("a", "a b", "(a)", "a and b", "(a b)", "a not b", "a or b") if bare_words(_tree(text))
    ] == [
        "a",
        "a b",
        "(a)",
    ]


@pytest.mark.parametrize("text", ["", "  ", "!!!", "…、。"])
def test_what_says_nothing_asks_for_everything(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("text", "position", "hint"),
    [
        ("(a or b", 0, "is not closed"),
        ("a) b", 1, "closes nothing"),
        ("a and", 2, "no word behind it"),
        ("a and and b", 2, "no word behind it"),
        ("or a", 0, "no word before it"),
        ("云南 not", 3, "no word behind it"),
        ("a ()", 2, "nothing in the parentheses"),
        ("a （ or b）", 4, "no word before it"),
        ("not", 0, "no word behind it"),
        ("!!! and a", 4, "no word before it"),
        ("x" * 10_000, LONGEST, "10000 characters"),
        ("a " * (MOST_WORDS + 1), MOST_WORDS * 2, "51 words"),
        ("(" * 30 + "a" + ")" * 30, 20, "deep"),
        ("not " * 30 + "a", 80, "deep"),
    ],
)
def test_broken_queries_are_told_where_they_break(text: str, position: int, hint: str) -> None:
    with pytest.raises(BadQuery) as broken:
        parse(text)
    assert broken.value.position == position
    assert hint in broken.value.message
    assert len(broken.value.message) < 300


@given(st.text(st.sampled_from("ab云南 ()（）\u3000!\x00\ud800é-'\"*?:^~\\") | st.characters(), max_size=60))
def test_any_text_is_a_query_or_is_refused_as_one(text: str) -> None:
    broken: BadQuery | None = None
    try:
        parse(text)
    except BadQuery as error:
        broken = error
    assert broken is None or 0 <= broken.position <= len(text)


def _tree(text: str) -> Node:
    tree = parse(text)
    assert tree is not None
    return tree
