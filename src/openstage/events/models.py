"""What is told to apps."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal[
    "ugc.published",
    "ugc.reviewing",
    "ugc.refused",
    "ugc.failed",
    "ugc.access_changed",
    "ugc.deleted",
    "ugc.restored",
]
"""What has happened to a recording (docs/callbacks.md says when)."""

EventState = Literal["waiting", "doing", "delivered", "failed", "gone"]
"""To be delivered (again) when its time comes; being delivered; received; given up; its receiver wants no more."""

Outcome = Literal["delivered", "failed", "gone", "interrupted"]
"""Of one attempt; `interrupted`: the worker ended before it knew."""

ENDED: Final[tuple[EventState, ...]] = ("delivered", "failed", "gone")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that an app is told, and how far that has come."""

    public_id: str
    """`evt_` and 24 characters: the same in every delivery."""
    client_id: str
    """The app's."""
    file_id: str
    """The work's; empty: it concerns none."""
    kind: str
    sequence: int
    """Of the work's events, from 1; 0: it concerns no work."""
    url: str
    data: dict[str, Any]
    """What it tells beside its kind and its number."""
    state: EventState
    held: bool
    """It waits until its host, or its app, has room."""
    tries: int
    """That failed in a row."""
    attempts: int
    due_at: dt.datetime
    """When it is delivered next; past where it has ended."""
    created_at: dt.datetime
    ended_at: dt.datetime | None
    last_status: int | None
    """HTTP status of the last answer."""
    last_excerpt: str
    """Beginning of the last answer, or what went wrong."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One delivery of an event."""

    number: int
    """From 1."""
    began_at: dt.datetime
    seconds: float | None
    """Until the status, or what went wrong; None: nobody knows."""
    outcome: Outcome
    status: int | None
    excerpt: str


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events; what is None doesn't matter."""

    client_id: str | None = None
    state: EventState | None = None
    kind: str | None = None
    work: str | None = None
    """`file_id`, or a recording's `ugc_id` or `share_id`."""
    since: dt.datetime | None = None
    """Not older than this."""


@dataclass(frozen=True, slots=True)
class EventLog:
    """An event with its attempts, the first first."""

    event: Event
    attempts: Sequence[Attempt]
