"""What a query says, as a tree."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Word:
    """One word as it was typed; Chinese without spaces between may be several words, of which all are meant."""

    text: str


@dataclass(frozen=True, slots=True)
class Not:
    """All but those."""

    node: "Node"


@dataclass(frozen=True, slots=True)
class And:
    """What each of the nodes matches; `written` tells an `and` that was typed from words that stand side by side."""

    nodes: tuple["Node", ...]
    written: bool = True


@dataclass(frozen=True, slots=True)
class Or:
    """What one of the nodes matches."""

    nodes: tuple["Node", ...]


Node: TypeAlias = Word | Not | And | Or


def bare_words(node: Node) -> list[Word] | None:
    """Return the words of a bare list (or a single word); None where operators or parentheses were typed."""
    if isinstance(node, Word):
        return [node]
    if isinstance(node, And) and not node.written:
        words = [each for each in node.nodes if isinstance(each, Word)]
        return words if len(words) == len(node.nodes) else None
    return None
