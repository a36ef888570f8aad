"""What can go wrong with the address of a medium."""

from openstage.errors import DomainError


class AddressAltered(DomainError):
    """The address is not one that this server gave out: its signature does not fit."""

    code = "delivery.address_altered"


class AddressExpired(DomainError):
    """The address was given out by this server, and its life is over."""

    code = "delivery.address_expired"


class MediaGone(DomainError):
    """The work is not, or no longer, published, or has no such rendition."""

    code = "delivery.media_gone"
