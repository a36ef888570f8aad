"""Callbacks as an integrator has them: a device uploads, a receiver hears what becomes of it, commands show it."""

import asyncio
import json
import os
import subprocess
import sys
from typing import Any

from openstage.events.signing import callback_secret
from tests.dialects.karaoke.conftest import LINK, SAMPLE, Karaoke, recording
from tests.events.courier import Receiver
from tests.support.raw_server import RawRequest, RawServer, reply
from tests.support.waiting import wait_until


async def heard(receiver: Receiver, *kinds: str, within: float = 30.0) -> list[dict[str, Any]]:
    """Wait until a receiver has heard of all kinds; their data in the order of their numbers."""

    async def all_there() -> bool:
        return {told["type"] for told in receiver.told} >= set(kinds)

    await wait_until(all_there, within=within, what=f"{kinds} at the receiver")
    return sorted((told["data"] | {"type": told["type"]} for told in receiver.told), key=lambda data: data["sequence"])


async def test_an_upload_by_file_is_told_published_hidden_and_deleted(stage: Karaoke) -> None:
    singer = await stage.singer("heard")
    receiver = Receiver(stage.credentials.client_secret)
    async with receiver.listening():
        answer = await stage.upload(singer, recording(), callback_url=f"{receiver.url}/hear")
        ugc_id = answer["data"]["ugc_id"]
        (published,) = await heard(receiver, "ugc.published")
        await stage.post("/karaoke/user/v2/set_ugc_access", singer.headers, {"ugc_id": ugc_id, "access": 2})
        await stage.post("/karaoke/user/v2/del_user_work", singer.headers, {"ugc_id": ugc_id})
        told = await heard(receiver, "ugc.published", "ugc.access_changed", "ugc.deleted")
        for event_id in set(receiver.ids):
            await delivered(stage, event_id)
        log = await command(stage, "list", "--app", stage.credentials.client_id)
        again = receiver.ids[0]
        assert await command(stage, "replay", again) == {"replayed": 1}
        await wait_until(lambda: _count(receiver.ids, again, 2), what="the replay")
        await delivered(stage, again)
        secret = await command(stage, "secret", stage.credentials.client_id)
        shown = await command(stage, "show", again)
    assert published["ugc_id"] == ugc_id
    for name in ("file_id", "share_id", "vid", "paly_url"):
        assert published[name] == answer["data"][name]
    assert published["openid"] == singer.openid
    assert [data["type"] for data in told if data["type"] != "ugc.published"] == ["ugc.access_changed", "ugc.deleted"]
    assert told[-1]["by"] == "app"
    assert len([each for each in log if each["data"]["ugc_id"] == ugc_id]) == 3
    assert [each["status"] for each in shown["log"]] == [200, 200]
    assert secret == {
        "client_id": stage.credentials.client_id,
        "secrets": [callback_secret(stage.credentials.client_secret)],
    }
    assert (shown["state"], shown["kind"], shown["sequence"]) == ("delivered", "ugc.published", 1)


async def test_an_upload_by_link_is_told_its_outcome(stage: Karaoke) -> None:
    sound = recording()

    async def serve(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(200, sound) if request.path == "/sung.mp3" else reply(404))

    singer = await stage.singer("linked")
    receiver = Receiver(stage.credentials.client_secret)
    async with receiver.listening(), RawServer(serve).listening() as files:
        answers = {}
        for name in ("sung.mp3", "missing.mp3"):
            asked = SAMPLE | {"file_size": len(sound), "file_url": f"{files.url}/{name}", "callback_url": receiver.url}
            answers[name] = await stage.post(LINK, singer.headers, asked)
        await heard(receiver, "ugc.published", "ugc.failed")
    by_id = {told["data"]["ugc_id"]: told for told in receiver.told}
    published = by_id[answers["sung.mp3"]["data"]["ugc_id"]]
    failed = by_id[answers["missing.mp3"]["data"]["ugc_id"]]
    assert published["type"] == "ugc.published"
    assert published["data"]["paly_url"] == answers["sung.mp3"]["data"]["paly_url"]
    assert (failed["type"], failed["data"]["state"]) == ("ugc.failed", "failed")
    assert "404" in failed["data"]["reason"]


async def _count(ids: list[str], event_id: str, number: int) -> bool:
    return ids.count(event_id) == number


async def delivered(stage: Karaoke, event_id: str) -> None:
    async def there() -> bool:
        return (await stage.services.events.show(event_id)).event.state == "delivered"

    await wait_until(there, what=f"{event_id} delivered")


async def command(stage: Karaoke, *arguments: str) -> Any:
    """Run `openstage callback … --json` beside the server."""
    settings = stage.settings
    run = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "openstage.cli", "callback", *arguments, "--json"),
        env=os.environ | {"OPENSTAGE_DATA": str(settings.data), "OPENSTAGE_DATABASE_URL": settings.database_url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, problem = await run.communicate()
    assert run.returncode == 0, problem.decode()
    return json.loads(out)
