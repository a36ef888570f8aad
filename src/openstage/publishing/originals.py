"""Originals: from the staging file into the object store, once, whatever is killed in between."""

from collections.abc import Callable
from pathlib import Path

from openstage.database.engine import Database
from openstage.publishing import crashpoints
from openstage.publishing.errors import Elsewhere, OriginalLost
from openstage.storage.errors import ObjectMissing
from openstage.storage.objects import ObjectStore


def original_key(file_id: str) -> str:
    """Return the object of a work's original."""
    return f"works/{file_id}/original"


class Originals:
    """Finds and keeps originals."""

    def __init__(
        self, database: Database, store: ObjectStore, staging_path: Callable[[str], Path], *, node: str
    ) -> None:
        """Prepare.

        Args:
            database: knows which originals are stored.
            store: where they go.
            staging_path: where they are before.
            node: the address at which this machine receives uploads.

        """
        self._database = database
        self._store = store
        self._staging_path = staging_path
        self._node = node

    async def source(self, file_id: str, folder: Path) -> Path:
        """Return a file that holds the original: the staging file, the object's own file, or a copy in `folder`.

        Raises:
            Elsewhere: it lies on another machine.
            OriginalLost: there is none.

        """
        staging = self._staging_path(file_id)
        if staging.exists():
            return staging
        key = original_key(file_id)
        try:
            await self._store.stat(key)
        except ObjectMissing as error:
            raise await self._missing(file_id) from error
        local = self._store.local_path(key)
        if local is None:
            local = folder / "original"
            await self._store.download(key, local)
        return local

    async def keep(self, file_id: str) -> None:
        """Move the original into the object store if it isn't there yet; the staging file goes once it is whole there.

        Raises:
            Elsewhere: it lies on another machine.
            OriginalLost: there is none.

        """
        staging = self._staging_path(file_id)
        if staging.exists():
            await self._store.move_file(original_key(file_id), staging)
        else:
            try:
                await self._store.stat(original_key(file_id))
            except ObjectMissing as error:
                raise await self._missing(file_id) from error
        crashpoints.reached("original-moved")
        async with self._database.connection() as connection:
            await connection.execute("update upload set stored = true where file_id = %s and not stored", (file_id,))
        crashpoints.reached("original-recorded")

    async def _missing(self, file_id: str) -> Elsewhere | OriginalLost:
        """Tell a file that another machine has from one that is lost."""
        async with self._database.connection() as connection:
            row = await (
                await connection.execute("select node from upload where file_id = %s and not stored", (file_id,))
            ).fetchone()
        return OriginalLost() if row is None or row[0] == self._node else Elsewhere(row[0])
