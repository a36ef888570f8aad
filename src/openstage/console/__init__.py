"""Pages for people: start page, watch page, embeddable player, the documents."""

from openstage.console.ports import PageAddresses, PageStanding, PageStandings, PageWorks
from openstage.console.routes import Console

__all__ = ["Console", "PageAddresses", "PageStanding", "PageStandings", "PageWorks"]
