"""`openstage catalogue …`: the tracks that are licensed."""

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from openstage.app import Services
from openstage.catalogue.editing import Editing
from openstage.catalogue.exporting import Exporter
from openstage.catalogue.importing.rows import BadRow, OfferName, price_of
from openstage.catalogue.importing.service import Importer, Report
from openstage.catalogue.importing.service import Progress as Done
from openstage.catalogue.models import Offer, Track, TrackListing
from openstage.cli.catalogue_sorting import band_app, category_app, level_app, offer_app
from openstage.cli.output import print_json, print_record, print_table, shown
from openstage.cli.runtime import with_services

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="The music catalogue: import, export, tracks, categories, offers."
)
app.add_typer(category_app, name="category")
app.add_typer(band_app, name="band")
app.add_typer(level_app, name="level")
app.add_typer(offer_app, name="offer")

SHOWN_REJECTED = 20
INTERRUPTED = 130

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]
Numbers = Annotated[list[int], typer.Argument(metavar="AUDIO_ID…", help="The tracks' numbers.")]


class _Rate(ProgressColumn):
    """Tracks a second."""

    def render(self, task: Task) -> Text:
        tracks = task.fields.get("tracks", 0)
        return Text(f"{tracks} tracks, {tracks / max(task.elapsed or 0, 1e-3):.0f}/s")


@app.command("import")
def import_path(
    path: Annotated[
        Path,
        typer.Argument(metavar="PATH", help="Folder of audio and metadata, a CSV or JSONL file, or an audio file."),
    ],
    *,
    metadata_only: Annotated[
        bool, typer.Option("--metadata-only", help="Leave audio alone: for catalogues of millions.")
    ] = False,
    offers: Annotated[
        list[str] | None,
        typer.Option(
            "--offer", help="Sell what has no offers of its own under this one; NAME or NAME=PRICE; repeatable."
        ),
    ] = None,
    rejected: Annotated[
        Path | None, typer.Option("--rejected", help="Write all rejected rows with their reasons to this JSONL file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Import tracks. Broken off, the same command goes on where it stopped; the same thing twice changes nothing."""
    named = [_offer(text) for text in offers] if offers else None
    columns = (TextColumn("importing"), BarColumn(), TaskProgressColumn(), _Rate(), TimeRemainingColumn())
    console = Console(stderr=True, highlight=False)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("importing", total=None)

        def show(done: Done) -> None:
            bar.update(task, total=done.total, completed=done.done, tracks=done.tracks)

        async def work(services: Services) -> Report:
            importer = Importer(
                services.database,
                services.store,
                services.settings,
                metadata_only=metadata_only,
                offers=named,
                on_progress=show,
            )
            return await importer.run(path)

        try:
            report = with_services(work)
        except KeyboardInterrupt:
            sys.stderr.write("openstage: stopped; the same command goes on where it stopped\n")
            raise typer.Exit(INTERRUPTED) from None
    _tell(report, rejected, as_json=as_json)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or JSONL file to write; - for standard output.")],
    files: Annotated[Path | None, typer.Option("--files", help="Copy the originals to this folder as well.")] = None,
) -> None:
    """Write all tracks to a file that `openstage catalogue import` takes again."""

    async def work(services: Services) -> int:
        exporter = Exporter(services.database, services.store)
        if str(file) == "-":
            return await exporter.run(sys.stdout, as_csv=False, files=files)
        with file.open("w", encoding="utf-8", newline="") as out:
            return await exporter.run(out, as_csv=file.suffix.lower() == ".csv", files=files)

    sys.stderr.write(f"{with_services(work)} tracks exported.\n")


@app.command("list")
def list_tracks(
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    after: Annotated[int, typer.Option(help="Only tracks with a larger number.")] = 0,
    as_json: AsJson = False,
) -> None:
    """List tracks in the order of their numbers."""

    async def work(services: Services) -> TrackListing:
        return await Editing(services.database).tracks(limit=limit, after=after)

    found = with_services(work)
    if as_json:
        print_json([_record(track, found.offers.get(track.id, [])) for track in found.tracks])
        return
    print_table(
        ["audio_id", "title", "artist", "bpm", "seconds", "offers", "file"],
        (
            (
                track.id,
                track.title,
                track.artist,
                None if track.bpm is None else f"{track.bpm:g}",
                track.summary.duration,
                len(found.offers.get(track.id, [])),
                track.file is not None,
            )
            for track in found.tracks
        ),
        empty="No tracks yet: openstage catalogue import PATH",
    )


@app.command()
def show(audio_id: Annotated[int, typer.Argument(help="The track's number.")], as_json: AsJson = False) -> None:
    """Show one track."""

    async def work(services: Services) -> dict[str, Any]:
        track = await services.catalogue.track(audio_id, removed=True)
        categories = await services.catalogue.categories()
        record = _record(track, await services.catalogue.offers(audio_id))
        record["genres"] = [each.name for each in categories.named("genre", track.genre_ids)]
        record["moods"] = [each.name for each in categories.named("mood", track.mood_ids)]
        record["instruments"] = [each.name for each in categories.named("instrument", track.instrument_ids)]
        return record

    record = with_services(work)
    if as_json:
        print_json(record)
    else:
        print_record({name: ", ".join(value) if isinstance(value, list) else value for name, value in record.items()})


@app.command()
def remove(audio_ids: Numbers, as_json: AsJson = False) -> None:
    """Take tracks out of the catalogue; what was bought of them stays available to those who bought it."""

    async def work(services: Services) -> int:
        return await Editing(services.database).remove(audio_ids)

    _print_count("removed", with_services(work), as_json=as_json)


@app.command()
def restore(audio_ids: Numbers, as_json: AsJson = False) -> None:
    """Bring removed tracks back."""

    async def work(services: Services) -> int:
        return await Editing(services.database).restore(audio_ids)

    _print_count("restored", with_services(work), as_json=as_json)


@app.command("set-heat")
def set_heat(
    audio_id: Annotated[int, typer.Argument(help="The track's number.")],
    heat: Annotated[
        int | None, typer.Argument(min=0, help="How much it is asked for; nothing: it has no heat.")
    ] = None,
) -> None:
    """Say how much a track is asked for: `sort=heat` lists what has a heat value."""

    async def work(services: Services) -> Track:
        return await Editing(services.database).set_heat(audio_id, heat)

    track = with_services(work)
    print_record({"audio_id": track.id, "title": track.title, "heat": track.heat})


def _offer(text: str) -> OfferName:
    name, equals, price = text.rpartition("=")
    if not equals:
        return OfferName(text)
    try:
        return OfferName(name, price_of(price))
    except (BadRow, ValueError, ArithmeticError):
        raise typer.BadParameter(f"{price!r} is no price such as 21.00") from None


def _tell(report: Report, rejected: Path | None, *, as_json: bool) -> None:
    reasons = [{"place": each.place, "reason": each.reason} for each in report.rejected]
    if rejected is not None:
        rejected.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in reasons), "utf-8")
    if as_json:
        counts = ("added", "changed", "unchanged", "files", "skipped")
        print_json(
            {name: getattr(report, name) for name in counts} | {"rejected": reasons, "ignored": sorted(report.ignored)}
        )
    else:
        done = f", {report.skipped} done before" if report.skipped else ""
        typer.echo(
            f"{report.added} tracks added, {report.changed} changed, {report.unchanged} as they were{done}; "
            f"{report.files} audio files measured; {len(reasons)} rows rejected."
        )
    for each in report.rejected[:SHOWN_REJECTED]:
        sys.stderr.write(f"rejected: {shown(each.place)}: {shown(each.reason)}\n")
    if len(reasons) > SHOWN_REJECTED and rejected is None:
        sys.stderr.write(f"… and {len(reasons) - SHOWN_REJECTED} more: --rejected FILE writes all of them.\n")
    if report.ignored:
        sys.stderr.write(f"ignored columns: {', '.join(map(shown, sorted(report.ignored)))}\n")


def _record(track: Track, offers: list[Offer]) -> dict[str, Any]:
    file = track.file
    return {
        "audio_id": track.id,
        "external_id": track.external_id,
        "title": track.title,
        "artist": track.artist,
        "description": track.description,
        "supplier": track.supplier,
        "bpm": track.bpm,
        "key": track.musical_key,
        "duration_ms": track.duration_ms,
        "level": track.level_id,
        "vhifun": track.vhifun,
        "heat": track.heat,
        "offers": [f"{offer.id} {offer.name} {Decimal(offer.price):.2f}" for offer in offers],
        "file": file.file_name if file else None,
        "sha256": file.sha256 if file else None,
        "loudness_lufs": file.loudness_lufs if file else None,
        "created_at": track.created_at,
        "removed_at": track.removed_at,
    }


def _print_count(what: str, count: int, *, as_json: bool) -> None:
    if as_json:
        print_json({what: count})
    else:
        typer.echo(f"{count} tracks {what}.")
