"""The step from an older database: works keep what they have, and what was being produced begins anew."""

from pathlib import Path

import psycopg
import pytest

from openstage.database import migrate
from tests.support.database import TestServer

BEFORE = """
    insert into app (client_id, name, secret, state) values ('c', 'app', '', 'approved');
    insert into end_user (app_id, realm, uid) values (1, 'app', '');
    insert into work (file_id, slug, app_id, user_id, state, pending, claim, run, tries) values
        ('f1', 's1', 1, 1, 'published', false, '', 'run1', 0),
        ('f2', 's2', 1, 1, 'publishing', true, 'run2', '', 3),
        ('f3', 's3', 1, 1, 'published', true, 'run4', 'run3', 0),
        ('f4', 's4', 1, 1, 'uploading', false, '', '', 0);
    insert into rendition (work_id, kind, quality, codecs, bandwidth, average_bandwidth, duration_ms, byte_size, key)
        select id, 'hls_video', '1', 'avc1', 1, 1, 1, 1, run || '/init.mp4' from work where run <> '';
    insert into segment values (1, 0, 1, 1, 'x');
    insert into picture select id, 'img', 1, 1, 1, run || '/img.jpg' from work where run <> '';
    insert into production_run (name, work_id) values ('run1', 1), ('run2', 2), ('run3', 3), ('run4', 3);
    insert into procrastinate_jobs (queue_name, task_name, lock, args)
        values ('media', 'publish', 'work:f2', '{"file_id": "f2"}'), ('upkeep', 'upkeep', null, '{}');
"""


def test_works_keep_their_renditions_and_productions_begin_anew(
    postgres: TestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "versions").mkdir()
    for name in ("versions/0001_foundation.py", "env.py"):
        (tmp_path / name).write_text((migrate.MIGRATIONS / name).read_text())
    (tmp_path / "sql").symlink_to(migrate.MIGRATIONS / "sql")
    with postgres.database(migrated=False) as address:
        with monkeypatch.context() as patch:
            patch.setattr(migrate, "MIGRATIONS", tmp_path)
            assert migrate.migrate(address) == ["0001"]
        with psycopg.connect(address) as connection:
            connection.execute(BEFORE)
        assert "0002" in migrate.migrate(address, only_safe=True)
        with psycopg.connect(address) as connection:

            def rows(query: str) -> list[tuple[object, ...]]:
                return connection.execute(query.encode()).fetchall()

            assert rows("select state, pending, claim, run from work order by id") == [
                ("published", False, "", "run1"),
                ("publishing", True, "", ""),
                ("published", True, "", "run3"),
                ("uploading", False, "", ""),
            ]
            assert rows("select run, key from rendition order by id") == [
                ("run1", "run1/init.mp4"),
                ("run3", "run3/init.mp4"),
            ]
            assert rows("select run from picture order by run") == [("run1",), ("run3",)]
            assert rows("select count(*) from segment") == [(1,)]
            assert rows("select task_name from procrastinate_jobs") == [("upkeep",)]
