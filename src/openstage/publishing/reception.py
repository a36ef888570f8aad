"""Taking a file in that is to become a work at once: looked at as it comes, measured and compared when it has come."""

import hmac
from collections.abc import Sequence
from typing import Final

from openstage.media.signatures import HEAD, not_a_medium
from openstage.publishing.errors import EmptyFile, NotAMedium, WrongDigest, WrongSize
from openstage.uploads.incoming import Digest, Incoming
from openstage.uploads.staging import Buffer

DIGESTS: Final[dict[int, Digest]] = {40: "sha1", 64: "sha256"}
"""Which digest is meant, by the number of its hex digits."""


def digests_of(file_sha: str | None) -> Sequence[Digest]:
    """Return which digests must be computed to check `file_sha`; None: it isn't known yet; empty: none is sent."""
    if file_sha is None:
        return tuple(DIGESTS.values())
    return (DIGESTS[len(file_sha)],) if file_sha else ()


class Reception:
    """One file that comes in, from whichever side."""

    def __init__(self, incoming: Incoming, *, expected: int | None = None) -> None:
        """Prepare; `expected` bytes, where that is known beforehand: no more are taken."""
        self._incoming = incoming
        self._expected = expected
        self._head = bytearray()
        self._seen = False

    async def write(self, chunk: Buffer) -> None:
        """Take the next bytes.

        Raises:
            NotAMedium: the first bytes show that it is no sound or video.
            WrongSize: there are more than expected.
            BadSize: there are more than may be.
            StorageFull: there is no room.
            Unavailable: the disk fails.

        """
        if self._expected is not None and self._incoming.size + len(chunk) > self._expected:
            raise WrongSize(f"The file has more than the {self._expected} bytes that file_size says.")
        if not self._seen:
            self._head += chunk[: HEAD - len(self._head)]
            if len(self._head) == HEAD:
                self._look()
        await self._incoming.write(chunk)

    async def finish(self, *, file_size: int | None, file_sha: str) -> None:
        """Make the file durable and make sure that it is what it is said to be.

        Args:
            file_size: bytes it must have; None: any number.
            file_sha: SHA-1 or SHA-256 it must have, in hex; empty: any.

        Raises:
            EmptyFile: it has no bytes.
            NotAMedium: it is no sound or video.
            WrongSize: it has other than `file_size` bytes.
            WrongDigest: it has another digest.
            StorageFull: there is no room.
            Unavailable: the disk fails.

        """
        size = self._incoming.size
        if not size:
            raise EmptyFile("The file is empty.")
        if file_size is not None and size != file_size:
            raise WrongSize(f"The file has {size} bytes, not {file_size} as file_size says.")
        if not self._seen:
            self._look()
        await self._incoming.finish()
        for kind in digests_of(file_sha):
            found = self._incoming.digest(kind)
            if not hmac.compare_digest(found, file_sha.lower()):
                raise WrongDigest(f"The file's {kind.upper()} is {found}, not what file_sha says.")

    def _look(self) -> None:
        self._seen = True
        if reason := not_a_medium(bytes(self._head)):
            raise NotAMedium(reason)
        self._head.clear()
