"""Events of an app, delivered by a real queue worker to real servers that tests hold in their hands."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from procrastinate import App, worker
from standardwebhooks import Webhook

from openstage.database.engine import Database
from openstage.events.delivery import Delivery
from openstage.events.jobs import CALLBACK_QUEUE, DELIVER
from openstage.events.models import Event, EventFilter, EventState
from openstage.events.service import Events
from openstage.events.signing import callback_secret
from openstage.identity.apps import Apps
from openstage.identity.keys import Keys
from openstage.identity.models import AppCredentials
from openstage.outbound.connecting import Outbound
from openstage.publishing.jobs import PatientConnector
from openstage.publishing.worker import _Retry
from openstage.settings import Settings
from tests.support.raw_server import RawRequest, RawServer, reply
from tests.support.waiting import wait_until
from tests.support.works import enter_work


@dataclass
class Office:
    """Apps with events, and how they are delivered."""

    settings: Settings
    database: Database
    keys: Keys
    events: Events
    app: AppCredentials
    app_id: int
    jitter: float = 1.0
    stretches: list[str] = field(default_factory=list)

    @classmethod
    async def opened(cls, settings: Settings, database: Database) -> "Office":
        keys = Keys.load(settings.folder)
        apps = Apps(database, settings, keys)
        app = await apps.create("An integrator")
        found = await apps.find(app.client_id)
        return cls(settings, database, keys, Events(database, settings), app, found.id)

    async def another_app(self) -> int:
        apps = Apps(self.database, self.settings, self.keys)
        return (await apps.find((await apps.create("Another")).client_id)).id

    async def work(self, app_id: int | None = None) -> int:
        """A work; returns its number."""
        app_id = app_id or self.app_id
        row = await self.database.fetch_one(
            "insert into end_user (app_id, realm, uid) values (%(app)s, 'person', 'u') "
            "on conflict (app_id, realm, uid) do update set nick = '' returning id",
            {"app": app_id},
        )
        assert row
        file_id = await enter_work(self.database, (app_id, row[0]))
        found = await self.database.fetch_one("select id from work where file_id = %(file)s", {"file": file_id})
        assert found
        return int(found[0])

    async def emit(self, url: str, *, app_id: int | None = None, work_id: int | None = None, **data: Any) -> str:
        async with self.database.transaction() as connection:
            public_id = await Events.emit(
                connection,
                app_id=app_id or self.app_id,
                kind="ugc.published",
                work_id=work_id,
                data=data,
                callback_url=url,
            )
        assert public_id
        return public_id

    def delivery(self, **changed: Any) -> Delivery:
        settings = self.settings.model_copy(update=changed)
        return Delivery(
            self.database, settings, self.keys, outbound=Outbound(["127.0.0.1"]), jitter=lambda: self.jitter
        )

    @contextlib.asynccontextmanager
    async def delivering(self, at_once: int = 24, **changed: Any) -> AsyncIterator[None]:
        """Run a worker that delivers; `changed` settings are its own."""
        app = App(connector=PatientConnector(self.settings.database_url, largest=6))
        delivery = self.delivery(**changed)

        @app.task(name=DELIVER, queue=CALLBACK_QUEUE, retry=_Retry())
        async def deliver(event_id: int) -> None:
            await delivery.run(event_id)

        async with app.open_async():
            one = worker.Worker(
                app,
                queues=[CALLBACK_QUEUE],
                concurrency=at_once,
                fetch_job_polling_interval=0.03,
                shutdown_graceful_timeout=0,
                install_signal_handlers=False,
            )
            task = asyncio.create_task(one.run())  # type: ignore[no-untyped-call]
            try:
                yield
            finally:
                one.stop()  # type: ignore[no-untyped-call]
                await task

    async def event(self, public_id: str) -> Event:
        return (await self.events.show(public_id)).event

    async def settled(self, public_id: str, state: EventState, within: float = 20.0) -> Event:
        async def there() -> Event | None:
            event = await self.event(public_id)
            return event if event.state == state else None

        found = await wait_until(there, within=within, what=f"{public_id} {state}")
        assert found
        return found

    async def all_settled(self, count: int, state: EventState = "delivered", within: float = 20.0) -> Sequence[Event]:
        async def there() -> bool:
            return len(await self.events.list(EventFilter(state=state), limit=1000)) >= count

        await wait_until(there, within=within, what=f"{count} events {state}")
        return await self.events.list(EventFilter(state=state), limit=1000)

    async def value(self, query: str) -> Any:
        row = await self.database.fetch_one(query)
        return row[0] if row else None


class Receiver(RawServer):
    """What an integrator runs: verifies each callback with the library of Standard Webhooks, and answers as told."""

    def __init__(self, secret: str, *statuses: int) -> None:
        """Take the app's secret, and the statuses to answer with, the last of them for ever (by default 200)."""
        super().__init__(self._receive)
        self._verifier = Webhook(callback_secret(secret))
        self._statuses = list(statuses) or [200]
        self.told: list[dict[str, Any]] = []
        """The bodies of verified callbacks."""
        self.ids: list[str] = []

    async def _receive(self, request: RawRequest, writer: asyncio.StreamWriter) -> None:
        self.note(request)
        self.told.append(self._verifier.verify(request.body, request.headers))
        self.ids.append(request.headers["webhook-id"])
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        writer.write(reply(status, f"status {status}".encode()))


class Holding(RawServer):
    """Answers nothing until it is let go; notes how many wait at once."""

    def __init__(self) -> None:
        super().__init__(self._hold)
        self.let_go = asyncio.Event()
        self.now = 0
        self.most = 0

    async def _hold(self, request: RawRequest, writer: asyncio.StreamWriter) -> None:
        self.note(request)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.let_go.wait()
        finally:
            self.now -= 1
        writer.write(reply(200))
