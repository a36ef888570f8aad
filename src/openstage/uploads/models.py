"""What uploads are made of."""

import secrets
from dataclasses import dataclass
from typing import Literal

from openstage.uploads.ranges import ByteRange, missing_from

UploadState = Literal["open", "finished", "cancelled", "expired"]


@dataclass(frozen=True, slots=True)
class Upload:
    """One file on its way in: declared by `open`, received in pieces, then finished, cancelled or expired."""

    file_id: str
    app_id: int
    user_id: int
    state: UploadState
    file_type: str
    """What the client calls the file's type, such as `mp4`; nothing relies on it."""
    size: int
    """Bytes, as declared when it was opened."""
    reserved: int
    """Bytes taken from the app's quota while it is open."""
    received: tuple[ByteRange, ...]
    stored: bool
    """The original is in the object store and the staging file is gone."""

    @property
    def missing(self) -> list[ByteRange]:
        """Ranges not received yet."""
        return missing_from(self.received, 0, self.size)


@dataclass(frozen=True, slots=True)
class PieceReceipt:
    """A piece is durable on the disk and recorded."""

    md5: str
    """Of the piece, 32 hex digits."""
    length: int
    """Bytes."""
    whole: bool
    """Nothing of the file is missing now."""


def new_file_id() -> str:
    """Name for a new upload: 32 hex digits from a cryptographic source, for who knows it may send pieces."""
    return secrets.token_hex(16)
