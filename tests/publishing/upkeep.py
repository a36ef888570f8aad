"""One round of upkeep in a process of its own, for tests that kill it."""

import asyncio

from openstage.database.engine import Database
from openstage.identity.keys import Keys
from openstage.identity.service import Identity
from openstage.publishing.sweeps import Upkeep
from openstage.settings import load
from openstage.storage.objects import open_store
from openstage.uploads.service import Uploads


async def main() -> None:
    settings = load()
    async with Database(settings.database_url) as database:
        identity = Identity(database, settings, Keys.load(settings.folder))
        uploads = Uploads(database, settings, identity)
        await Upkeep(settings, database, open_store(settings), uploads, identity).run()


asyncio.run(main())
