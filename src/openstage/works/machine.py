"""The one state machine of a work.

    uploading ──┬─> waiting ────> publishing ──┬─> reviewing ──┬─> published ──> refused ──> published
                ├────────────────^             ├──────────────────^    (taken down)  (approved after all)
                ├─> cancelled                  │               └─> refused
                ├─> expired                    └─> failed ──> publishing (rerun)
                └─> failed (its file was to be fetched, and doesn't come)

A work leaves `publishing` as soon as its first rendition plays, while the others are being made. If that first one
breaks off with nothing whole, the work is `failed` after all, whatever it had become; what was refused stays so when
it is run again.

Each transition is an UPDATE that names the state it expects, so that of two racing ones exactly one happens.
"""

from typing import Final

from openstage.works.models import State

TRANSITIONS: Final[dict[State, frozenset[State]]] = {
    "uploading": frozenset({"waiting", "publishing", "cancelled", "expired", "failed"}),
    "waiting": frozenset({"publishing"}),
    "publishing": frozenset({"reviewing", "published", "refused", "failed"}),
    "reviewing": frozenset({"published", "refused", "failed"}),
    "published": frozenset({"refused", "failed"}),
    "refused": frozenset({"published", "failed"}),
    "failed": frozenset({"publishing"}),
    "cancelled": frozenset(),
    "expired": frozenset(),
}

RERUNNABLE: Final[tuple[State, ...]] = ("reviewing", "published", "refused")
"""States that a work keeps while its renditions are made anew."""


def allowed(before: State, after: State) -> bool:
    """Whether a work may go from one state to the other."""
    return after in TRANSITIONS[before]
