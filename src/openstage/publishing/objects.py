"""The objects of one pipeline run: from the scratch folder into the store, under the run's own prefix."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from openstage.errors import Unavailable
from openstage.media import models as media
from openstage.publishing import crashpoints
from openstage.storage.objects import ObjectStore
from openstage.works import models as works

_AT_ONCE: Final = 8
"""Objects that are stored at once: each waits for the disk or the network most of its time."""
_PAUSES: Final = (1.0, 3.0, 9.0)
"""Seconds between tries to store one object, before the run breaks off: hours of encoding may hang on it."""


def run_prefix(file_id: str, run: str) -> str:
    """Return the prefix of a run's objects."""
    return f"works/{file_id}/{run}"


class RunObjects:
    """Stores what a run made."""

    def __init__(self, store: ObjectStore, file_id: str, run: str, *, on_progress: Callable[[float], None]) -> None:
        self._store = store
        self._prefix = run_prefix(file_id, run)
        self._on_progress = on_progress

    async def keep(
        self, renditions: Sequence[media.Rendition], pictures: Sequence[media.Picture]
    ) -> tuple[tuple[works.NewRendition, ...], tuple[works.Picture, ...]]:
        """Move every file into the store; when this returns all are whole and durable.

        Raises:
            StorageFull, StorageUnavailable: some could not be stored, after several tries.

        """
        moves: list[tuple[str, Path]] = []
        kept = tuple(self._rendition(made, moves) for made in renditions)
        shown = tuple(self._picture(made, moves) for made in pictures)
        await self._move_all(moves)
        return kept, shown

    def _rendition(self, made: media.Rendition, moves: list[tuple[str, Path]]) -> works.NewRendition:
        if made.kind == "mp4":
            key = f"{self._prefix}/mp4/{made.quality}.mp4"
        else:
            key = f"{self._prefix}/hls/{made.quality}/init.mp4"
        moves.append((key, Path(made.path)))
        segments = []
        for segment in made.segments:
            segment_key = f"{self._prefix}/hls/{made.quality}/{segment.number:05}.m4s"
            moves.append((segment_key, Path(segment.path)))
            segments.append(
                works.Segment(
                    number=segment.number,
                    duration_us=segment.duration_us,
                    byte_size=segment.byte_size,
                    key=segment_key,
                )
            )
        return works.NewRendition(
            kind=made.kind,
            quality=made.quality,
            codecs=made.codecs,
            bandwidth=made.bandwidth,
            average_bandwidth=made.average_bandwidth,
            duration_ms=made.duration_ms,
            byte_size=made.byte_size,
            key=key,
            width=made.width,
            height=made.height,
            frame_rate=made.frame_rate,
            segments=tuple(segments),
        )

    def _picture(self, made: media.Picture, moves: list[tuple[str, Path]]) -> works.Picture:
        key = f"{self._prefix}/pictures/{made.kind}.jpg"
        moves.append((key, Path(made.path)))
        return works.Picture(kind=made.kind, width=made.width, height=made.height, byte_size=made.byte_size, key=key)

    async def _move_all(self, moves: Sequence[tuple[str, Path]]) -> None:
        waiting = iter(moves)
        done = 0

        async def mover() -> None:
            nonlocal done
            for key, path in waiting:
                await patiently(lambda key=key, path=path: self._store.move_file(key, path))  # type: ignore[misc]
                crashpoints.reached("storing")
                done += 1
                self._on_progress(100 * done / len(moves))

        await asyncio.gather(*(mover() for _ in range(_AT_ONCE)))


async def patiently(call: Callable[[], Awaitable[None]]) -> None:
    """Call, and call again a few times if what is needed is away for the moment.

    Raises:
        Unavailable: it stays away.

    """
    for pause in _PAUSES:
        try:
            return await call()
        except Unavailable:
            await asyncio.sleep(pause)
    return await call()
