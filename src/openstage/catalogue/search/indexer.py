"""The process that writes the search index: `python -m openstage.catalogue.search.indexer`, started by the server.

Cutting text into words keeps a processor busy; here it doesn't keep the server from answering. One process writes for
all servers that share a data folder; it ends with the server that started it, and another one's takes over.

It follows by transaction snapshot: PostgreSQL numbers transactions as they begin and shows them as they end, so "all
numbers above the last one seen" would miss those that began earlier and ended later. Each row has the number of the
transaction that changed it last; what the last snapshot couldn't see is new.
"""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
import tantivy
from psycopg.rows import TupleRow

from openstage.catalogue.search.folder import Followed, IndexFolder, Progress
from openstage.catalogue.search.schema import TRACK_COLUMNS, create, documents, open_index
from openstage.observability import logs
from openstage.settings import load

BUSY: Final = 3
"""Exit status: another process writes the index."""
LOOK_EVERY: Final = 5.0
"""Seconds after which the database is asked even if it has announced nothing."""
BATCH: Final = 2000
COMMIT_EVERY: Final = 20_000
"""Changed tracks after which they can be searched, where there are many at once."""
MAKING_MEMORY: Final = 256 * 1024**2
FOLLOWING_MEMORY: Final = 48 * 1024**2
NICE: Final = 5

_ALL: Final = f"""
    select {TRACK_COLUMNS} from track left join track_file file on file.id = track.file_id where removed_at is null
    """
_CHANGED: Final = f"""
    select {TRACK_COLUMNS} from track left join track_file file on file.id = track.file_id
    where changed_xid >= pg_snapshot_xmin(%(last)s::pg_snapshot)
      and not pg_visible_in_snapshot(changed_xid, %(last)s::pg_snapshot)
    """
_CLUSTER: Final = """
    select system_identifier || '/' || (select timeline_id from pg_control_checkpoint()) || '/' || oid
    from pg_control_system(), pg_database where datname = current_database()
    """

Connection = psycopg.Connection[TupleRow]
_log = logs.get_logger("indexer")


class Indexer:
    """Keeps the index of one folder like the catalogue of one database."""

    def __init__(self, folder: IndexFolder, connection: Connection) -> None:
        """Take the folder, whose lock is held, and a connection in autocommit mode."""
        self._folder = folder
        self._connection = connection
        self._epoch = catalogue_epoch(connection)
        self._generation: Path | None = None
        self._writer: tantivy.IndexWriter | None = None
        self._index: tantivy.Index | None = None
        self._followed = Followed(epoch=self._epoch, snapshot="")

    def run(self) -> None:
        """Follow for ever."""
        self._connection.execute("listen catalogue")
        self.prepare()
        while True:
            self.catch_up()
            for _ in self._connection.notifies(timeout=LOOK_EVERY, stop_after=1):
                pass

    def prepare(self) -> None:
        """Open the index, or make a new one where there is none, or one of an old version or of another catalogue."""
        generation = self._folder.current()
        followed = self._folder.followed(generation) if generation else None
        if generation and followed and followed.up_to_date and followed.epoch == self._epoch:
            try:
                self._open(generation, followed)
            except (ValueError, OSError) as error:
                _log.warning("the search index is damaged and is made anew", reason=str(error))
            else:
                self._folder.clear(keep=generation)
                return
        self._folder.clear(keep=generation)
        self._make()

    def catch_up(self) -> int:
        """Take in what has changed; returns how many tracks."""
        assert self._writer is not None
        assert self._index is not None
        assert self._generation is not None
        schema = self._index.schema
        count = 0
        with self._snapshot() as snapshot:
            for rows in self._rows(_CHANGED, {"last": self._followed.snapshot}):
                for row in rows:
                    self._writer.delete_documents_by_term("id", row[0])
                for document in documents(rows, schema):
                    self._writer.add_document(document)
                before, count = count, count + len(rows)
                if before // COMMIT_EVERY != count // COMMIT_EVERY:
                    self._writer.commit()
        if count:
            self._writer.commit()
        # Only now: what is done twice after a crash comes to the same.
        self._followed = Followed(epoch=self._epoch, snapshot=snapshot)
        if count:
            self._folder.note(self._generation, self._followed)
        return count

    def _make(self) -> None:
        began = time.monotonic()
        generation = self._folder.new_generation()
        index = create(generation)
        writer = index.writer(MAKING_MEMORY, 1)
        with self._snapshot() as snapshot:
            row = self._connection.execute("select count(*) from track where removed_at is null").fetchone()
            total = int(row[0]) if row else 0
            done = 0
            for rows in self._rows(_ALL, {}):
                self._folder.tell_progress(Progress(done, total))
                for document in documents(rows, index.schema):
                    writer.add_document(document)
                done += len(rows)
        writer.commit()
        writer.wait_merging_threads()
        followed = Followed(epoch=self._epoch, snapshot=snapshot)
        self._folder.note(generation, followed)
        self._folder.switch(generation)
        self._folder.tell_progress(None)
        self._open(generation, followed)
        _log.info("search index made", tracks=done, seconds=round(time.monotonic() - began, 1))

    def _open(self, generation: Path, followed: Followed) -> None:
        self._index = open_index(generation)
        self._writer = self._index.writer(FOLLOWING_MEMORY, 1)
        self._generation = generation
        self._followed = followed

    @contextlib.contextmanager
    def _snapshot(self) -> Iterator[str]:
        """Hold a transaction that sees one state of the catalogue, and give the name of that state."""
        with self._connection.transaction():
            self._connection.execute("set transaction isolation level repeatable read, read only")
            row = self._connection.execute("select pg_current_snapshot()::text").fetchone()
            assert row is not None
            yield row[0]

    def _rows(self, query: str, parameters: dict[str, Any]) -> Iterator[list[TupleRow]]:
        with self._connection.cursor(name="tracks") as cursor:
            cursor.itersize = BATCH
            cursor.execute(query.encode(), parameters)
            while rows := cursor.fetchmany(BATCH):
                yield rows


def catalogue_epoch(connection: Connection) -> str:
    """Return the name of the catalogue, which changes where transaction numbers begin anew.

    After a restore the numbers in `track.changed_xid` are another cluster's. They are set anew then, and indexes made
    before are useless.
    """
    with connection.transaction():
        row = connection.execute("select epoch::text, cluster from catalogue_epoch for update").fetchone()
        here = connection.execute(_CLUSTER.encode()).fetchone()
        assert row is not None
        assert here is not None
        epoch, cluster = row
        if cluster == here[0]:
            return str(epoch)
        if cluster:
            connection.execute("update track set changed_xid = pg_current_xact_id()")
        fresh = connection.execute(
            "update catalogue_epoch set epoch = gen_random_uuid(), cluster = %s returning epoch::text", here
        ).fetchone()
        assert fresh is not None
        return str(fresh[0])


def main() -> int:
    """Write the index of the data folder and the database in the settings, until the process is ended."""
    settings = load()
    logs.configure(form=settings.log_format, level=settings.log_level)
    os.nice(NICE)
    folder = IndexFolder(settings.search_folder)
    with folder.lock() as mine:
        if not mine:
            return BUSY
        try:
            with psycopg.connect(
                settings.database_url, autocommit=True, application_name="openstage indexer"
            ) as connection:
                Indexer(folder, connection).run()
        except psycopg.OperationalError as error:
            _log.warning("the database is away; the search index waits for it", reason=str(error).strip())
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
