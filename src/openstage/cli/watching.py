"""`openstage work watch`: a work's production as bars, or as lines of JSON."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Sequence
from typing import Final

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from openstage.app import Services
from openstage.cli.output import console, print_json, shown
from openstage.publishing.overview import TaskGroup, overview
from openstage.works.models import State, Work

LOOK_EVERY: Final = 0.5
"""Seconds between two looks at a work that is being watched."""
SETTLED: Final[frozenset[State]] = frozenset({"published", "reviewing", "refused", "failed", "cancelled", "expired"})
KINDS: Final = {
    "first": "first rendition",
    "plan": "plan",
    "pictures": "pictures",
    "sound": "sound",
    "chunk": "ladder",
    "join": "join",
}
"""What the kinds of tasks are called in front of their bars."""


async def watch_as_json(services: Services, name: str) -> Work:
    """Print a line whenever something has changed, until the work is settled; return it as it is then."""
    seen = None
    async for work, groups in _looks(services, name):
        now = {
            "file_id": work.file_id,
            "state": work.state,
            "step": work.step,
            "percent": round(work.percent, 1),
            "reason": work.reason or work.last_fault,
            "notice": work.notice,
            "tasks": [dataclasses.asdict(group) for group in groups],
        }
        if now != seen:
            print_json(now)
            seen = now
    return work


async def watch_with_bars(services: Services, name: str) -> Work:
    """Show a bar for the whole run and one for each kind of task until the work is settled; return it as it is then."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[count]}", markup=False),
        _TimeLeft(),
        TextColumn("{task.fields[told]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        bars = _Bars(progress)
        async for work, groups in _looks(services, name):
            bars.show(work, groups)
    return work


async def _looks(services: Services, name: str) -> AsyncIterator[tuple[Work, Sequence[TaskGroup]]]:
    while True:
        work = await services.works.find(name)
        yield work, await overview(services.database, work.id) if work.claim else []
        if work.deleted_at is not None or (work.state in SETTLED and not work.pending):
            return
        await asyncio.sleep(LOOK_EVERY)


class _TimeLeft(ProgressColumn):
    """Time left of the whole run, from how fast it went lately; nothing for its parts."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        """Say how long it will take."""
        seconds = task.time_remaining if task.fields["whole"] else None
        if seconds is None:
            return Text("")
        minutes, seconds = divmod(round(seconds), 60)
        return Text(f"about {minutes}:{seconds:02} left")


class _Bars:
    """The bars of one run: those of its parts come as they become known."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._whole = progress.add_task("", total=100, count="", told="", whole=True)
        self._parts: dict[str, TaskID] = {}

    def show(self, work: Work, groups: Sequence[TaskGroup]) -> None:
        """Show how far it is."""
        told = work.notice or work.last_fault
        self._progress.update(self._whole, description=_what(work), completed=work.percent, told=shown(told))
        for group in groups:
            if group.kind not in self._parts:
                name = f"  {KINDS.get(group.kind, group.kind)}"
                self._parts[group.kind] = self._progress.add_task(name, total=100, count="", told="", whole=False)
            count = f"{group.done}/{group.tasks}" if group.tasks > 1 else ""
            self._progress.update(
                self._parts[group.kind], completed=group.percent or 0.0, count=count, told=shown(group.fault)
            )


def _what(work: Work) -> str:
    """Say what is going on: what plays already goes on being made better."""
    if work.state in SETTLED and work.pending:
        return f"{work.state}, being made {'anew' if work.rerunning else 'better'}"
    return work.state
