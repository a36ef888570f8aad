"""Pages for people: start page, watch page, embeddable player, the documents."""

from openstage.console.ports import PageAddresses, PageWorks
from openstage.console.routes import Console, console_routes

__all__ = ["Console", "PageAddresses", "PageWorks", "console_routes"]
