"""What is made beside the ladder: pictures, and the sound of the whole file."""

from pathlib import Path

from openstage.database.engine import Connection
from openstage.media.errors import TookTooLong, Unplayable
from openstage.observability.logs import get_logger
from openstage.publishing import crashpoints
from openstage.publishing.production.step import Step, kept_rendition
from openstage.works import products
from openstage.works.models import Extra, Loudness, NewRendition, Picture, Storyboard

_log = get_logger("publishing")

Moves = list[tuple[str, Path]]


async def make_pictures(step: Step) -> None:
    """Make the poster in all sizes, and the storyboard of a film. A film of which there can't be any goes without.

    Raises:
        StorageFull, StorageUnavailable: something can't be stored.

    """
    info = await step.media()
    assert info is not None, "the plan was made before"
    source, moves = await step.source(), Moves()
    pictures: list[Picture] = []
    extras: list[Extra] = []
    board: Storyboard | None = None
    try:
        for made in await step.tools.make_pictures(source, info, step.made("pictures"), step.settings):
            key = step.objects.key(f"pictures/{made.kind}.jpg")
            moves.append((key, Path(made.path)))
            pictures.append(Picture(made.kind, made.width, made.height, made.byte_size, key))
        step.progress.percent = 40.0
        sheets = await step.tools.make_storyboard(source, info, step.made("sheets"), step.settings)
        if sheets is not None:
            board = Storyboard(
                sheets.interval_ms, sheets.tile_width, sheets.tile_height, sheets.columns, sheets.rows, sheets.tiles
            )
            for sheet in sheets.sheets:
                name = f"storyboard/{sheet.number}.jpg"
                extras.append(_extra(step, name, "image/jpeg", Path(sheet.path), moves))
    except (Unplayable, TookTooLong) as error:
        _log.warning("a work goes without some pictures", work=step.task.work.slug, reason=error.message)
    step.progress.percent = 90.0
    await step.objects.keep(moves)
    crashpoints.reached("pictures-stored")

    async def enter(connection: Connection) -> None:
        await products.add_pictures(connection, step.task.work_id, step.task.run, pictures)
        await products.add_extras(connection, step.task.work_id, step.task.run, extras)
        if board is not None:
            await products.set_storyboard(connection, step.task.work_id, step.task.run, board)

    await step.end(enter)


async def make_sound(step: Step) -> None:
    """Make and measure the sound of the whole file, once; sound alone gets its files for download here.

    Raises:
        Unplayable, TookTooLong: it can't be decoded.
        StorageFull, StorageUnavailable: something can't be stored.

    """
    info = await step.media()
    assert info is not None, "the plan was made before"
    sound = await step.tools.make_sound(
        await step.source(), info, step.made(), step.settings, on_progress=step.progress.within(0, 95)
    )
    moves = Moves()
    tracks: dict[str, str] = {}
    for quality, path in sound.tracks.items():
        tracks[quality] = step.objects.part(f"sound-{quality}{Path(path).suffix}")
        moves.append((tracks[quality], Path(path)))
    files: list[NewRendition] = []
    for made in sound.renditions:
        key = step.objects.key(f"{made.kind}/{made.quality}.{made.kind}")
        moves.append((key, Path(made.path)))
        files.append(kept_rendition(made, key))
    extras = [
        _extra(step, "waveform.json", "application/json", Path(sound.waveform_json), moves),
        _extra(step, "waveform.png", "image/png", Path(sound.waveform_png), moves),
    ]
    loudness = Loudness(sound.loudness.integrated_lufs, sound.loudness.range_lu, sound.loudness.true_peak_dbtp)
    await step.objects.keep(moves, on_progress=step.progress.within(95, 100))
    crashpoints.reached("sound-stored")

    async def enter(connection: Connection) -> None:
        for rendition in files:
            await products.add_rendition(connection, step.task.work_id, step.task.run, rendition)
        await products.add_extras(connection, step.task.work_id, step.task.run, extras)
        await products.set_loudness(connection, step.task.work_id, step.task.run, loudness)

    await step.end(enter, {"tracks": tracks})


def _extra(step: Step, name: str, content_type: str, path: Path, moves: Moves) -> Extra:
    key = step.objects.key(name)
    moves.append((key, path))
    return Extra(name, content_type, path.stat().st_size, key)
