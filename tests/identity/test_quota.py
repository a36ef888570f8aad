"""Bytes an app may hold: never promised twice, never lost."""

import asyncio

import pytest

from openstage.database.engine import Database
from openstage.identity.errors import QuotaExceeded, UnknownApp
from openstage.identity.models import App, AppCredentials
from openstage.identity.service import Identity


async def the_app(identity: Identity, credentials: AppCredentials) -> App:
    return await identity.apps.find(credentials.client_id)


async def test_a_reservation_fits_or_is_refused_with_the_figures(
    identity: Identity, database: Database, credentials: AppCredentials
) -> None:
    app = await identity.apps.set_quota(credentials.client_id, 100)
    async with database.transaction() as connection:
        await identity.reserve(connection, app.id, 60)
        await identity.reserve(connection, app.id, 40)
    with pytest.raises(QuotaExceeded, match="100 bytes, of which 100"):
        async with database.transaction() as connection:
            await identity.reserve(connection, app.id, 1)
    assert (await the_app(identity, credentials)).reserved == 100


async def test_a_quota_is_never_promised_twice(
    identity: Identity, database: Database, credentials: AppCredentials
) -> None:
    app = await identity.apps.set_quota(credentials.client_id, 5)

    async def attempt() -> bool:
        try:
            async with database.transaction() as connection:
                await identity.reserve(connection, app.id, 1)
        except QuotaExceeded:
            return False
        return True

    assert sum(await asyncio.gather(*(attempt() for _ in range(20)))) == 5


async def test_settling_moves_and_releasing_returns(
    identity: Identity, database: Database, credentials: AppCredentials
) -> None:
    app = await the_app(identity, credentials)
    async with database.transaction() as connection:
        await identity.reserve(connection, app.id, 10)
        await identity.settle(connection, app.id, reserved=10, stored=7)
    found = await the_app(identity, credentials)
    assert (found.reserved, found.stored) == (0, 7)
    async with database.transaction() as connection:
        await identity.release(connection, app.id, stored=7)
    assert (await the_app(identity, credentials)).stored == 0


async def test_zero_means_no_limit(identity: Identity, database: Database, credentials: AppCredentials) -> None:
    app = await identity.apps.set_quota(credentials.client_id, 0)
    async with database.transaction() as connection:
        await identity.reserve(connection, app.id, 10**15)


async def test_an_unknown_app_has_no_quota(identity: Identity, database: Database) -> None:
    with pytest.raises(UnknownApp):
        async with database.transaction() as connection:
            await identity.reserve(connection, 10**9, 1)
