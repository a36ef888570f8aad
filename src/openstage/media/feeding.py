"""Media that are still arriving: what a growing upload must tell so that it can be worked on before its end."""

from typing import Protocol


class Feed(Protocol):
    """A file whose bytes arrive one after the other (or, in pieces, in any order)."""

    @property
    def fd(self) -> int:
        """Descriptor of the staging file, open for reading; read at given offsets, its position is never moved."""
        ...

    @property
    def size(self) -> int:
        """Bytes that the whole file will have."""
        ...

    async def received(self, beyond: int) -> int:
        """Wait until more than `beyond` bytes from the beginning are there without a gap.

        Returns:
            How many there are; `size` once the upload is whole, at once and however large `beyond` is.

        Raises:
            Exception: of any kind to abandon the work; it goes through to the caller of `grow()`.

        """
        ...
