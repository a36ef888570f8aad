"""What a work's state means to somebody who wants to see it."""

from typing import Final, Literal

from openstage.works.models import State

Stage = Literal["published", "waiting", "gone"]
"""It plays; it may play later; it won't play."""

STAGES: Final[dict[State, Stage]] = {
    "uploading": "waiting",
    "waiting": "waiting",
    "publishing": "waiting",
    "reviewing": "waiting",
    "published": "published",
    "refused": "gone",
    "failed": "gone",
    "cancelled": "gone",
    "expired": "gone",
}
