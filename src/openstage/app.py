"""The one place where everything is put together."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from openstage.console.routes import Console
from openstage.database.embedded import running_database
from openstage.database.engine import Database
from openstage.database.migrate import check
from openstage.delivery.addresses import Addresses
from openstage.delivery.events import Events
from openstage.delivery.routes import delivery_routes
from openstage.delivery.signing import AddressSigner
from openstage.delivery.standing import Standings
from openstage.dialects.karaoke.routes import Calls as KaraokeCalls
from openstage.dialects.karaoke.routes import karaoke_routes
from openstage.dialects.video.authorisation import Authorisation
from openstage.dialects.video.routes import api_routes
from openstage.dialects.video.uploads import UploadCalls
from openstage.dialects.video.videos import Videos
from openstage.dispatch import Direct
from openstage.errors import Unavailable
from openstage.health import Health
from openstage.identity.apps import keys_of
from openstage.identity.keys import Keys
from openstage.identity.service import Identity
from openstage.oauth.routes import oauth_routes
from openstage.observability import logs
from openstage.observability.middleware import Observed
from openstage.proxied import Proxied
from openstage.publishing.early import EarlyStart
from openstage.publishing.intake import Intake
from openstage.publishing.operations import Operations
from openstage.publishing.tasks import Tasks
from openstage.settings import Settings, load
from openstage.storage.objects import ObjectStore, open_store
from openstage.uploads.service import Uploads
from openstage.works.service import Works

log = logs.get_logger("app")

ENDING = signal.SIGUSR1
"""What the web server's own process sends to the application's just before it ends it."""


@dataclass(frozen=True)
class Services:
    """The parts of a running server, for surfaces and for the command line."""

    settings: Settings
    database: Database
    store: ObjectStore
    keys: Keys
    identity: Identity
    early: EarlyStart
    uploads: Uploads
    works: Works
    intake: Intake
    operations: Operations
    signer: AddressSigner
    addresses: Addresses
    standings: Standings


@contextlib.asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Open all parts for the length of the block; starts the embedded database if nothing else has.

    Raises:
        DomainError: a part can't work; the message says which, and what to do.

    """
    with running_database(settings) as address:
        check(address)
        async with Database(address, largest=settings.database_pool) as database:
            services = assemble(settings, database, await keys_of(database, settings))
            try:
                yield services
            finally:
                await services.standings.close()
                await services.early.close()
                services.uploads.close()


def assemble(settings: Settings, database: Database, keys: Keys) -> Services:
    """Make the parts of a server around an open database."""
    store = open_store(settings)
    identity = Identity(database, settings, keys)
    tasks = Tasks(database, settings)
    early = EarlyStart(tasks)
    uploads = Uploads(database, settings, identity, on_begun=early.begun)
    works = Works(database)
    intake = Intake(database, uploads, works, tasks)
    signer = AddressSigner(keys, settings)
    return Services(
        settings=settings,
        database=database,
        store=store,
        keys=keys,
        identity=identity,
        early=early,
        uploads=uploads,
        works=works,
        intake=intake,
        operations=Operations(database, works, intake, tasks),
        signer=signer,
        addresses=Addresses(database, signer, settings),
        standings=Standings(database),
    )


def routes(services: Services, console: Console) -> list[BaseRoute]:
    """Return every route of the server; what is called most stands first."""
    authorisation = Authorisation(services.identity)
    videos = Videos(services.identity, services.intake, services.works, services.addresses)
    upload_calls = UploadCalls(services.settings, services.identity, services.uploads, services.intake)
    return [
        *upload_calls.routes(),
        *delivery_routes(services.database, services.store, services.signer, services.settings),
        *oauth_routes(services.identity, services.keys, services.settings),
        *karaoke_routes(_karaoke(services)),
        *api_routes(authorisation, videos),
        *Health(services.database, services.store, services.settings).routes(),
        *Events(services.standings).routes(),
        *console.routes,
    ]


def _karaoke(services: Services) -> list[KaraokeCalls]:
    """Make the groups of calls of the karaoke dialect."""
    return []


def create_app() -> ASGIApp:
    """Make the ASGI application, with settings from the environment (granian calls this in its worker process)."""
    settings = load()
    logs.configure(form=settings.log_format, level=settings.log_level)
    return application(settings)


def application(settings: Settings) -> ASGIApp:
    """Make the ASGI application; its parts are opened when the server starts it and closed when it ends."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with open_services(settings) as services:
            console = Console(services.works, services.addresses, services.standings, settings)
            app.state.console = console
            # Routes need what has only now been opened.
            every = routes(services, console)
            _end_streams_on_signal(services)
            app.router.routes.extend(every)
            direct.add(every)
            yield

    direct = Direct(
        Starlette(
            lifespan=lifespan,
            exception_handlers={HTTPException: _http_error, Unavailable: _unavailable, Exception: _defect},
        )
    )
    return Proxied(Observed(direct), settings.proxies)


def _end_streams_on_signal(services: Services) -> None:
    """Let those who listen to events go when the server is about to end: it would wait for them."""
    with contextlib.suppress(RuntimeError, ValueError):  # not in a process of its own
        asyncio.get_running_loop().add_signal_handler(ENDING, services.standings.end)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return _console(request).not_found(request)
    return Response(error.detail, error.status_code, headers=error.headers, media_type="text/plain")


async def _unavailable(request: Request, error: Exception) -> Response:
    log.warning("unavailable", reason=str(error))
    return _console(request).failed(request)


async def _defect(request: Request, error: Exception) -> Response:
    log.error("request failed", exc_info=error)
    return _console(request).failed(request)


def _console(request: Request) -> Console:
    console: Console = request.app.state.console
    return console
