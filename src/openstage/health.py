"""`/healthz`, `/readyz` and `/metrics`: for supervisors, balancers and Prometheus."""

import shutil

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from openstage.database.engine import Database
from openstage.errors import DomainError
from openstage.observability import metrics
from openstage.settings import Settings
from openstage.storage.objects import ObjectStore

HEARTBEAT_SECONDS = 60
"""A worker is alive if it has been heard of within so many seconds."""


class Health:
    """Checks of one server process."""

    def __init__(self, database: Database, store: ObjectStore, settings: Settings) -> None:
        self._database = database
        self._store = store
        self._settings = settings

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/healthz", self.healthz),
            Route("/readyz", self.readyz),
            Route("/metrics", self.metrics),
        ]

    async def healthz(self, _: Request) -> Response:
        """Answer that the process lives."""
        return _json({"status": "ok"})

    async def readyz(self, _: Request) -> Response:
        """Answer 200 when the database, the object store and a worker are there, else 503; each named."""
        parts = {
            "database": await self._check_database(),
            "storage": await self._check_storage(),
            "worker": await self._check_worker(),
        }
        ready = all(state == "ok" for state in parts.values())
        return _json({"status": "ok" if ready else "unready", "parts": parts}, status=200 if ready else 503)

    async def metrics(self, _: Request) -> Response:
        """Answer in Prometheus' text format."""
        try:
            await self._collect()
        except DomainError:
            # The process' own figures are worth having when the database is away.
            for gauge in (metrics.works, metrics.jobs, metrics.callbacks):
                gauge.clear()
        return Response(generate_latest(metrics.registry), headers={"content-type": CONTENT_TYPE_LATEST})

    async def _check_database(self) -> str:
        try:
            await self._database.fetch_one("select 1")
        except DomainError as error:
            return error.message
        return "ok"

    async def _check_storage(self) -> str:
        try:
            await self._store.list("health/")
        except DomainError as error:
            return error.message
        free = shutil.disk_usage(self._settings.folder).free
        return "ok" if free > self._settings.min_free else f"only {free} bytes are free on the data folder's disk"

    async def _check_worker(self) -> str:
        try:
            row = await self._database.fetch_one(
                """
                select count(*) from procrastinate_workers
                where last_heartbeat > now() - make_interval(secs => %(age)s)
                """,
                {"age": HEARTBEAT_SECONDS},
            )
        except DomainError as error:
            return error.message
        return "ok" if row and row[0] else "no worker has been heard of lately: start `openstage worker`"

    async def _collect(self) -> None:
        async with self._database.connection() as connection:
            works = await (await connection.execute("select state, count(*) from work group by state")).fetchall()
            jobs = await (
                await connection.execute("select status::text, count(*) from procrastinate_jobs group by status")
            ).fetchall()
            callbacks = await (await connection.execute("select state, count(*) from event group by state")).fetchall()
            overdue = await (
                await connection.execute(
                    """
                    select coalesce(extract(epoch from now() - min(due_at)), 0) from event
                    where state in ('waiting', 'doing') and due_at < now()
                    """
                )
            ).fetchone()
        metrics.callback_lag_seconds.set(overdue[0] if overdue else 0)
        for gauge, rows in ((metrics.works, works), (metrics.jobs, jobs), (metrics.callbacks, callbacks)):
            gauge.clear()
            for label, count in rows:
                gauge.labels(label).set(count)
        metrics.free_bytes.set(shutil.disk_usage(self._settings.folder).free)


def _json(body: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")
