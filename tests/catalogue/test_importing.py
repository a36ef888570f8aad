"""Imports: every column, every reason for a refusal, twice the same, broken off, and files that change."""

import csv
import io
import json
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from openstage.catalogue.editing import Editing
from openstage.catalogue.errors import BadSource
from openstage.catalogue.exporting import Exporter
from openstage.catalogue.importing.rows import OfferName
from openstage.catalogue.importing.service import Importer, Report
from openstage.catalogue.models import Track
from openstage.catalogue.service import Catalogue
from openstage.database.engine import Database
from openstage.settings import Settings
from openstage.storage.objects import open_store
from tests.support.fixtures import make_clip
from tests.support.waiting import wait_for

MANY = 30_000  # rows: more than are written at once


async def bring(database: Database, settings: Settings, path: Path, **options: Any) -> Report:
    return await Importer(database, open_store(settings), settings, **options).run(path)


async def tracks(database: Database) -> dict[str, Track]:
    return {track.external_id: track for track in (await Editing(database).tracks(limit=1000)).tracks}


def write_csv(path: Path, *rows: dict[str, Any]) -> Path:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
    path.write_text("\ufeff" + out.getvalue(), "utf-8")  # as spreadsheets write it
    return path


async def test_every_column_of_both_forms(database: Database, settings: Settings, tmp_path: Path) -> None:
    said: dict[str, Any] = {
        "external_id": "x1",
        "audio_id": 505947,
        "title": "云南恋歌, “ö”",
        "artist": "Z1",
        "description": "line\nline",
        "supplier": "自有",
        "genres": "中国民族|Chinese Folk; 流行",
        "moods": "温暖",
        "instruments": "小提琴",
        "bpm": "95.5",
        "duration": "2:30.5",
        "key": "A minor",
        "level": "Boost",
        "vhifun": "1",
        "heat": "12",
        "offers": "Online=21.00; Broadcast=812.5",
        "created_at": "2020-01-02",
    }
    written = json.dumps(
        said | {"external_id": "x2", "audio_id": None, "genres": ["流行"], "vhifun": True, "duration": 150.5}
    )
    (tmp_path / "b.jsonl").write_text(written + "\n\n", "utf-8")
    write_csv(tmp_path / "a.csv", said)
    report = await bring(database, settings, tmp_path, metadata_only=True)
    assert (report.added, report.rejected) == (2, [])
    both = await tracks(database)
    track, other = both["x1"], both["x2"]
    assert (track.id, other.id) == (505947, 505948)
    assert track.title == said["title"]
    assert (track.description, track.supplier, track.bpm, track.duration_ms) == ("line\nline", "自有", 95.5, 150_500)
    assert (track.level_id, track.vhifun, track.heat, track.musical_key) == (2, True, 12, "A minor")
    assert track.created_at.isoformat() == "2020-01-02T00:00:00+00:00"
    categories = await Catalogue(database, settings).categories()
    assert [each.name for each in categories.named("genre", track.genre_ids)] == ["中国民族", "流行"]
    assert categories.genres[0].aliases == ["Chinese Folk"]
    offers = (await Editing(database).tracks(limit=1)).offers[505947]
    assert [(offer.name, offer.price) for offer in offers] == [
        ("Online", Decimal("21.00")),
        ("Broadcast", Decimal("812.50")),
    ]


async def test_each_rejected_row_says_why_and_the_others_are_imported(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    bad: dict[str, dict[str, Any]] = {
        "bpm is 'fast'": {"external_id": "1", "title": "x", "bpm": "fast"},
        "neither external_id nor audio_id nor file": {"title": "x"},
        "its title is empty": {"external_id": "3", "title": ""},
        "no level 'Gold'": {"external_id": "4", "title": "x", "level": "Gold"},
        "no offer 'Unknown'": {"external_id": "5", "title": "x", "offers": ["Unknown"]},
        "no offer 'a=1.005'": {"external_id": "6", "title": "x", "offers": ["a=1.005"]},
        "duration is -3": {"external_id": "7", "title": "x", "duration": -3},
        "vhifun is 'maybe'": {"external_id": "8", "title": "x", "vhifun": "maybe"},
        "title has 501 characters": {"external_id": "9", "title": "x" * 501},
        "genres is {'a': 1}": {"external_id": "10", "title": "x", "genres": {"a": 1}},
        "heat is 1.5": {"external_id": "11", "title": "x", "heat": 1.5},
        "audio_id is 0": {"audio_id": 0, "title": "x"},
        "created_at is 'soon'": {"external_id": "12", "title": "x", "created_at": "soon"},
        "is the track with the external_id 'good'": {"external_id": "13", "audio_id": 7, "title": "x"},
    }
    lines = [json.dumps({"external_id": "good", "audio_id": 7, "title": "Good", "foreign": 1}), "{broken", "[1]"]
    source = tmp_path / "rows.jsonl"
    source.write_text("\n".join([lines[0]]), "utf-8")
    await bring(database, settings, source, metadata_only=True)
    source.write_text("\n".join([*lines, *map(json.dumps, bad.values())]), "utf-8")
    report = await bring(database, settings, source, metadata_only=True)
    reasons = {int(each.place.rpartition(" ")[2]): each.reason for each in report.rejected}
    assert sorted(reasons) == list(range(2, 2 + 2 + len(bad)))
    assert "no JSON" in reasons[2]
    for number, reason in enumerate(bad, 4):
        expected = "offers is" if "a=1.005" in reason else reason
        assert expected in reasons[number]
    assert report.ignored == {"foreign"}
    assert list(await tracks(database)) == ["good"]


@pytest.mark.parametrize("content", [b"title,artist\n\xff\xfe", b"foo;bar\n1;2\n", b""])
async def test_what_cannot_be_read_as_a_whole_is_refused(
    database: Database, settings: Settings, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(BadSource, match=r"a\.csv"):
        await bring(database, settings, tmp_path / "a.csv", metadata_only=True)
    with pytest.raises(BadSource, match="doesn't exist"):
        await bring(database, settings, tmp_path / "nothing")


async def test_the_same_again_changes_nothing_and_a_column_less_leaves_it(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    source = write_csv(tmp_path / "a.csv", {"external_id": "1", "title": "One", "artist": "A", "offers": "Online=5"})
    assert (await bring(database, settings, source, metadata_only=True)).added == 1
    before = await tracks(database)
    again = await bring(database, settings, source, metadata_only=True)
    assert (again.added, again.changed, again.unchanged) == (0, 0, 1)
    assert await tracks(database) == before
    write_csv(source, {"external_id": "1", "title": "Uno"})
    assert (await bring(database, settings, source, metadata_only=True)).changed == 1
    after = (await tracks(database))["1"]
    assert (after.id, after.title, after.artist) == (before["1"].id, "Uno", "A")
    write_csv(source, {"external_id": "1", "title": "Uno", "artist": "", "offers": ""})
    await bring(database, settings, source, metadata_only=True)
    listing = await Editing(database).tracks(limit=1)
    assert (listing.tracks[0].artist, listing.offers) == ("", {})


async def test_a_folder_of_audio_is_measured_stored_and_known_again(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "音乐"
    (folder / "sub").mkdir(parents=True)
    tagged = make_clip(
        "mp3", None, "mp3", duration=2, cover=False, metadata=["title=Ocean 海洋", "artist=Ada", "genre=Pop"]
    )
    (folder / "a.mp3").write_bytes(tagged.read_bytes())
    (folder / "sub" / "夜_曲.flac").write_bytes(
        make_clip("flac", None, "flac", duration=5, pattern="sync").read_bytes()
    )
    (folder / "noise.mp3").write_text("no sound at all")
    write_csv(
        folder / "rows.csv",
        {"external_id": "named", "file": "a.mp3", "title": "Named", "bpm": 77},
        {"file": "../x.mp3"},
    )
    report = await bring(database, settings, folder, offers=[OfferName("Online", Decimal(21))])
    assert (report.added, report.files) == (2, 2)
    assert {each.place for each in report.rejected} == {"noise.mp3", "rows.csv, row 2"}
    both = await tracks(database)
    named, night = both["named"], both["file:sub/夜_曲.flac"]
    assert (named.bpm, named.artist, night.title) == (77, "", "夜 曲")
    assert named.file is not None
    assert night.file is not None
    assert night.bpm == pytest.approx(60, rel=0.02)
    assert (night.file.file_name, night.file.content_type) == ("夜_曲.flac", "audio/flac")
    assert night.file.loudness_lufs is not None
    store = open_store(settings)
    assert await store.get(named.file.object_key) == tagged.read_bytes()
    assert (await store.get(named.file.waveform_png_key)).startswith(b"\x89PNG")
    assert json.loads(await store.get(named.file.waveform_json_key))["channels"] == 1
    assert (await store.get(named.file.preview_key)).startswith(b"ID3")
    again = await bring(database, settings, folder, offers=[OfferName("Online", Decimal(21))])
    assert (again.added, again.changed, again.files) == (0, 0, 0)


async def test_another_file_is_another_version_and_the_old_one_stays(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    first, second = (make_clip("wav", None, "pcm", duration=seconds).read_bytes() for seconds in (1, 2))
    audio = tmp_path / "a.wav"
    audio.write_bytes(first)
    await bring(database, settings, audio)
    [before] = (await tracks(database)).values()
    assert before.file is not None
    audio.write_bytes(second)
    assert (await bring(database, settings, audio)).changed == 1
    [after] = (await tracks(database)).values()
    assert after.file is not None
    assert (after.id, after.duration_ms) == (before.id, 2000)
    old = await Catalogue(database, settings).file(before.file.id)
    assert old == before.file
    assert await open_store(settings).get(old.object_key) == first
    async with database.connection() as connection:
        with pytest.raises(psycopg.errors.RestrictViolation):
            await connection.execute("update track_file set sha256 = %s where id = %s", ("0" * 64, old.id))
    audio.write_bytes(first)
    await bring(database, settings, audio)
    [back] = (await tracks(database)).values()
    assert back.file == before.file


async def test_a_killed_import_goes_on_where_it_was(database: Database, settings: Settings, tmp_path: Path) -> None:
    source = tmp_path / "many.jsonl"
    with source.open("w") as out:
        for number in range(MANY):
            out.write(json.dumps({"external_id": str(number), "title": f"Track {number}"}) + "\n")
    command = [sys.executable, "-m", "openstage.cli", "catalogue", "import", "--metadata-only", "--json", str(source)]
    environment = {"OPENSTAGE_DATA": str(settings.data), "OPENSTAGE_DATABASE_URL": settings.database_url}

    def count() -> int:
        with psycopg.connect(settings.database_url) as connection:
            row = connection.execute("select count(*) from track").fetchone()
            assert row is not None
            return int(row[0])

    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(count, within=60)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = count()
    assert 0 < done < MANY
    finished = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
    report = json.loads(finished.stdout)
    assert (report["skipped"], report["added"]) == (done, MANY - done)
    assert count() == MANY


@pytest.mark.parametrize("as_csv", [True, False])
async def test_what_is_exported_can_be_imported(
    database: Database, settings: Settings, tmp_path: Path, as_csv: bool
) -> None:
    source = tmp_path / "a.jsonl"
    rows = [
        {"external_id": "1", "title": '茶 "x", y', "genres": ["a", "b"], "offers": ["Online=5", "TV"], "heat": 0},
        {"external_id": "2", "title": "Two", "description": "l1\nl2", "bpm": 90.5, "duration": 12.345, "level": 99},
    ]
    source.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    await Editing(database).create_offer("TV", Decimal(7))
    await bring(database, settings, source, metadata_only=True)
    before, listing = await tracks(database), await Editing(database).tracks(limit=10)
    copy = tmp_path / ("out.csv" if as_csv else "out.jsonl")
    with copy.open("w", encoding="utf-8", newline="") as out:
        assert await Exporter(database, open_store(settings)).run(out, as_csv=as_csv) == 2
    await Editing(database).remove([track.id for track in before.values()])
    report = await bring(database, settings, copy, metadata_only=True)
    assert (report.changed, report.rejected) == (2, [])
    after = await tracks(database)
    for external_id, track in before.items():
        for name in ("id", "title", "description", "genre_ids", "bpm", "duration_ms", "level_id", "heat", "created_at"):
            assert getattr(after[external_id], name) == getattr(track, name)
    assert (await Editing(database).tracks(limit=10)).offers == listing.offers
