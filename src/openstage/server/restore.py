"""Restoring a backup into an empty data folder (and an empty external database or bucket, where settings name one)."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import psycopg

from openstage.database import dump, migrate
from openstage.database.embedded import cluster_in
from openstage.database.ownership import DataFolder
from openstage.publishing.jobs import PRODUCE
from openstage.server import files
from openstage.server.backup import AT_ONCE, FORMAT, Manifest, Progress
from openstage.server.errors import BackupRefused
from openstage.settings import Settings
from openstage.storage.objects import open_store


def read_manifest(folder: Path) -> Manifest:
    """Read what a backup is.

    Raises:
        BackupRefused: the folder holds no whole backup, or one that this program doesn't know.

    """
    try:
        manifest = Manifest(**json.loads((folder / "manifest.json").read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise BackupRefused(f"{folder} holds no whole backup (no readable manifest.json).") from error
    if manifest.format != FORMAT or manifest.schema not in migrate.revisions():
        raise BackupRefused(
            f"The backup was made by Openstage {manifest.openstage} (schema {manifest.schema}), which this one doesn't "
            f"know (schema {migrate.head()}): use that one, or a later one."
        )
    return manifest


def restore_backup(settings: Settings, folder: Path, progress: Progress = lambda _, __: None) -> Manifest:
    """Bring a backup back. An older schema is migrated.

    Args:
        settings: where to; nothing may be there yet.
        folder: the backup.
        progress: told how far it is.

    Returns:
        What was restored.

    Raises:
        BackupRefused: no backup, or the target isn't empty. Nothing has been changed.
        DataFolderBusy: a server or command works on the target.
        DumpFailed, Unavailable, OSError: it broke off; empty the target and try again.

    """
    manifest = read_manifest(folder)
    place = DataFolder(settings.folder)
    place.own("command", embedded=False)  # nobody joins a database that isn't whole yet
    try:
        _refuse_what_is_there(settings)
        with _empty_database(settings) as address:
            asyncio.run(_restore_files(settings, folder, progress))
            dump.restore(address, folder / "database.dump")  # last: without it the rest is nothing
            _forget_lost_ranges(address, folder)
            migrate.migrate(address)
            _begin_anew(address)
    finally:
        place.disown()
    return manifest


def _refuse_what_is_there(settings: Settings) -> None:
    for name in ("postgres", "keys", "objects", "staging"):
        there = settings.folder / name
        if there.is_dir() and any(path.is_file() for path in there.rglob("*")):
            raise BackupRefused(f"{there} is not empty: restore into a new data folder (OPENSTAGE_DATA).")


@contextlib.contextmanager
def _empty_database(settings: Settings) -> Iterator[str]:
    if settings.database_url:
        if not dump.is_empty(settings.database_url):
            raise BackupRefused("The database is not empty: restore into a new one (OPENSTAGE_DATABASE_URL).")
        yield settings.database_url
        return
    cluster = cluster_in(settings.folder)
    try:
        yield cluster.start()
    finally:
        cluster.stop()


async def _restore_files(settings: Settings, folder: Path, progress: Progress) -> None:
    store = open_store(settings)
    if settings.storage_url and await store.list("works"):
        raise BackupRefused(f"{store.address} is not empty: restore into a new place (OPENSTAGE_STORAGE_URL).")
    for file in (folder / "keys").glob("*"):
        target = settings.folder / "keys" / file.name
        target.parent.mkdir(mode=0o700, exist_ok=True)
        files.copy(file, target)
        target.chmod(0o600)
    settings.staging_folder.mkdir(mode=0o700, exist_ok=True)
    for file in (folder / "staging").glob("*"):
        files.copy(file, settings.staging_folder / file.name)
    objects = folder / "objects"
    paths = [path for path in objects.rglob("*") if path.is_file()]
    waiting = iter(paths)
    done = 0

    async def copier() -> None:
        nonlocal done
        for path in waiting:
            await store.put_file(path.relative_to(objects).as_posix(), path)
            done += 1
            progress(done, len(paths))

    await asyncio.gather(*(copier() for _ in range(AT_ONCE)))


def _forget_lost_ranges(address: str, folder: Path) -> None:
    """Have unfinished uploads whose bytes aren't in the backup begin anew: their clients ask, and send again."""
    there = [path.name for path in (folder / "staging").glob("*")]
    with psycopg.connect(address) as connection:
        connection.execute(
            "update upload set received = '{}' where state = 'open' and file_id <> all(%s)",
            (there,),
        )


def _begin_anew(address: str) -> None:
    """Have works that were being produced begin anew: what their runs had made for later isn't in the backup.

    What was in force stays so until then; a worker finds works without a run, and the sweep what is left of theirs.
    """
    with psycopg.connect(address) as connection:
        connection.execute("update work set claim = '', step = '', percent = 0, notice = '' where claim <> ''")
        connection.execute("delete from production_task")
        connection.execute("delete from procrastinate_jobs where task_name = %s", (PRODUCE,))
        connection.execute("delete from worker_node")
