"""The one state machine of a work.

    uploading ──┬─> waiting ────> publishing ──┬─> reviewing ──┬─> published ──> refused ──> published
                ├────────────────^             ├──────────────────^    (taken down)  (approved after all)
                ├─> cancelled                  │               └─> refused
                └─> expired                    └─> failed ──> publishing (rerun)

Each transition is an UPDATE that names the state it expects, so that of two racing ones exactly one happens.
"""

from typing import Final

from openstage.works.models import State

TRANSITIONS: Final[dict[State, frozenset[State]]] = {
    "uploading": frozenset({"waiting", "publishing", "cancelled", "expired"}),
    "waiting": frozenset({"publishing"}),
    "publishing": frozenset({"reviewing", "published", "failed"}),
    "reviewing": frozenset({"published", "refused"}),
    "published": frozenset({"refused"}),
    "refused": frozenset({"published"}),
    "failed": frozenset({"publishing"}),
    "cancelled": frozenset(),
    "expired": frozenset(),
}

RERUNNABLE: Final[tuple[State, ...]] = ("reviewing", "published", "refused")
"""States that a work keeps while its renditions are made anew."""


def allowed(before: State, after: State) -> bool:
    """Whether a work may go from one state to the other."""
    return after in TRANSITIONS[before]
