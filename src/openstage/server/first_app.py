"""A first app for a newcomer. Run as `python -m openstage.server.first_app`; prints JSON.

On a server without apps it makes one and keeps its credentials in `<data>/first-app.json`, readable by the owner alone,
so that every start can print lines that work. A process of its own, beside the web server while that loads: the
supervisor needs none of what is imported here.
"""

import asyncio
import contextlib
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from openstage.database.engine import Database
from openstage.identity.apps import Apps
from openstage.identity.errors import BadClient
from openstage.identity.keys import Keys
from openstage.identity.models import AppCredentials
from openstage.settings import Settings, load

FILE = "first-app.json"
NAME = "First app"


async def first_app(settings: Settings) -> AppCredentials | None:
    """Give the first app's credentials, making it where there is no app at all.

    Returns:
        None if there are apps but no credentials that work: they were made otherwise, or the secret was rotated.

    """
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


if __name__ == "__main__":
    result = asyncio.run(first_app(load()))
    sys.stdout.write(json.dumps(asdict(result) if result else None) + "\n")
