"""Queries as trees.

    query  = either
    either = all { "or" all }
    all    = one { ["and"] one }
    one    = { "not" } ( word | "(" either ")" )

So `not` binds before `and`, `and` before `or`, and words side by side are joined by `and`.
"""

from typing import Final

from openstage.catalogue import text as analysis
from openstage.catalogue.errors import BadQuery
from openstage.catalogue.query.lexer import Token, tokens
from openstage.catalogue.query.nodes import And, Node, Not, Or, Word

LONGEST: Final = 500
"""Characters of a query."""
MOST_WORDS: Final = 50
DEEPEST: Final = 20
"""Parentheses inside parentheses, and `not` before `not`."""


def parse(text: str) -> Node | None:
    """Return what a query says; None if it says nothing (only spaces, or only signs that no word has).

    Raises:
        BadQuery: it breaks somewhere; the message says where and what to do.

    """
    if len(text) > LONGEST:
        raise BadQuery(
            f"The keyword has {len(text)} characters; at most {LONGEST} are allowed: leave out what stands behind"
            f" character {LONGEST}.",
            LONGEST,
        )
    every = tokens(text)
    said = [each for each in every if each.kind != "word" or analysis.pieces(each.text)]
    words = [each for each in said if each.kind == "word"]
    if len(words) > MOST_WORDS:
        raise BadQuery(
            f"The keyword has {len(words)} words; at most {MOST_WORDS} are allowed: leave out everything from"
            f" {_named(words[MOST_WORDS])} on.",
            words[MOST_WORDS].position,
        )
    if len(said) == 1 or (not words and all(each.kind == "word" for each in every[:-1])):
        return None
    return _Parser(said).whole()


class _Parser:
    """Goes through the tokens once."""

    def __init__(self, every: list[Token]) -> None:
        self._tokens = every
        self._at = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._either()
        if self._now().kind == ")":
            raise BadQuery(
                f"{_named(self._now())} closes nothing: remove it, or write “(” before.", self._now().position
            )
        return node

    def _now(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._now()
        self._at += 1
        return token

    def _either(self) -> Node:
        nodes = [self._all()]
        while self._now().kind == "or":
            self._next()
            nodes.append(self._all())
        return nodes[0] if len(nodes) == 1 else Or(tuple(nodes))

    def _all(self) -> Node:
        nodes = [self._one()]
        written = False
        while self._now().kind in {"and", "word", "not", "("}:
            if self._now().kind == "and":
                written = True
                self._next()
            nodes.append(self._one())
        return nodes[0] if len(nodes) == 1 else And(tuple(nodes), written)

    def _one(self) -> Node:
        token = self._next()
        if token.kind == "word":
            return Word(token.text)
        if token.kind not in {"not", "("}:
            self._complain(token)
        self._depth += 1
        if self._depth > DEEPEST:
            raise BadQuery(
                f"Parentheses and “not” are more than {DEEPEST} deep at {_named(token)}: simplify.", token.position
            )
        node = Not(self._one()) if token.kind == "not" else self._group(token)
        self._depth -= 1
        return node

    def _group(self, opening: Token) -> Node:
        if self._now().kind == ")":
            raise BadQuery(
                f"There is nothing in the parentheses at character {opening.position + 1}: write words in them.",
                opening.position,
            )
        node = self._either()
        if self._now().kind != ")":
            raise BadQuery(f"{_named(opening)} is not closed: write “)” where it ends.", opening.position)
        self._next()
        # What stands in parentheses was put together on purpose: it isn't part of a bare list.
        return And(node.nodes) if isinstance(node, And) else node

    def _complain(self, token: Token) -> None:
        before = self._tokens[self._at - 2] if self._at > 1 else None
        if before is not None and before.kind in {"and", "or", "not"}:
            raise BadQuery(f"{_named(before)} has no word behind it: write one, or remove it.", before.position)
        if token.kind in {"and", "or"}:
            raise BadQuery(f"{_named(token)} has no word before it: write one, or remove it.", token.position)
        if token.kind == ")":
            raise BadQuery(f"{_named(token)} closes nothing: remove it, or write “(” before.", token.position)
        raise BadQuery("The keyword ends where a word should stand.", token.position)


def _named(token: Token) -> str:
    text = token.text if len(token.text) <= 20 else f"{token.text[:20]}…"
    return f"“{text}” at character {token.position + 1}"
