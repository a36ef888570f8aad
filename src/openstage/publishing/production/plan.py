"""What is made of a work behind its first rendition: decided once, entered as tasks."""

import msgspec

from openstage.database.engine import Connection
from openstage.media.chunks import LadderPlan
from openstage.media.models import MediaInfo
from openstage.publishing import crashpoints
from openstage.publishing.production.step import FirstDecision, Step
from openstage.publishing.tasks import FIRST, PLAN, WHOLE, NewTask

PICTURES_WEIGHT = 4.0
SOUND_WEIGHT = 6.0
JOIN_WEIGHT = 4.0
"""Parts of the whole that the tasks of a film are, by their processor time; the chunks are the rest."""


async def make_plan(step: Step) -> None:
    """Probe the whole file unless `first` has, choose the ladder, keep the original, and enter the other tasks.

    Raises:
        Unplayable, TookTooLong: the file can't be published.
        Elsewhere, OriginalLost: it isn't here.
        StorageFull, StorageUnavailable: the original can't be kept.

    """
    source = await step.source()
    info = await step.media()
    if info is None:
        info = await step.tools.probe(source, step.settings)
        crashpoints.reached("probed")
        await step.commit(lambda connection: step.measured(connection, info))
    step.progress.percent = 20.0
    decided = FirstDecision(info, step.tools.plan_first(info, step.settings), can_feed=False)
    first = (await step.decide_first(decided)).plan
    complexity = await step.tools.sample(source, info, step.settings) if info.main_video else None
    ladder = step.tools.plan_ladder(info, first, step.settings, complexity)
    step.progress.percent = 60.0
    await step.house.originals.keep(step.task.work.file_id)

    async def enter(connection: Connection) -> None:
        await step.update_plan(connection, lambda plan: plan.update(ladder=msgspec.to_builtins(ladder)))
        await step.house.tasks.enter(connection, step.task.run, tasks_of(info, ladder))

    await step.end(enter)


def tasks_of(info: MediaInfo, ladder: LadderPlan) -> list[NewTask]:
    """Name the tasks that a plan makes necessary, in the order in which they are best done."""
    audio = info.main_audio is not None
    share = WHOLE - FIRST.weight - PLAN.weight - PICTURES_WEIGHT
    if not ladder.chunks:
        sound = [NewTask("sound", weight=share)] if audio else []
        return [NewTask("pictures", weight=PICTURES_WEIGHT), *sound]
    share -= JOIN_WEIGHT + (SOUND_WEIGHT if audio else 0.0)
    seconds = sum(end - start for start, end in ladder.chunks)
    chunks = [
        NewTask("chunk", number, weight=share * (end - start) / max(seconds, 1))
        for number, (start, end) in enumerate(ladder.chunks)
    ]
    sound = [NewTask("sound", weight=SOUND_WEIGHT)] if audio else []
    return [NewTask("pictures", weight=PICTURES_WEIGHT), *sound, *chunks, NewTask("join", weight=JOIN_WEIGHT)]
