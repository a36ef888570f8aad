"""The upload half of the video dialect as an application of its own, for servers that tests start, load and kill."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.applications import Starlette

from openstage.database.engine import Database
from openstage.dialects.video.uploads import UploadCalls
from openstage.identity.keys import Keys
from openstage.identity.models import Caller
from openstage.identity.service import Identity
from openstage.publishing.intake import Intake
from openstage.publishing.tasks import Tasks
from openstage.settings import Settings, load
from openstage.uploads.service import Uploads
from openstage.works.service import Works


@dataclass(frozen=True)
class UploadServices:
    """What an upload server is made of, and a caller whose token it takes."""

    settings: Settings
    database: Database
    identity: Identity
    uploads: Uploads
    works: Works
    intake: Intake

    def application(self) -> Starlette:
        return Starlette(routes=[*UploadCalls(self.settings, self.identity, self.uploads, self.intake).routes()])

    async def token(self, *, uid: str = "") -> str:
        """Access token of a new app, or of an end user of it."""
        credentials = await self.identity.apps.create("An uploader")
        pair = await self.identity.authorise(
            credentials.client_id, credentials.client_secret, realm="person" if uid else "app", uid=uid
        )
        return pair.access_token

    async def caller(self) -> Caller:
        return await self.identity.resolve(await self.token())


@contextlib.asynccontextmanager
async def upload_services(settings: Settings, *, takeover: float = 2.0) -> AsyncIterator[UploadServices]:
    """Open what uploads need, for the length of the block."""
    async with Database(settings.database_url, largest=settings.database_pool) as database:
        identity = Identity(database, settings, Keys.load(settings.folder / "keys"))
        uploads = Uploads(database, settings, identity, takeover=takeover)
        works = Works(database)
        try:
            intake = Intake(database, uploads, works, Tasks(database, settings))
            yield UploadServices(settings, database, identity, uploads, works, intake)
        finally:
            uploads.close()


def create_app() -> Starlette:
    """Factory for `server_process`: settings from the environment."""
    settings = load()

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with upload_services(settings) as services:
            app.router.routes.extend(services.application().routes)
            yield

    return Starlette(lifespan=lifespan)
