"""What can go wrong with events."""

from openstage.errors import DomainError


class UnknownEvent(DomainError):
    """There is no such event, or it has been forgotten."""

    code = "event.unknown"


class EventUnderWay(DomainError):
    """The event is being delivered at this moment."""

    code = "event.under_way"
