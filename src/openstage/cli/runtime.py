"""How commands reach the database: beside a running server, or with a database started for the moment."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from openstage.app import Services, open_services
from openstage.observability import logs
from openstage.settings import load

T = TypeVar("T")


def with_services(work: Callable[[Services], Awaitable[T]]) -> T:
    """Run an asynchronous function with the server's parts, and return what it returns."""
    return asyncio.run(_run(work))


async def _run(work: Callable[[Services], Awaitable[T]]) -> T:
    settings = load()
    logs.configure(form=settings.log_format, level="warning")
    async with open_services(settings) as services:
        return await work(services)
