"""A first app for a newcomer.

On a server without apps it makes one and keeps its credentials in `<data>/first-app.json`, readable by the owner alone,
so that every start can print lines that work.
"""

import asyncio
import contextlib
import json
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path

from openstage.identity.models import AppCredentials
from openstage.settings import Settings

FILE = "first-app.json"
NAME = "First app"


def ask_beside(settings: Settings) -> Callable[[], AppCredentials | None]:
    """Begin to look for the first app in a process beside this one, which must have no threads.

    The supervisor lives long and needs none of what that loads.

    Returns:
        A function that waits for the answer: `first_app`'s, None also if it failed.

    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(settings, sender), daemon=True)
    process.start()
    sender.close()

    def result() -> AppCredentials | None:
        found = None
        with contextlib.suppress(EOFError):
            found = receiver.recv()
        process.join()
        receiver.close()
        return found

    return result


def _answer(settings: Settings, sender: Connection) -> None:
    sender.send(asyncio.run(first_app(settings)))


async def first_app(settings: Settings) -> AppCredentials | None:
    """Give the first app's credentials, making it where there is no app at all.

    Returns:
        None if there are apps but no credentials that work: they were made otherwise, or the secret was rotated.

    """
    # Loaded in the process beside, not in the supervisor.
    from openstage.database.engine import Database  # noqa: PLC0415
    from openstage.identity.apps import Apps  # noqa: PLC0415
    from openstage.identity.errors import BadClient  # noqa: PLC0415
    from openstage.identity.keys import Keys  # noqa: PLC0415

    file = settings.folder / FILE
    async with Database(settings.database_url, largest=1) as database:
        apps = Apps(database, settings, Keys.load(settings.folder))
        if (kept := _read(file)) is not None:
            async with database.connection() as connection:
                with contextlib.suppress(BadClient):
                    found = await apps.authenticate(connection, kept.client_id, kept.client_secret)
                    return kept if found.state != "deleted" else None
        if await apps.list():
            return None
        made = await apps.create(NAME)
        _write(file, made)
        return made


def _read(file: Path) -> AppCredentials | None:
    try:
        return AppCredentials(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _write(file: Path, credentials: AppCredentials) -> None:
    draft = file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        json.dump(asdict(credentials), out)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(file)
