"""A catalogue with a running index for tests."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

from openstage.catalogue.importing.rows import parse_row
from openstage.catalogue.importing.writing import Writer
from openstage.catalogue.models import Page, Search
from openstage.catalogue.service import Catalogue
from openstage.database.engine import Database
from openstage.errors import Unavailable
from openstage.settings import Settings
from tests.support.waiting import wait_until


async def put(database: Database, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as an import would."""
    writer = Writer()
    async with database.transaction() as connection:
        await writer.prepare(connection)
        await writer.write(connection, [parse_row(number, row) for number, row in enumerate(rows, 1)])


@contextlib.asynccontextmanager
async def searching(database: Database, settings: Settings) -> AsyncIterator[Catalogue]:
    """A catalogue as a server has it."""
    catalogue = Catalogue(database, settings)
    await catalogue.start()
    try:
        yield catalogue
    finally:
        await catalogue.close()


def another_server(settings: Settings, folder: Path) -> Settings:
    """Settings of a second server on the same database, on another machine."""
    return settings.model_copy(update={"data": folder})


async def found(catalogue: Catalogue, text: str = "", **asked: Any) -> list[str]:
    """Titles of what is found, on the first page."""
    return [track.title for track in (await catalogue.search(Search(text=text, **asked))).tracks]


async def everything(catalogue: Catalogue, text: str = "", per_page: int = 500, **asked: Any) -> list[int]:
    """Numbers of all that is found, page by page."""
    ids: list[int] = []
    wanted = Search(text=text, per_page=per_page, **asked)
    while True:
        page = await catalogue.search(wanted)
        ids += [track.id for track in page.tracks]
        if wanted.page * per_page >= page.total:
            return ids
        wanted = dataclasses.replace(wanted, page=wanted.page + 1)


async def until(
    catalogue: Catalogue, right: Callable[[Page], bool], text: str = "", *, within: float = 30.0, **asked: Any
) -> None:
    """Wait until a search answers as it should."""

    async def answers() -> bool:
        with contextlib.suppress(Unavailable):
            return right(await catalogue.search(Search(text=text, **asked)))
        return False

    await wait_until(answers, within=within)
