"""`openstage worker`: take jobs out of the queue."""

import asyncio
from typing import Annotated

import typer

from openstage.observability import logs
from openstage.publishing.worker import run_worker
from openstage.settings import load

app = typer.Typer(add_completion=False)


@app.command()
def worker(
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Jobs run at once, instead of the setting `worker_concurrency`.")
    ] = None,
) -> None:
    """Run a worker by itself: any number of them, on any machine that reaches the database and the object store.

    SIGTERM or Ctrl-C ends it within seconds; what it was working on is given back for others.
    """
    settings = load()
    logs.configure(form=settings.log_format, level=settings.log_level)
    if concurrency is not None:
        settings = settings.model_copy(update={"worker_concurrency": concurrency})
    asyncio.run(run_worker(settings))
