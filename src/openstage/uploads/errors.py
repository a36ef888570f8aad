"""What can go wrong with an upload."""

from openstage.errors import DomainError, Unavailable


class UnknownUpload(DomainError):
    """No open upload has this file id: never opened, or finished, cancelled or expired (which is not told)."""

    code = "upload.unknown"

    def __init__(self, message: str = "There is no open upload with this file_id.") -> None:
        super().__init__(message)


class BadPiece(DomainError):
    """A piece contradicts its range, the file's size, or what has been received before; nothing of it is recorded."""

    code = "upload.bad_piece"


class BadSize(DomainError):
    """The file's size is none, or larger than the server takes."""

    code = "upload.bad_size"


class MissingRanges(DomainError):
    """The file isn't whole yet; nothing is lost, and finish may be repeated.

    Attributes:
        missing: byte ranges not received, as (start, end) with `end` exclusive, in order.

    """

    code = "upload.missing_ranges"

    def __init__(self, missing: list[tuple[int, int]]) -> None:
        total = sum(end - start for start, end in missing)
        super().__init__(f"The file isn't whole: {total} bytes in {len(missing)} ranges are missing.")
        self.missing = missing


class StagingLost(DomainError):
    """What had been received is gone from the disk; the file must be uploaded anew."""

    code = "upload.staging_lost"

    def __init__(self) -> None:
        super().__init__("The bytes received before are lost on the server's side; open a new upload.")


class Superseded(Unavailable):
    """Another request for the same bytes took over while this one was silent; nothing of this one is recorded."""

    code = "upload.superseded"

    def __init__(self) -> None:
        super().__init__("Another request for the same range took over while this one was silent; send it again.")


class SenderSilent(Unavailable):
    """The sender stopped in the middle of a piece; nothing of it is recorded."""

    code = "upload.sender_silent"
