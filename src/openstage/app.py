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

from openstage.catalogue.service import Catalogue
from openstage.console.certificates import CertificatePages
from openstage.console.routes import Console
from openstage.database.embedded import running_database
from openstage.database.engine import Database
from openstage.database.migrate import check
from openstage.delivery.addresses import Addresses
from openstage.delivery.events import Events
from openstage.delivery.library import LibraryAddresses, library_routes, library_signer
from openstage.delivery.routes import delivery_routes
from openstage.delivery.signing import AddressSigner
from openstage.delivery.standing import Standings
from openstage.dialects.karaoke.headers import Authorisation as KaraokeAuthorisation
from openstage.dialects.karaoke.passback import Passbacks
from openstage.dialects.karaoke.playing import Playing
from openstage.dialects.karaoke.recordings import RecordingCalls
from openstage.dialects.karaoke.routes import Calls as KaraokeCalls
from openstage.dialects.karaoke.routes import karaoke_routes
from openstage.dialects.karaoke.tickets import TicketCalls
from openstage.dialects.karaoke.tokens import TokenCalls
from openstage.dialects.karaoke.ugcs import UgcShapes
from openstage.dialects.karaoke.users import UserCalls
from openstage.dialects.karaoke.works import WorkCalls
from openstage.dialects.music.authentication import Authentication
from openstage.dialects.music.catalogue_calls import CatalogueCalls
from openstage.dialects.music.dates import Dates
from openstage.dialects.music.licence_calls import LicenceCalls
from openstage.dialects.music.routes import music_routes
from openstage.dialects.music.shapes import Shapes
from openstage.dialects.video.authorisation import Authorisation
from openstage.dialects.video.routes import api_routes
from openstage.dialects.video.uploads import UploadCalls
from openstage.dialects.video.videos import Videos
from openstage.dispatch import Direct
from openstage.errors import Unavailable
from openstage.events.service import Events as Callbacks
from openstage.health import Health
from openstage.identity.apps import keys_of
from openstage.identity.keys import Keys
from openstage.identity.service import Identity
from openstage.identity.signing import SigningApps
from openstage.licensing.billing import BillingAccounts
from openstage.licensing.certificate_keys import CertificateKeys
from openstage.licensing.certificates import Certificates
from openstage.licensing.ledger import Ledger
from openstage.licensing.service import Licensing
from openstage.oauth.admission import Admission
from openstage.oauth.browser import Browsers
from openstage.oauth.routes import oauth_routes
from openstage.observability import logs
from openstage.observability.middleware import Observed
from openstage.proxied import Proxied
from openstage.publishing.early import EarlyStart
from openstage.publishing.intake import Intake
from openstage.publishing.operations import Operations
from openstage.publishing.recordings import RecordingIntake
from openstage.publishing.tasks import Tasks
from openstage.settings import Settings, load
from openstage.storage.objects import ObjectStore, open_store
from openstage.uploads.service import Uploads
from openstage.works.listing import Listing
from openstage.works.service import Works
from openstage.works.songs import Songs
from openstage.works.visibility import Visibility

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
    listing: Listing
    visibility: Visibility
    intake: Intake
    events: Callbacks
    recordings: RecordingIntake
    catalogue: Catalogue
    licensing: Licensing
    billing: BillingAccounts
    ledger: Ledger
    certificates: Certificates
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
                await services.catalogue.close()
                await services.identity.tickets.close()
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
        listing=Listing(database),
        visibility=Visibility(database),
        intake=intake,
        events=Callbacks(database, settings),
        recordings=RecordingIntake(database, settings, uploads, intake),
        catalogue=Catalogue(database, settings),
        licensing=Licensing(database, settings),
        billing=BillingAccounts(database, settings),
        ledger=Ledger(database, settings),
        certificates=Certificates(database, store, CertificateKeys(database, keys), settings),
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
        *_music(services),
        *api_routes(authorisation, videos),
        *Health(services.database, services.store, services.settings).routes(),
        *Events(services.standings, admits=_admission(services).admits).routes(),
        *CertificatePages(services.certificates, console.renderer).routes(),
        *console.routes,
    ]


def _admission(services: Services) -> Admission:
    """Make what tells whom pages are shown to."""
    return Admission(Browsers(services.identity, services.keys, services.settings), services.visibility)


def _karaoke(services: Services) -> list[KaraokeCalls]:
    """Make the groups of calls of the karaoke dialect."""
    authorisation, profiles = KaraokeAuthorisation(services.identity), services.identity.profiles
    works = WorkCalls(
        authorisation,
        services.intake,
        services.listing,
        services.visibility,
        profiles,
        shapes=UgcShapes(services.addresses),
        passbacks=Passbacks(services.keys),
    )
    return [
        TokenCalls(services.identity),
        TicketCalls(services.identity, services.settings),
        works,
        UserCalls(authorisation, profiles, services.listing, Songs(services.database)),
        RecordingCalls(services.settings, authorisation, services.uploads, services.recordings),
        Playing(authorisation, services.listing, services.visibility, services.addresses),
    ]


def _music(services: Services) -> list[BaseRoute]:
    """Make the music dialect, and the addresses it hands out."""
    settings, catalogue = services.settings, services.catalogue
    signer = library_signer(services.keys, settings)
    addresses, dates = LibraryAddresses(signer, settings), Dates(settings.time_zone)
    authentication = Authentication(SigningApps(services.database, services.keys))
    licences = LicenceCalls(
        authentication,
        catalogue=catalogue,
        licensing=services.licensing,
        certificates=services.certificates,
        addresses=addresses,
        dates=dates,
    )
    return [
        *music_routes(CatalogueCalls(authentication, catalogue, Shapes(addresses, dates)), licences),
        *library_routes(catalogue, services.licensing, services.store, signer, settings),
    ]


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
            console = Console(
                services.works,
                services.addresses,
                services.standings,
                settings,
                recordings=services.listing,
                admission=_admission(services),
            )
            app.state.console = console
            # Routes need what has only now been opened.
            every = routes(services, console)
            _end_streams_on_signal(services)
            await services.catalogue.start()
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
    """Let those who listen or wait go when the server is about to end: it would wait for them."""

    def end() -> None:
        services.standings.end()
        services.identity.tickets.end()

    with contextlib.suppress(RuntimeError, ValueError):  # not in a process of its own
        asyncio.get_running_loop().add_signal_handler(ENDING, end)


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
