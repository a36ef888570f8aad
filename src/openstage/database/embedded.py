"""The database of a data folder, whoever runs it.

`running_database` is what commands and tools use: it gives the address of an external database as it is, joins the
embedded one if a server or another command of the same folder has it running, and else starts it for its own block.
A new embedded database gets its schema at once; an older schema is the server's, or `openstage migrate`'s, to change.
"""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from openstage.database.cluster import Cluster
from openstage.database.errors import DatabaseNotStarted
from openstage.database.migrate import current, migrate
from openstage.database.ownership import DataFolder, Role
from openstage.settings import Settings

JOIN_PATIENCE = 60.0
"""Seconds that a command waits for a server which is just starting, or recovering, on the same folder."""


def cluster_in(folder: Path, tuning: dict[str, str] | None = None) -> Cluster:
    """Name the embedded cluster of a data folder."""
    return Cluster(
        folder / "postgres", log=folder / "logs" / "postgres.log", sockets=folder / "run" / "db", tuning=tuning
    )


@contextlib.contextmanager
def running_database(
    settings: Settings, *, role: Role = "command", tuning: dict[str, str] | None = None
) -> Iterator[str]:
    """Give the address of the running database for the length of the block.

    Call it from the main thread: an embedded server that it starts ends with the calling thread.

    Args:
        settings: which database.
        role: what the folder is owned as, if this process comes to own it.
        tuning: server parameters for an embedded server started here.

    Yields:
        A libpq address.

    Raises:
        DataFolderUnusable: the data folder can't be written to.
        DatabaseNotStarted: the embedded server could not be started or joined.

    """
    if settings.database_url:
        yield settings.database_url
        return
    place = DataFolder(settings.folder)
    cluster = cluster_in(settings.folder, tuning)
    deadline = time.monotonic() + JOIN_PATIENCE
    while True:
        if place.try_own(role, embedded=True):
            try:
                address = cluster.start()
                if current(address) is None:
                    migrate(address)  # nothing in it yet: a first command needs no server before it
                yield address
            finally:
                _stop_when_unused(place, cluster)
            return
        if place.users.take(shared=True):
            if (joined := _joined(place, cluster)) is not None:
                try:
                    yield joined
                finally:
                    place.users.release()
                return
            place.users.release()
        if time.monotonic() > deadline:
            raise DatabaseNotStarted(f"The embedded database of {place.owner()} does not get ready.")
        time.sleep(0.02)


def _joined(place: DataFolder, cluster: Cluster) -> str | None:
    owner = place.owner()
    if owner is not None and not owner.embedded and Path(f"/proc/{owner.pid}").exists():
        raise DatabaseNotStarted(
            f"{owner} works on {place.folder} with an external database; set OPENSTAGE_DATABASE_URL to the same."
        )
    return cluster.ready_address()


def _stop_when_unused(place: DataFolder, cluster: Cluster) -> None:
    try:
        while cluster.running and not place.users.take():
            time.sleep(0.05)
        cluster.stop()
    finally:
        place.users.release()
        place.disown()
