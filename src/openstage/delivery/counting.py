"""Counting playbacks: the first fetch under one signed address counts, what follows doesn't."""

from collections import OrderedDict

from openstage.errors import Unavailable
from openstage.observability.logs import get_logger
from openstage.works.service import Works

log = get_logger("delivery")

_REMEMBERED = 20_000


class PlayCounter:
    """Counts in the database; remembers what it has counted, as a player of an mp4 asks for dozens of ranges."""

    def __init__(self, works: Works) -> None:
        self._works = works
        self._counted: OrderedDict[str, None] = OrderedDict()

    async def count(self, slug: str, nonce: str) -> None:
        """Count the first playback of an address; a database that is away costs a count, not a playback."""
        if nonce in self._counted:
            return
        try:
            await self._works.count_playback(nonce, slug)
        except Unavailable as error:
            log.warning("playback not counted", reason=error.message)
            return
        self._counted[nonce] = None
        while len(self._counted) > _REMEMBERED:
            self._counted.popitem(last=False)
