"""Whether there is something to hear in a file that has come in whole, told before anything of it is entered.

A recording is any sound, or a film with sound; what is neither is refused while whoever sent it waits. The verdict is
the one that production would come to, only sooner: whatever can't be told here, for lack of time or of a tool, is left
to production, so that no recording is lost to a busy server.
"""

import asyncio
import contextlib
from pathlib import Path
from typing import Final, Protocol

from openstage.errors import Unavailable
from openstage.media.errors import TookTooLong, Unplayable
from openstage.media.models import MediaInfo
from openstage.media.probe import SCAN_BYTES, probe
from openstage.media.sandbox import MIB, warm_up
from openstage.observability.logs import get_logger
from openstage.publishing.errors import NotAMedium
from openstage.settings import Settings

AT_ONCE: Final = 4
"""Files of one process that are looked at together: each look is a process that reads as fast as it can."""
WHILE_WAITED_FOR: Final = 10.0
"""Seconds for a file whose sender waits for the reply, its turn included."""
UNATTENDED: Final = 60.0
"""Seconds for a file that nobody waits for."""
FIRST_LOOK: Final = MIB // 2
"""Bytes of packets that are read first; a file of no more is read as a whole."""

_log = get_logger("sound-check")


class Look(Protocol):
    """Finds out what is in a file; `openstage.media.probe.probe` says with which errors."""

    async def __call__(self, path: Path, settings: Settings, *, scan_bytes: int) -> MediaInfo:
        """Read about `scan_bytes` of packets, and the end."""


class SoundCheck:
    """Looks into files in the sandbox, a few at a time."""

    def __init__(self, settings: Settings, *, look: Look = probe) -> None:
        self._settings = settings
        self._look = look
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._ready = False

    async def get_ready(self) -> None:
        """Start, once, what starts looks; while a file comes in there is time for that."""
        if not self._ready:
            self._ready = True
            with contextlib.suppress(OSError):  # then the first look tries it once more
                await asyncio.to_thread(warm_up)

    async def require_sound(self, path: Path, *, seconds: float = WHILE_WAITED_FOR) -> None:
        """Make sure that a file holds sound, as far as that can be told within so many seconds.

        Raises:
            NotAMedium: it can't be published, or has no sound; the message says why.

        """
        try:
            async with asyncio.timeout(seconds), self._turns:
                info = await self._verdict(path)
        except Unplayable as error:
            raise NotAMedium(error.message) from error
        except (OSError, TookTooLong, Unavailable) as error:  # TimeoutError is an OSError
            _log.warning("a file is taken without a look into it", reason=str(error) or f"{seconds:g} s are over")
            return
        if not info.audio:
            raise NotAMedium("There is no sound in this file, only a picture: a recording must have sound.")

    async def _verdict(self, path: Path) -> MediaInfo:
        """Tell what is in a file: a quick look is enough to take it, but not to refuse one of which more can be read.

        Raises:
            Unplayable, TookTooLong, Unavailable: as `probe`.

        """
        short = (await asyncio.to_thread(path.stat)).st_size <= FIRST_LOOK
        try:
            info = await self._look(path, self._settings, scan_bytes=FIRST_LOOK)
        except Unplayable:
            if short:
                raise
        else:
            if short or info.audio:
                return info
        return await self._look(path, self._settings, scan_bytes=SCAN_BYTES)
