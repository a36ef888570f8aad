"""`openstage work watch` in a terminal: a bar for the run, one for each kind of task, until nothing more is made."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest

from openstage.identity.keys import Keys
from openstage.settings import Settings
from tests.support.waiting import wait_for

FILE_ID = "0123456789abcdef" * 2
TASKS = (
    ("first", 0, "done", 10, 100, ""),
    ("plan", 0, "done", 2, 100, ""),
    ("chunk", 0, "done", 30, 100, ""),
    ("chunk", 1, "doing", 30, 40, "The worker was killed."),
    ("chunk", 2, "waiting", 30, 0, ""),
)


@pytest.fixture
def database(module_settings: Settings) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A work that plays while its ladder is being made."""
    Keys.load(module_settings.folder)
    with psycopg.connect(module_settings.database_url, autocommit=True) as connection:
        connection.execute(
            "with a as"
            " (insert into app (client_id, name, secret, state) values ('c', 'n', '', 'approved') returning id),"
            " u as (insert into end_user (app_id, realm, uid) select id, 'app', '' from a returning id, app_id)"
            " insert into work (file_id, slug, app_id, user_id, state, title, pending, claim, run, percent, notice)"
            " select %s, 'slug', app_id, id, 'published', 't', true, 'r', 'r', 41, 'This machine is slow.' from u",
            (FILE_ID,),
        )
        connection.execute("insert into production_run (name, work_id) select 'r', id from work")
        for task in TASKS:
            connection.execute(
                "insert into production_task"
                " (run, work_id, kind, number, state, claim, weight, percent, last_fault, turn)"
                " select 'r', id, %s, %s, %s, %s, %s, %s, %s, 0 from work",
                (*task[:3], "x" if task[2] == "doing" else "", *task[3:]),
            )
        yield connection


def test_bars_until_nothing_more_is_made(
    database: psycopg.Connection[tuple[object, ...]], module_settings: Settings
) -> None:
    terminal, inside = os.openpty()
    environment = os.environ | {
        "OPENSTAGE_DATA": str(module_settings.data), "OPENSTAGE_DATABASE_URL": module_settings.database_url,
        "TERM": "xterm", "COLUMNS": "160", "LINES": "40",
    }  # fmt: skip
    command = [sys.executable, "-m", "openstage.cli", "work", "watch", FILE_ID]
    process = subprocess.Popen(command, env=environment, stdin=inside, stdout=inside, stderr=inside)
    os.close(inside)
    os.set_blocking(terminal, False)
    seen = ""

    def shows(*what: str) -> bool:
        nonlocal seen
        try:
            seen += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", os.read(terminal, 65536).decode())
        except BlockingIOError:
            pass
        except OSError:  # the other end has been closed
            return True
        return all(re.search(text, seen) for text in what)

    try:
        wait_for(
            lambda: shows(
                r"published, being made better.*41 %.*This machine is slow\.",
                r"  first rendition.*100 %",
                r"  ladder.*47 % 1/3.*The worker was killed\.",
            ),
            what="all bars",
        )
        database.execute("update production_task set percent = 100, state = 'done', claim = '', last_fault = ''")
        database.execute("update work set percent = 90")
        wait_for(lambda: shows(r"90 %", r"ladder.*100 % 3/3"), what="the bars moving on")
        database.execute("update work set pending = false, claim = '', percent = 100, notice = ''")
        wait_for(lambda: shows(r"published\r?\n$") and process.poll() is not None, what="the end")
        assert process.wait() == 0
    except AssertionError:
        raise AssertionError(seen) from None
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
