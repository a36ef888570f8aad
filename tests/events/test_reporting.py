"""Metrics and `openstage doctor` say when callbacks are late or given up."""

from typing import cast

from starlette.requests import Request

from openstage.health import Health
from openstage.server import checks
from openstage.storage.objects import open_store
from tests.events.courier import Office


async def figures(office: Office) -> dict[str, float]:
    health = Health(office.database, open_store(office.settings), office.settings)
    text = bytes((await health.metrics(cast("Request", None))).body).decode()
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("openstage_callback")]
    return {name: float(value) for name, value in lines}


async def test_what_waits_too_long_and_what_was_given_up_is_reported(office: Office) -> None:
    def doctor() -> checks.Finding:
        (finding,) = checks._callbacks(office.settings.database_url)
        return finding

    assert doctor().state == "ok"
    late = await office.emit("http://127.0.0.1:1/")
    await office.database.fetch_one("update event set due_at = now() - interval '10 minutes' returning id")
    assert doctor().state == "warning"
    assert "beyond their time" in doctor().detail
    found = await figures(office)
    assert found['openstage_callbacks{state="waiting"}'] == 1
    assert found["openstage_callback_lag_seconds"] >= 600

    await office.delivery(callback_retries=[]).run(await office.value("select id from event"))
    assert (await office.event(late)).state == "failed"
    assert "1 were given up in the last day, to 127.0.0.1:1" in doctor().detail
    found = await figures(office)
    assert found['openstage_callbacks{state="failed"}'] == 1
    assert found["openstage_callback_lag_seconds"] == 0
