"""What can go wrong in the catalogue."""

from openstage.errors import DomainError


class UnknownTrack(DomainError):
    """No track has this number, or it has been removed."""

    code = "catalogue.unknown_track"

    def __init__(self, message: str = "There is no such track.") -> None:
        super().__init__(message)


class UnknownOffer(DomainError):
    """The track isn't sold under this offer: there is none of this number, or it is another track's, or retired."""

    code = "catalogue.unknown_offer"

    def __init__(self, message: str = "The track is not sold under this offer.") -> None:
        super().__init__(message)


class UnknownCategory(DomainError):
    """No category, band or level has this number or name."""

    code = "catalogue.unknown_category"


class NameTaken(DomainError):
    """Another category of this kind, or another offer, has this name."""

    code = "catalogue.name_taken"


class StillUsed(DomainError):
    """It can't be removed while tracks have it."""

    code = "catalogue.still_used"


class BadValue(DomainError):
    """A value can't be what it is said to be; the message names it."""

    code = "catalogue.bad_value"


class BadQuery(DomainError):
    """A search query can't be understood.

    Attributes:
        position: characters before the place where it breaks, from 0.

    """

    code = "catalogue.bad_query"

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


class TooDeep(DomainError):
    """The page lies beyond what is listed of a search."""

    code = "catalogue.too_deep"


class BadSource(DomainError):
    """What shall be imported can't be read as a whole: no such file, no header, an unknown column."""

    code = "catalogue.bad_source"
