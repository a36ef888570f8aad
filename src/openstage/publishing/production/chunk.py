"""A chunk of the ladder: all rungs of some seconds of film, and the end that puts all chunks together."""

from pathlib import Path
from typing import Any, NoReturn

import msgspec

from openstage.database.engine import Connection
from openstage.errors import DomainError
from openstage.media import models as media
from openstage.media.chunks import Chunk, ChunkPart, ChunkRung, EncoderName, LadderPlan
from openstage.media.errors import ChunksDontJoin, EncoderLost
from openstage.media.models import MediaInfo
from openstage.observability.logs import get_logger
from openstage.publishing import crashpoints
from openstage.publishing.errors import PlanChanged, Resting
from openstage.publishing.production.step import Step, kept_rendition, nothing
from openstage.works import products
from openstage.works.models import NewRendition, RenditionKind, Segment

_MAKING = 90.0
"""Percent of a chunk that its making is; the rest is storing."""

_log = get_logger("publishing")


async def make_chunk(step: Step) -> None:
    """Make one chunk of the ladder and store it; its rows are entered with those of all others, by `join`.

    Raises:
        Unplayable, TookTooLong: it can't be decoded.
        StorageFull, StorageUnavailable: it can't be stored.

    """
    info, ladder = await ladder_of(step)
    try:
        chunk = await step.tools.make_chunk(
            await step.source(),
            info,
            ladder,
            step.task.number,
            step.made(),
            step.settings,
            on_progress=step.progress.within(0, _MAKING),
        )
    except EncoderLost as error:
        await _make_anew(step, error, encoder="software")
    crashpoints.reached("chunk-made")
    moves: list[tuple[str, Path]] = []
    stored = _in_store(step, chunk, moves)
    await step.objects.keep(moves, on_progress=step.progress.within(_MAKING, 100))
    crashpoints.reached("chunk-stored")
    await step.end(lambda connection: _require_plan(step, connection, ladder), msgspec.to_builtins(stored))


async def join_chunks(step: Step) -> None:
    """Put all chunks together: every rung and MP4 is entered at once, and what only tasks needed is removed.

    Raises:
        ChunksDontJoin: they don't fit; a defect.
        StorageFull, StorageUnavailable: something can't be stored or read.

    """
    _, ladder = await ladder_of(step)
    if not await _entered(step, ladder):
        made = await _joined(step, ladder)
        await step.commit(lambda connection: _enter(step, connection, made))
        crashpoints.reached("joined")
    # Only now: a try that finds the rows entered needs none of it.
    await step.objects.remove_parts()
    crashpoints.reached("parts-removed")
    await step.end(nothing)


async def ladder_of(step: Step) -> tuple[MediaInfo, LadderPlan]:
    """Return what the probe found and what the ladder is to be."""
    info = await step.media()
    assert info is not None, "the plan was made before"
    assert step.task.plan is not None
    return info, msgspec.convert(step.task.plan["ladder"], LadderPlan)


def _in_store(step: Step, chunk: Chunk, moves: list[tuple[str, Path]]) -> Chunk:
    """Return a chunk with keys in the place of its paths, and add what is to be stored to `moves`."""

    def move(key: str, path: str) -> str:
        moves.append((key, Path(path)))
        return key

    def of_rung(rung: ChunkRung) -> ChunkRung:
        segments = tuple(
            msgspec.structs.replace(
                each,
                path=move(step.objects.segment(rung.quality, each.number, chunk=chunk.number), each.path),
            )
            for each in rung.segments
        )
        init = move(step.objects.part(f"{chunk.number:04}/{rung.quality}-init.mp4"), rung.init_path)
        return msgspec.structs.replace(rung, segments=segments, init_path=init)

    def of_part(part: ChunkPart) -> ChunkPart:
        suffix = Path(part.path).suffix.lstrip(".") or "bin"
        key = step.objects.part(f"{chunk.number:04}/mp4-{part.quality}.{suffix}")
        return msgspec.structs.replace(part, path=move(key, part.path))

    return Chunk(
        number=chunk.number,
        rungs=tuple(of_rung(rung) for rung in chunk.rungs),
        parts=tuple(of_part(part) for part in chunk.parts),
    )


# --- once more ----------------------------------------------------------------------------------------------------
async def _make_anew(step: Step, error: DomainError, *, encoder: EncoderName | None = None) -> NoReturn:
    """Let all chunks be made anew, once in a run.

    Args:
        step: what found out that it is necessary.
        error: why.
        encoder: what encodes from now on; None: what did.

    Raises:
        Resting: always; the task goes on with the others.
        DomainError: it has been done before.

    """

    def change(plan: dict[str, Any]) -> None:
        if plan.get("anew"):
            raise error
        plan["anew"] = error.message
        plan["ladder"]["encoder"] = encoder or plan["ladder"]["encoder"]

    async def write(connection: Connection) -> None:
        await step.update_plan(connection, change)
        await step.house.tasks.again(connection, step.task, "chunk")

    _log.warning("all chunks are made anew", work=step.task.work.slug, run=step.task.run, reason=error.message)
    await step.commit(write)
    raise Resting


async def _require_plan(step: Step, connection: Connection, ladder: LadderPlan) -> None:
    """Make sure that the plan by which a chunk was made still holds.

    Raises:
        PlanChanged: it does not.

    """
    plan = await step.house.tasks.plan(connection, step.task.run)
    if plan is None or plan["ladder"]["encoder"] != ladder.encoder:
        raise PlanChanged


# --- join -----------------------------------------------------------------------------------------------------------
async def _entered(step: Step, ladder: LadderPlan) -> bool:
    """Whether an earlier try has entered the rows."""
    wanted: set[tuple[RenditionKind, str]] = {("hls_video", rung.quality) for rung in ladder.rungs}
    wanted |= {("mp4", mp4.quality) for mp4 in ladder.mp4s}
    row = await step.house.database.fetch_one(
        "select array_agg(array[kind, quality]) from rendition where work_id = %(work)s and run = %(run)s",
        {"work": step.task.work_id, "run": step.task.run},
    )
    found = {(kind, quality) for kind, quality in (row[0] or [])} if row else set()
    return wanted <= found


async def _joined(step: Step, ladder: LadderPlan) -> list[NewRendition]:
    """Describe the rungs, and make and store the MP4 files."""
    async with step.house.database.connection() as connection:
        results = await step.house.tasks.results(connection, step.task.run, "chunk")
        sounds = await step.house.tasks.results(connection, step.task.run, "sound")
    chunks = msgspec.convert(results, list[Chunk])
    tracks: dict[str, str] = sounds[0]["tracks"] if sounds else {}
    try:
        rungs = step.tools.join_renditions(ladder, chunks)
    except ChunksDontJoin as error:
        await _make_anew(step, error)
    made = [await _rung(step, rung) for rung in rungs]
    for number, mp4 in enumerate(ladder.mp4s):
        made.append(await _mp4(step, mp4.quality, chunks, tracks.get(mp4.quality)))
        step.progress.percent = 100 * (number + 1) / (len(ladder.mp4s) + 1)
    return made


async def _rung(step: Step, rung: media.Rendition) -> NewRendition:
    """Give a rung an initialisation section of its own; all chunks have the same."""
    folder = step.made(f"rung-{rung.quality}")
    # A copy: where the store is a folder, its own file must not be moved away.
    init = folder / "init.mp4"
    init.write_bytes((await step.objects.fetch(rung.path, folder)).read_bytes())
    key = step.objects.init(rung.quality)
    await step.objects.keep([(key, init)])
    segments = tuple(
        Segment(number=each.number, duration_us=each.duration_us, byte_size=each.byte_size, key=each.path)
        for each in rung.segments
    )
    return kept_rendition(rung, key, segments)


async def _mp4(step: Step, quality: str, chunks: list[Chunk], sound: str | None) -> NewRendition:
    folder = step.made(f"mp4-{quality}")
    keys = [part.path for chunk in chunks for part in chunk.parts if part.quality == quality]
    parts = [await step.objects.fetch(key, folder) for key in keys]
    track = await step.objects.fetch(sound, folder) if sound else None
    made = await step.tools.join_mp4(quality, parts, track, folder / f"{quality}.mp4", step.settings)
    key = step.objects.key(f"mp4/{quality}.mp4")
    await step.objects.keep([(key, Path(made.path))])
    return kept_rendition(made, key)


async def _enter(step: Step, connection: Connection, made: list[NewRendition]) -> None:
    work_id, run = step.task.work_id, step.task.run
    for rendition in made:
        await products.add_rendition(connection, work_id, run, rendition)
    await products.retire_source(connection, work_id, run)
    crashpoints.reached("joining")
