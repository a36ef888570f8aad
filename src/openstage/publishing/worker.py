"""A worker process: takes jobs out of the queue, keeps house, and ends quickly when told to."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from procrastinate import App, BaseRetryStrategy, JobContext, RetryDecision, jobs, worker
from typing_extensions import override

from openstage.database.embedded import running_database
from openstage.database.engine import Database
from openstage.database.migrate import check
from openstage.events.delivery import Delivery
from openstage.events.jobs import CALLBACK_QUEUE, DELIVER
from openstage.events.service import Events
from openstage.identity.apps import keys_of
from openstage.identity.service import Identity
from openstage.media.sandbox import warm_up
from openstage.observability.logs import get_logger
from openstage.publishing.errors import Later
from openstage.publishing.fetching import Fetching
from openstage.publishing.intake import Intake
from openstage.publishing.jobs import (
    EARLY_QUEUE,
    FETCH,
    FETCH_QUEUE,
    FIRST_QUEUE,
    LADDER_QUEUE,
    PRODUCE,
    UPKEEP,
    UPKEEP_QUEUE,
    PatientConnector,
    node_queue,
)
from openstage.publishing.production import Production
from openstage.publishing.recordings import RecordingIntake
from openstage.publishing.rescue import DEAD_AFTER, HEARTBEAT_INTERVAL, Rescue
from openstage.publishing.scratch import Scratch
from openstage.publishing.sweeps import Upkeep
from openstage.publishing.tasks import Tasks
from openstage.settings import Settings
from openstage.storage.objects import open_store
from openstage.uploads.service import Uploads
from openstage.works.service import Works

END_SECONDS: Final = 8.0
"""Within so many seconds of being told to end, the process has given its jobs back and is gone."""
_POLL: Final = 2.0
"""Seconds between two looks for jobs whose time has come; new ones are announced by the database at once."""
_RESTART_PAUSE: Final = 1.0

_log = get_logger("worker")


async def run_worker(settings: Settings, *, stop: asyncio.Event | None = None) -> None:
    """Work until SIGTERM or SIGINT (or until `stop` is set); jobs under way are then given back for others.

    Raises:
        DomainError: the database, the schema or the data folder can't be used.

    """
    stopping = stop or asyncio.Event()
    with running_database(settings) as address, _signals(stopping):
        check(address)
        async with Database(address, largest=settings.database_pool) as database:
            await _work(settings, database, address, stopping)


async def _work(settings: Settings, database: Database, address: str, stopping: asyncio.Event) -> None:
    store = open_store(settings)
    keys = await keys_of(database, settings)
    identity = Identity(database, settings, keys)
    uploads = Uploads(database, settings, identity)
    scratch = Scratch(settings.scratch_folder)
    try:
        warm_up()
        tasks = Tasks(database, settings)
        production = Production(settings, database, store, scratch, tasks, staging_path=uploads.staging_path)
        intake = Intake(database, uploads, Works(database), tasks)
        fetching = Fetching(database, settings, uploads, RecordingIntake(database, settings, uploads, intake))
        events = Events(database, settings)
        further = (fetching.resume_lost, events.resume_events, events.forget_events)
        upkeep = Upkeep(settings, database, store, uploads, identity, further=further)
        running: set[int] = set()
        rescue = Rescue(database, tasks, scratch, running, node=settings.base("upload"))
        slots = _slots(settings)
        connector = PatientConnector(address, largest=_connections(slots))
        duties = (
            Duty(PRODUCE, LADDER_QUEUE, production.run),
            Duty(FETCH, FETCH_QUEUE, fetching.run),
            Duty(DELIVER, CALLBACK_QUEUE, Delivery(database, settings, keys).run),
        )
        app = _queue_app(connector, duties, upkeep.run, rescue, running)
        async with app.open_async():
            await _run_until(slots, app, rescue, connector, stopping)
    finally:
        scratch.close()
        uploads.close()


def _slots(settings: Settings) -> dict[tuple[str, ...], int]:
    """Return the queues that this worker takes jobs from, and how many of each it does at once.

    What makes a new work play has slots of its own, so that it begins while the ladder keeps all others busy; uploads
    that come in have theirs, so that slow ones don't keep finished ones waiting.
    """
    node = settings.base("upload")
    return {
        (FIRST_QUEUE, node_queue(FIRST_QUEUE, node)): settings.first_concurrency,
        (node_queue(EARLY_QUEUE, node),): settings.first_concurrency,
        (LADDER_QUEUE, node_queue(LADDER_QUEUE, node)): settings.ladder_concurrency,
        (FETCH_QUEUE,): settings.fetch_concurrency,
        (CALLBACK_QUEUE,): settings.callback_concurrency,
        (UPKEEP_QUEUE,): 1,
    }


def _connections(slots: dict[tuple[str, ...], int]) -> int:
    """Return how many connections the queue may use: jobs hold one for a moment at their beginning and their end.

    Callbacks are many at once and mostly wait for others: a few connections are enough for all of them.
    """
    return sum(count if queues != (CALLBACK_QUEUE,) else min(count, 3) for queues, count in slots.items()) + 3


async def _run_until(
    slots: dict[tuple[str, ...], int],
    app: App,
    rescue: Rescue,
    connector: PatientConnector,
    stopping: asyncio.Event,
) -> None:
    await rescue.register()
    _log.info("worker ready", jobs_at_once={queues[0].partition("@")[0]: count for queues, count in slots.items()})
    parts = [
        asyncio.create_task(_forever(app, list(queues), count, stopping), name=queues[0])
        for queues, count in slots.items()
    ]
    rounds = asyncio.create_task(rescue.run(), name="rescue")
    await stopping.wait()
    _log.info("worker ends")
    connector.hurried = True
    rounds.cancel()
    _, slow = await asyncio.wait(parts, timeout=END_SECONDS)
    for part in slow:
        # Its tools die with the process; its jobs are found by the next worker.
        _log.warning("a job could not be given back in time", part=part.get_name())
        part.cancel()
    await asyncio.gather(rounds, *parts, return_exceptions=True)


async def _forever(app: App, queues: list[str], concurrency: int, stopping: asyncio.Event) -> None:
    """Run one queue's worker, and another one if it ends before it should (the database was away for long)."""
    while not stopping.is_set():
        one = worker.Worker(
            app,
            queues=queues,
            concurrency=concurrency,
            fetch_job_polling_interval=_POLL,
            shutdown_graceful_timeout=0,
            delete_jobs=jobs.DeleteJobCondition.SUCCESSFUL,
            install_signal_handlers=False,
            update_heartbeat_interval=HEARTBEAT_INTERVAL,
            stalled_worker_timeout=DEAD_AFTER,
        )
        ending = asyncio.create_task(_stop_when(one, stopping))
        try:
            await one.run()  # type: ignore[no-untyped-call]
        except Exception as error:
            _log.warning("the job queue was lost for a while", queues=queues, error=repr(error))
            await asyncio.sleep(_RESTART_PAUSE)
        finally:
            ending.cancel()


async def _stop_when(one: worker.Worker, stopping: asyncio.Event) -> None:
    await stopping.wait()
    one.stop()  # type: ignore[no-untyped-call]


class _Retry(BaseRetryStrategy):
    """Again at the time the job asks for; at once where the worker was stopped."""

    @override
    def get_retry_decision(self, *, exception: BaseException, job: jobs.Job) -> RetryDecision | None:
        if isinstance(exception, Later):
            queue = job.queue.partition("@")[0]
            return RetryDecision(
                retry_in={"seconds": int(exception.delay)},
                queue=None if exception.node is None else node_queue(queue, exception.node),
            )
        if isinstance(exception, asyncio.CancelledError):
            return RetryDecision()
        # A job's fault is its own to handle; what comes here is the database's, and passes.
        return RetryDecision(retry_in={"seconds": 5})


@dataclass(frozen=True, slots=True)
class Duty:
    """One of the things that jobs ask for: `do` takes the one number that a job holds."""

    name: str
    queue: str
    do: Callable[[int], Awaitable[None]]


def _queue_app(
    connector: PatientConnector,
    duties: Sequence[Duty],
    upkeep: Callable[[], Awaitable[None]],
    rescue: Rescue,
    running: set[int],
) -> App:
    app = App(connector=connector)

    @contextlib.contextmanager
    def noted(context: JobContext) -> Iterator[None]:
        """Note, for `Rescue`, that the job is really running here."""
        assert context.job.id is not None  # it has been fetched
        if context.job.worker_id is not None:
            rescue.note_worker(context.job.worker_id)
        running.add(context.job.id)
        try:
            yield
        finally:
            running.discard(context.job.id)

    def register(duty: Duty) -> None:
        @app.task(name=duty.name, queue=duty.queue, retry=_Retry(), pass_context=True)
        async def task(context: JobContext, /, **arguments: int) -> None:
            (number,) = arguments.values()
            with noted(context):
                await duty.do(number)

    for duty in duties:
        register(duty)

    @app.periodic(cron="* * * * *")
    @app.task(name=UPKEEP, queue=UPKEEP_QUEUE, lock=UPKEEP, queueing_lock=UPKEEP, pass_context=True)
    async def upkeep_task(context: JobContext, timestamp: int) -> None:
        with noted(context):
            await upkeep()

    return app


@contextlib.contextmanager
def _signals(stopping: asyncio.Event) -> Iterator[None]:
    """Set `stopping` at SIGTERM and SIGINT for the length of the block."""
    loop = asyncio.get_running_loop()
    handled = (signal.SIGTERM, signal.SIGINT)
    for number in handled:
        loop.add_signal_handler(number, stopping.set)
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
