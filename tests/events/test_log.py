"""The log of events from the command line."""

import asyncio
import json

import pytest
from typer.testing import CliRunner

from openstage.cli import app
from openstage.works import recordings
from openstage.works.recordings import About
from tests.events.courier import Office


async def test_events_of_a_recording_are_found_by_each_of_its_names(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Integrators know the `ugc_id`, people who share it the `share_id`."""
    works = [await office.work() for _ in range(3)]
    async with office.database.transaction() as connection:
        for work in works[:2]:
            await recordings.create(connection, work, About())
    events = [await office.emit("https://app.example/heard", work_id=work) for work in works]
    monkeypatch.setenv("OPENSTAGE_DATA", str(office.settings.data))
    monkeypatch.setenv("OPENSTAGE_DATABASE_URL", office.settings.database_url)

    async def found(name: str) -> list[str]:
        listed = await asyncio.to_thread(CliRunner().invoke, app, ["callback", "list", "--work", name, "--json"])
        assert listed.exit_code == 0, listed.exception
        return [each["id"] for each in json.loads(listed.stdout)]

    for work, event in zip(works[:2], events[:2], strict=True):
        row = await office.database.fetch_one(
            "select file_id, ugc_id, share_id from work join recording on work_id = id where id = %(id)s", {"id": work}
        )
        assert row
        for name in row:
            assert await found(str(name)) == [event]
    assert await found(str(await office.value(f"select file_id from work where id = {works[2]}"))) == [events[2]]
    assert await found("nobody's") == []
