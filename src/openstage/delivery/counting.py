"""Counting playbacks: the first fetch under one signed address counts, what follows doesn't."""

from collections import OrderedDict

from openstage.delivery.repository import Repository
from openstage.errors import Unavailable
from openstage.observability.logs import get_logger

log = get_logger("delivery")

_REMEMBERED = 20_000


class PlayCounter:
    """Counts in the database; remembers what it has counted, as a player of an mp4 asks for dozens of ranges."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._counted: OrderedDict[str, None] = OrderedDict()

    async def count(self, slug: str, nonce: str) -> None:
        """Count the first playback of an address; a database that is away costs a count, not a playback."""
        if nonce in self._counted:
            return
        try:
            await self._repository.count_playback(slug, nonce)
        except Unavailable as error:
            log.warning("playback not counted", reason=error.message)
            return
        self._counted[nonce] = None
        while len(self._counted) > _REMEMBERED:
            self._counted.popitem(last=False)
