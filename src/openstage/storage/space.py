"""How much room a folder's disk has left."""

import os
from pathlib import Path

from openstage.storage.errors import StorageFull

MIB = 1024**2


def free_bytes(folder: Path) -> int:
    """Bytes that we may still write below `folder`, which need not exist yet."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def require_space(folder: Path, needed: int, *, reserve: int = 0) -> None:
    """Make sure that `needed` bytes fit below `folder` and `reserve` bytes stay free.

    Raises:
        StorageFull: they don't.

    """
    free = free_bytes(folder)
    if free - needed < reserve:
        raise StorageFull(
            f"There is no room on the disk: {needed // MIB} MiB are needed, {free // MIB} MiB are free"
            f" and {reserve // MIB} MiB must stay free."
        )
