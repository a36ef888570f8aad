"""The catalogue from the command line."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from openstage.cli import app
from openstage.settings import Settings

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def run(module_settings: Settings) -> Iterator[Run]:
    """Commands within this process: a new one for each would take a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENSTAGE_DATA", str(module_settings.data))
        patch.setenv("OPENSTAGE_DATABASE_URL", module_settings.database_url)
        yield lambda *arguments: CliRunner().invoke(app, ["catalogue", *map(str, arguments)])


def answer(done: Result) -> Any:
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


def refusal(done: Result) -> str:
    assert done.exit_code == 1, done.output
    return str(getattr(done.exception, "message", ""))


def test_tracks_categories_and_offers_by_hand(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "tracks.csv"
    source.write_text("external_id,title,genres,offers\nt1,One,Pop|流行,Online=5\nt2,Two,Pop,\n,Lost,,\n", "utf-8")
    everything = tmp_path / "rejected.jsonl"
    report = answer(run("import", source, "--metadata-only", "--rejected", everything, "--json"))
    assert (report["added"], len(report["rejected"])) == (2, 1)
    assert json.loads(everything.read_text())["place"] == "tracks.csv, row 3"
    first, second = answer(run("list", "--json"))
    assert (first["title"], first["offers"]) == ("One", ["1 Online 5.00"])

    [pop] = answer(run("category", "list", "--json"))
    assert (pop["name"], pop["aliases"]) == ("Pop", ["流行"])
    assert answer(run("category", "edit", pop["id"], "--name", "Pops", "--alias", "P", "--json"))["aliases"] == ["P"]
    jazz = answer(run("category", "create", "genre", "Jazz", "--json"))
    assert "of this kind and name" in refusal(run("category", "edit", jazz["id"], "--name", "Pops"))
    assert "2 tracks had it" in run("category", "remove", pop["id"]).output
    assert answer(run("show", first["audio_id"], "--json"))["genres"] == []

    offer = answer(run("offer", "create", "Broadcast", "--price", "812.50", "--json"))
    assert (offer["price"], offer["tracks"]) == ("812.50", 0)
    assert run("offer", "create", "Dear", "--price", "1.005").exit_code == 2
    assert "1 tracks changed" in run("offer", "attach", offer["id"], second["audio_id"], "--price", "800").output
    assert answer(run("show", second["audio_id"], "--json"))["offers"] == ["2 Broadcast 800.00"]
    assert "1 tracks changed" in run("offer", "detach", offer["id"], "--all").output
    run("offer", "attach", offer["id"], "--all")
    assert answer(run("offer", "retire", offer["id"], "--json"))["retired_at"]
    assert answer(run("show", second["audio_id"], "--json"))["offers"] == []
    assert "no offer 99" in refusal(run("offer", "attach", 99, "--all"))

    assert run("band", "set", "7", "超快", "400", "500").exit_code == 0
    assert [band["id"] for band in answer(run("band", "list", "--json"))] == [1, 2, 3, 4, 5, 6, 7]
    assert "whole number" in refusal(run("band", "set", "7", "x", "500", "400"))
    assert run("level", "set", "5", "Gold").exit_code == 0
    assert "Gold" in run("level", "list").output
    assert "no level 6" in refusal(run("level", "remove", "6"))

    assert "1 tracks removed" in run("remove", first["audio_id"]).output
    assert [track["title"] for track in answer(run("list", "--json"))] == ["Two"]
    assert "1 tracks restored" in run("restore", first["audio_id"]).output
    assert "7" in run("set-heat", first["audio_id"], 7).output
    assert "no such track" in refusal(run("show", 12))


def test_export_goes_to_a_file_or_to_standard_output(run: Run, tmp_path: Path) -> None:
    lines = run("export", "-").stdout.splitlines()
    assert {json.loads(line)["external_id"] for line in lines if line.startswith("{")} == {"t1", "t2"}
    out = tmp_path / "all.csv"
    assert run("export", out).exit_code == 0
    assert out.read_text("utf-8").startswith("external_id,audio_id,file,title,")


def test_what_cannot_be_imported_is_one_line(run: Run, tmp_path: Path) -> None:
    assert "doesn't exist" in refusal(run("import", tmp_path / "nothing"))
    assert "neither audio nor metadata" in refusal(run("import", tmp_path))
