"""Dumps of a whole database, by PostgreSQL's own programs."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from openstage.database.cluster import MAJOR, binaries
from openstage.database.errors import DumpFailed
from openstage.errors import Unavailable


def dump(address: str, file: Path, *, snapshot: str) -> None:
    """Write a database to a file, in PostgreSQL's custom format.

    Args:
        address: the database.
        file: where to; must not exist.
        snapshot: identifier of the snapshot to dump (`pg_export_snapshot()`), whose transaction is open.

    Raises:
        DumpFailed: pg_dump's last words are in the message.
        Unavailable: no answer from the database.

    """
    _run(
        "pg_dump",
        address,
        "--format=custom",
        "--no-owner",
        "--no-privileges",
        f"--snapshot={snapshot}",
        f"--file={file}",
    )


def restore(address: str, file: Path) -> None:
    """Bring a dump back into an empty database, whole or not at all.

    Raises:
        DumpFailed: pg_restore's last words are in the message.
        Unavailable: no answer from the database.

    """
    options = ("--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error")
    _run("pg_restore", address, *options, str(file))


def is_empty(address: str) -> bool:
    """Whether a database holds no tables.

    Raises:
        Unavailable: no answer from the database.

    """
    with _connect(address) as connection:
        return connection.execute("select 1 from pg_tables where schemaname = 'public' limit 1").fetchone() is None


def _run(program: str, address: str, *arguments: str) -> None:
    with _connect(address) as connection:
        major = connection.info.server_version // 10000
    parts = conninfo_to_dict(address)
    # Other users can read a process's arguments, but not its environment.
    password = parts.pop("password", None)
    environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    if password:
        environment["PGPASSWORD"] = str(password)
    command = [str(_tool(program, major)), f"--dbname={make_conninfo('', **parts)}", *arguments]
    result = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if result.returncode != 0:
        last = result.stderr.decode(errors="replace").strip().splitlines()[-3:]
        raise DumpFailed(f"{program} failed: {' '.join(last) or f'status {result.returncode}'}")


def _tool(program: str, major: int) -> Path:
    """Choose the oldest program that knows a server of this major version (newer ones write what it may not read)."""
    wheel = binaries().parents[1]
    places = [binaries(), wheel / "pginstall" / "bin", Path(f"/usr/lib/postgresql/{major}/bin")]
    candidates = [place / program for place in places if (place / program).is_file()]
    if (found := shutil.which(program)) is not None:
        candidates.append(Path(found))
    by_version = sorted((version, path) for path in candidates if (version := _version(path)) >= major)
    if not by_version:
        raise DumpFailed(
            f"The database is PostgreSQL {major}; Openstage brings {program} {MAJOR}. "
            f"Install PostgreSQL {major}'s client programs (Debian: postgresql-client-{major})."
        )
    return by_version[0][1]


def _version(program: Path) -> int:
    try:
        output = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0
    found = re.search(r"(\d+)(?:\.|devel|beta|rc)", output)
    return int(found[1]) if found else 0


def _connect(address: str) -> "psycopg.Connection[tuple[object, ...]]":
    try:
        return psycopg.connect(address, autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise Unavailable(f"The database does not answer: {str(error).strip().splitlines()[0]}") from error
