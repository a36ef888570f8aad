"""The master key: made once, kept private, and missed loudly."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from openstage.database.engine import Database
from openstage.identity.apps import Apps, keys_of
from openstage.identity.keys import Keys, MasterKeyUnusable
from openstage.settings import Settings


def test_it_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        derived = {key.derive(b"x") for key in pool.map(lambda _: Keys.load(tmp_path), range(16))}
    assert len(derived) == 1
    assert stat.S_IMODE((tmp_path / "keys" / "master.key").stat().st_mode) == 0o600
    assert [file.name for file in (tmp_path / "keys").iterdir()] == ["master.key"]


def test_secrets_come_back_and_the_same_one_never_looks_the_same(tmp_path: Path) -> None:
    keys = Keys.load(tmp_path)
    sealed = {keys.encrypt("秘密") for _ in range(4)}
    assert len(sealed) == 4
    assert {keys.decrypt(each) for each in sealed} == {"秘密"}


def test_another_key_or_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    keys, other = Keys.load(tmp_path / "a"), Keys.load(tmp_path / "b")
    sealed = keys.encrypt("secret")
    with pytest.raises(MasterKeyUnusable):
        other.decrypt(sealed)
    with pytest.raises(MasterKeyUnusable):
        keys.decrypt(sealed[:-1] + bytes([sealed[-1] ^ 1]))


@pytest.mark.parametrize("text", ["", "zz", "00" * 31])
def test_a_damaged_key_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "master.key").write_text(text)
    with pytest.raises(MasterKeyUnusable):
        Keys.load(tmp_path)


async def test_a_lost_key_is_missed_only_when_there_are_secrets(database: Database, settings: Settings) -> None:
    apps = Apps(database, settings, await keys_of(database, settings))
    key = settings.folder / "keys" / "master.key"
    key.unlink()
    apps = Apps(database, settings, await keys_of(database, settings))
    await apps.create("A camera app")
    assert await keys_of(database, settings)
    key.unlink()
    with pytest.raises(MasterKeyUnusable, match="restore it from a backup"):
        await keys_of(database, settings)
    assert not key.exists()
