"""Backups: taken while the server works, whole, and good for starting again elsewhere."""

import asyncio
import hashlib
import json
import secrets
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from openstage.database import locks
from openstage.database.engine import Database
from openstage.identity.errors import BadClient
from openstage.publishing.originals import original_key
from openstage.publishing.rescue import Rescue
from openstage.publishing.scratch import Scratch
from openstage.publishing.tasks import NewTask
from openstage.server import backup, files
from openstage.server.errors import BackupRefused
from openstage.server.restore import read_manifest, restore_backup
from openstage.settings import Settings
from tests.publishing.stage import Stage, open_stage
from tests.support.database import TestServer
from tests.support.fixtures import make_clip
from tests.support.openstage_server import OpenstageServer, running_openstage
from tests.support.server import free_port
from tests.support.video_session import Session
from tests.support.works import enter_work

PIECE = 64 * 1024


@pytest.fixture
async def stage(settings: Settings, database: Database) -> AsyncIterator[Stage]:
    async with open_stage(settings, database) as opened:
        yield opened


def elsewhere(settings: Settings, address: str) -> Settings:
    """Settings of an empty place to restore to."""
    return Settings(data=settings.data.parent / "elsewhere", database_url=address, listen=settings.listen)


async def take(settings: Settings, folder: Path) -> backup.Manifest:
    return await asyncio.to_thread(backup.make_backup, settings, folder)


# --- what is in it ----------------------------------------------------------------------------------------------
async def test_objects_staging_files_keys_and_rows_come_back_as_they_were(
    stage: Stage, postgres: TestServer, tmp_path: Path
) -> None:
    published = await enter_work(stage.database, (stage.caller.app_id, stage.caller.user_id))
    keys = [key for (key,) in await rows(stage, "select key from rendition union all select key from picture")]
    for key in keys:
        await stage.store.put(key, key.encode())
    stored, waiting = await stage.sent(b"stored"), await stage.sent(b"on its way")
    await stage.intake.finish(stage.caller, stored)
    await stage.store.move_file(original_key(stored), stage.uploads.staging_path(stored))
    await stage.execute("update upload set stored = true where file_id = %s", stored)
    await stage.intake.finish(stage.caller, waiting)
    opened = (await stage.intake.open(stage.caller, size=10)).file_id
    await stage.send(opened, b"half of it"[:5])
    app = await stage.identity.apps.create("Another app")

    manifest = await take(stage.settings, tmp_path / "backup")
    assert (manifest.objects, manifest.staging, manifest.missing) == (len(keys) + 1, 2, [])
    copied = [each for kind in ("objects", "staging") for each in (tmp_path / "backup" / kind).rglob("*")]
    assert manifest.size == sum(each.stat().st_size for each in copied if each.is_file())
    with postgres.database(migrated=False) as address:
        place = elsewhere(stage.settings, address)
        assert await asyncio.to_thread(restore_backup, place, tmp_path / "backup") == manifest
        async with Database(address) as database, open_stage(place, database) as restored:
            for key in keys:
                assert await restored.store.get(key) == key.encode()
            assert await restored.store.get(original_key(stored)) == b"stored"
            assert restored.uploads.staging_path(waiting).read_bytes() == b"on its way"
            await restored.uploads.piece(opened, one(b" it"), start=7, shortest=3)
            assert (await restored.uploads.status(opened)).missing == [(5, 7)]
            assert (await restored.works.find(published)).state == "published"
            # The same master key: the app's secret opens under it.
            assert await restored.identity.authorise(app.client_id, app.client_secret)
            with pytest.raises(BadClient):
                await restored.identity.authorise(app.client_id, "wrong")


async def test_a_production_that_was_under_way_begins_anew_behind_what_plays(
    stage: Stage, postgres: TestServer, tmp_path: Path
) -> None:
    file_id = await stage.handed_in()
    await stage.produce(file_id, then=[NewTask("chunk", 0), NewTask("chunk", 1), NewTask("join")])
    await stage.end(await stage.claim(file_id, "chunk", 0))  # its objects have no rows yet
    before = await stage.work(file_id)
    await take(stage.settings, tmp_path / "backup")
    with postgres.database(migrated=False) as address:
        place = elsewhere(stage.settings, address)
        await asyncio.to_thread(restore_backup, place, tmp_path / "backup")
        async with Database(address) as database, open_stage(place, database) as restored:
            scratch = Scratch(place.scratch_folder)
            await Rescue(database, restored.tasks, scratch, set(), node=place.base("upload")).round()
            scratch.close()
            now = await restored.work(file_id)
            assert (now.visible, now.run, now.pending, now.rerunning) == (True, before.run, True, True)
            assert await restored.jobs(file_id) == ["first"]
            await restored.produce(file_id)
            after = await restored.work(file_id)
            assert (after.visible, after.pending, after.run != before.run) == (True, False, True)


async def test_an_upload_that_moves_to_the_store_meanwhile_is_found_there(stage: Stage, tmp_path: Path) -> None:
    file_id = await stage.sent(b"moving")
    await stage.intake.finish(stage.caller, file_id)
    await stage.store.move_file(original_key(file_id), stage.uploads.staging_path(file_id))  # not recorded yet
    manifest = await take(stage.settings, tmp_path / "backup")
    assert manifest.missing == []
    assert (tmp_path / "backup" / "objects" / original_key(file_id)).read_bytes() == b"moving"


async def test_an_open_upload_without_its_bytes_begins_anew(stage: Stage, postgres: TestServer, tmp_path: Path) -> None:
    file_id = await stage.sent(b"bytes")
    stage.uploads.staging_path(file_id).unlink()
    await take(stage.settings, tmp_path / "backup")
    with postgres.database(migrated=False) as address:
        place = elsewhere(stage.settings, address)
        await asyncio.to_thread(restore_backup, place, tmp_path / "backup")
        async with Database(address) as database, open_stage(place, database) as restored:
            assert not (await restored.uploads.status(file_id)).received
            await restored.send(file_id, b"bytes")
            await restored.intake.finish(stage.caller, file_id)


async def test_what_is_missing_is_named_and_the_rest_is_backed_up(stage: Stage, tmp_path: Path) -> None:
    await enter_work(stage.database, (stage.caller.app_id, stage.caller.user_id))
    (first,), *others = await rows(stage, "select key from rendition union all select key from picture")
    for (key,) in others:
        await stage.store.put(key, b"x")
    manifest = await take(stage.settings, tmp_path / "backup")
    assert manifest.missing == [first]
    assert manifest.objects == len(others)


async def test_nothing_is_removed_for_good_while_a_backup_runs(stage: Stage, tmp_path: Path) -> None:
    asked: list[bool] = []

    def ask(_: int, __: int) -> None:
        with psycopg.connect(stage.settings.database_url) as connection:
            row = connection.execute("select pg_try_advisory_xact_lock_shared(%s)", (locks.BACKUP,)).fetchone()
            assert row is not None
            asked.append(row[0])

    await stage.sent(b"bytes")
    await asyncio.to_thread(backup.make_backup, stage.settings, tmp_path / "backup", ask)
    assert asked
    assert not any(asked)
    async with stage.database.transaction() as connection:
        assert await locks.may_remove_objects(connection)


async def test_a_backup_waits_for_a_removal_under_way(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "PATIENCE", "100ms")
    async with stage.database.transaction() as connection:
        assert await locks.may_remove_objects(connection)
        with pytest.raises(BackupRefused, match="Another backup"):
            await take(stage.settings, tmp_path / "backup")
    assert not (tmp_path / "backup" / "manifest.json").exists()


# --- refusals ---------------------------------------------------------------------------------------------------
async def test_a_backup_goes_into_a_new_folder_only(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup" / "something").touch()
    with pytest.raises(BackupRefused, match="not empty"):
        await take(stage.settings, tmp_path / "backup")


async def test_a_backup_is_closed_to_others(stage: Stage, tmp_path: Path) -> None:
    await take(stage.settings, tmp_path / "backup")
    assert (tmp_path / "backup").stat().st_mode & 0o077 == 0
    assert (tmp_path / "backup" / "keys" / "master.key").stat().st_mode & 0o077 == 0


async def test_a_restore_refuses_what_is_not_empty_and_changes_nothing(
    stage: Stage, postgres: TestServer, tmp_path: Path
) -> None:
    await take(stage.settings, tmp_path / "backup")
    with pytest.raises(BackupRefused, match="not empty"):
        await asyncio.to_thread(restore_backup, stage.settings, tmp_path / "backup")
    with postgres.database() as full, pytest.raises(BackupRefused, match="database is not empty"):
        await asyncio.to_thread(restore_backup, elsewhere(stage.settings, full), tmp_path / "backup")
    assert not (stage.settings.data.parent / "elsewhere" / "keys").exists()


async def test_a_backup_that_broke_off_or_is_of_a_later_program_is_refused(stage: Stage, tmp_path: Path) -> None:
    await take(stage.settings, tmp_path / "backup")
    manifest = tmp_path / "backup" / "manifest.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(content | {"schema": "9999", "openstage": "7.0"}))
    with pytest.raises(BackupRefused, match=r"7\.0 \(schema 9999\)"):
        read_manifest(tmp_path / "backup")
    manifest.unlink()
    with pytest.raises(BackupRefused, match="no whole backup"):
        read_manifest(tmp_path / "backup")


# --- files ------------------------------------------------------------------------------------------------------
def test_copies_stay_sparse(tmp_path: Path) -> None:
    source = tmp_path / "source"
    with source.open("wb") as out:
        out.seek(10 * 1024**3)
        out.write(b"in the middle")
        out.truncate(20 * 1024**3)
    copied = files.copy(source, tmp_path / "folder" / "copy")
    assert copied < 1024**2
    copy = tmp_path / "folder" / "copy"
    assert copy.stat().st_size == 20 * 1024**3
    assert copy.stat().st_blocks * 512 < 1024**2
    with copy.open("rb") as read:
        read.seek(10 * 1024**3)
        assert read.read(13) == b"in the middle"


@pytest.mark.parametrize("size", [0, 1, 4096, 1_000_001])
def test_copies_are_the_same(tmp_path: Path, size: int) -> None:
    (tmp_path / "source").write_bytes(content := secrets.token_bytes(size))
    assert files.copy(tmp_path / "source", tmp_path / "copy") == size
    assert (tmp_path / "copy").read_bytes() == content


# --- the round trip ---------------------------------------------------------------------------------------------
class Uploader(threading.Thread):
    """A client that uploads without a pause, and remembers what was acknowledged."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._http = httpx.Client(base_url=session.server.address, timeout=60)
        self._token = session.token
        self.acknowledged: dict[str, bytearray] = {}
        self.finished: dict[str, bytes] = {}
        self.ending = threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.ending.is_set():
                self._upload(secrets.token_bytes(4 * PIECE))
        except BaseException as error:
            self.error = error
        finally:
            self._http.close()

    def _upload(self, content: bytes) -> None:
        token = {"access_token": self._token}
        reply = self._http.get("/openupload", params={**token, "filetype": "mp4", "filesize": str(len(content))})
        file_id = reply.json()["data"]["file_id"]
        received = self.acknowledged[file_id] = bytearray()
        for start in range(0, len(content), PIECE):
            piece = content[start : start + PIECE]
            send_piece(self._http, file_id, content, start)
            received += piece
        assert self._http.get("/uploadfinish", params={**token, "file_id": file_id}).json()["code"] == "A00000"
        self.finished[file_id] = content


def send_piece(http: httpx.Client, file_id: str, content: bytes, start: int) -> None:
    end = min(start + PIECE, len(content))
    headers = {"file_id": file_id, "range": f"{start}-{end - 1}", "file_size": str(len(content))}
    reply = http.post("/upload", content=content[start:end], headers=headers).json()
    assert reply["code"] == "A00000", reply


def test_a_backup_taken_while_uploads_go_on_starts_again_elsewhere(tmp_path: Path) -> None:
    clip = make_clip()
    with running_openstage(tmp_path / "数据 one", free_port()) as server, Session(server) as session:
        content = clip.read_bytes()
        published = open_upload(session, len(content))
        session.http.post(
            "/upload",
            content=content,
            headers={"file_id": published, "range": f"0-{len(content) - 1}", "file_size": str(len(content))},
        )
        session.describe(published)
        session.call("/uploadfinish", file_id=published)
        before = media(session, published)
        half, half_id = secrets.token_bytes(2 * PIECE), open_upload(session, 2 * PIECE)
        send_piece(session.http, half_id, half, PIECE)
        uploader = Uploader(session)
        uploader.start()
        made = server.command("backup", str(tmp_path / "the backup"))
        acknowledged = {file_id: bytes(received) for file_id, received in uploader.acknowledged.items()}
        uploader.ending.set()
        uploader.join()
        assert uploader.error is None
        assert made["missing"] == []
        token = session.token
        assert server.command("restore", str(tmp_path / "the backup"), check=False) is None  # the folder is in use
        assert httpx.get(f"{server.address}/healthz").status_code == 200

    restored_to = tmp_path / "数据 two"
    OpenstageServer(restored_to, "http://127.0.0.1:0").command("restore", str(tmp_path / "the backup"))
    with running_openstage(restored_to, free_port()) as server, httpx.Client(base_url=server.address) as http:
        session = Session.__new__(Session)
        session.server, session.http, session.token = server, http, token
        assert media(session, published) == before
        send_piece(http, half_id, half, 0)
        assert session.call("/uploadfinish", file_id=half_id)["code"] == "A00000"
        found = {file_id for (file_id,) in ask(server.data, "select file_id from upload")}
        assert acknowledged.keys() & found  # some of them were in time
        for file_id in acknowledged.keys() & found - {half_id}:
            complete(session, http, file_id, uploader.finished.get(file_id))


def complete(session: Session, http: httpx.Client, file_id: str, content: bytes | None) -> None:
    """Whatever state the upload was caught in, its client can go on, and the file ends up as it was sent."""
    if content is None:
        return
    for start in range(0, len(content), PIECE):
        end = min(start + PIECE, len(content))
        headers = {"file_id": file_id, "range": f"{start}-{end - 1}", "file_size": str(len(content))}
        # A00005: the backup has it finished, and finished files take no pieces.
        assert http.post("/upload", content=content[start:end], headers=headers).json()["code"] in {"A00000", "A00005"}
    assert session.call("/uploadfinish", file_id=file_id)["code"] == "A00000"
    places = [session.server.data / "staging" / file_id, session.server.data / "objects" / original_key(file_id)]
    assert [place.read_bytes() for place in places if place.exists()] == [content]


def open_upload(session: Session, size: int) -> str:
    reply = session.call("/openupload", filetype="mp4", filesize=str(size))
    return str(reply["data"]["file_id"])


def media(session: Session, file_id: str) -> dict[str, str]:
    """Digest of each mp4 of a published work, fetched as a player would."""
    addresses = session.whole(file_id)["urllist"]["mp4"]
    found = {}
    for quality, address in addresses.items():
        reply = session.http.get(address)
        assert reply.status_code == 200
        found[quality] = hashlib.md5(reply.content, usedforsecurity=False).hexdigest()
    assert found
    return found


def ask(data: Path, query: str) -> list[tuple[Any, ...]]:
    lines = (data / "postgres" / "postmaster.pid").read_text().split("\n")
    address = f"host='{lines[4]}' user=openstage dbname=openstage"
    with psycopg.connect(address) as connection:
        return connection.execute(query.encode()).fetchall()


async def rows(stage: Stage, query: str) -> list[tuple[Any, ...]]:
    async with stage.database.connection() as connection:
        return await (await connection.execute(query.encode())).fetchall()


async def one(data: bytes) -> AsyncIterator[bytes]:
    yield data
