"""Callbacks arrive: signed, once as far as anybody can promise, again until they do, and never in each other's way."""

import asyncio
import contextlib
import datetime as dt
import os
import signal

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from openstage.events.models import EventFilter
from openstage.events.service import Events
from openstage.events.signing import callback_secret
from openstage.identity.apps import Apps
from openstage.settings import Settings
from tests.events.courier import Holding, Office, Receiver
from tests.publishing.process import worker_process
from tests.support.raw_server import RawRequest, RawServer, reply
from tests.support.waiting import wait_until


async def test_an_event_arrives_signed_with_what_it_tells(office: Office) -> None:
    receiver = Receiver(office.app.client_secret)
    async with receiver.listening(), office.delivering():
        work = await office.work()
        first = await office.emit(
            f"{receiver.url}/hear?a=b", work_id=work, ugc_id="1", paly_url="media:/play/x", note="好"
        )
        await office.settled(first, "delivered")
        second = await office.emit(f"{receiver.url}/hear?a=b", work_id=work, share_url="")
        await office.settled(second, "delivered")
        other = await office.emit(receiver.url, work_id=await office.work())
        await office.settled(other, "delivered")
    told, request = receiver.told[0], receiver.requests[0]
    assert list(told) == ["type", "timestamp", "data"]
    assert told["type"] == "ugc.published"
    assert told["data"] == {
        "sequence": 1,
        "ugc_id": "1",
        "paly_url": f"http://{office.settings.listen}/play/x",
        "note": "好",
    }
    sent = dt.datetime.fromisoformat(told["timestamp"])
    assert abs((dt.datetime.now(dt.UTC) - sent).total_seconds()) < 60
    assert (request.method, request.path) == ("POST", "/hear?a=b")
    assert request.headers["content-type"] == "application/json"
    assert receiver.told[1]["data"] == {"sequence": 2, "share_url": ""}
    assert receiver.told[2]["data"] == {"sequence": 1}  # each work has its own numbers
    assert receiver.ids == [first, second, other]
    assert await office.value("select count(*) from procrastinate_jobs where status in ('todo', 'doing')") == 0
    with pytest.raises(WebhookVerificationError):
        Webhook(callback_secret("another secret")).verify(request.body, request.headers)


async def test_what_is_rolled_back_is_told_to_nobody(office: Office) -> None:
    receiver = Receiver(office.app.client_secret)
    work = await office.work()
    async with receiver.listening(), office.delivering():
        with pytest.raises(RuntimeError):
            await _emit_and_fail(office, work, receiver.url)
        await office.settled(await office.emit(receiver.url, work_id=work), "delivered")
    assert [told["data"]["sequence"] for told in receiver.told] == [1]
    assert await office.value("select count(*) from event") == 1


async def _emit_and_fail(office: Office, work: int, url: str) -> None:
    async with office.database.transaction() as connection:
        await Events.emit(
            connection, app_id=office.app_id, kind="ugc.published", work_id=work, data={}, callback_url=url
        )
        raise RuntimeError


async def test_a_receiver_that_fails_and_comes_back_gets_the_same_event(office: Office) -> None:
    receiver = Receiver(office.app.client_secret, 500, 503, 200)
    async with receiver.listening(), office.delivering():
        event = await office.emit(receiver.url, work_id=await office.work())
        await office.settled(event, "delivered")
    assert receiver.ids == [event] * 3
    assert len({request.body for request in receiver.requests}) == 1
    log = (await office.events.show(event)).attempts
    assert [(each.number, each.outcome, each.status, each.excerpt) for each in log] == [
        (1, "failed", 500, "status 500"),
        (2, "failed", 503, "status 503"),
        (3, "delivered", 200, "status 200"),
    ]
    assert all(each.seconds is not None for each in log)


async def test_each_kind_of_failure_is_told_apart_and_costs_one_try(office: Office) -> None:
    async def misbehave(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        server.note(request)
        if request.path == "/stalls":
            await asyncio.Event().wait()
        elif request.path == "/redirects":
            writer.write(reply(307, location=f"{server.url}/elsewhere"))
        elif request.path == "/closes":
            writer.write(b"HTTP/1.1 20")
        elif request.path == "/endless":
            writer.write(b"HTTP/1.1 500 No\r\n\r\n")
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()

    server = RawServer(misbehave)
    expected = {
        "stalls": (None, "within"),
        "redirects": (307, ""),
        "closes": (None, "broke off"),
        "endless": (500, "xxx"),
    }
    async with server.listening(), office.delivering(callback_timeout=0.3, callback_retries=[600.0]):
        ids = {path: await office.emit(f"{server.url}/{path}") for path in expected}
        nowhere = await office.emit("http://127.0.0.1:1/")
        for path, (status, excerpt) in expected.items():

            async def tried(event: str = ids[path]) -> bool:
                return (await office.event(event)).tries == 1

            await wait_until(tried, what=path)
            found = await office.event(ids[path])
            assert found.last_status == status
            assert excerpt in found.last_excerpt
            assert found.state == "waiting"
            assert len(found.last_excerpt) <= 1000
        await wait_until(lambda: _tries(office, nowhere), what="the refused connection")
    assert "nobody listens" in (await office.event(nowhere)).last_excerpt
    assert "/elsewhere" not in [request.path for request in server.requests]


async def _tries(office: Office, event: str) -> int:
    return (await office.event(event)).tries


async def test_tries_follow_the_schedule_with_jitter_and_end_with_it(office: Office) -> None:
    receiver = Receiver(office.app.client_secret, 500)
    office.jitter = 1.1
    delivery = office.delivery(callback_retries=[10.0, 300.0])
    waits = []
    async with receiver.listening():
        event = await office.emit(receiver.url, work_id=await office.work())
        number = await office.value("select id from event")
        for _ in range(3):
            await delivery.run(number)
            found = await office.event(event)
            waits.append(round((found.due_at - dt.datetime.now(dt.UTC)).total_seconds()))
            due = "select round(extract(epoch from scheduled_at - now())) from procrastinate_jobs where status = 'todo'"
            if found.state == "waiting":
                assert abs(int(await office.value(due)) - waits[-1]) <= 1
                await delivery.run(number)  # before its time nothing is sent
                await office.database.fetch_one("update event set due_at = now() returning id")
    assert waits[:2] == [11, 330]
    assert (found.state, found.tries, found.attempts) == ("failed", 3, 3)
    assert receiver.ids == [event] * 3


async def test_the_schedule_takes_about_a_day(settings: Settings) -> None:
    whole = sum(Settings.model_fields["callback_retries"].default)
    assert 0.9 * 86400 < whole < 86400
    assert settings.callback_retries[0] <= 10


async def test_a_receiver_may_ask_to_be_left_alone_for_a_while(office: Office) -> None:
    async def busy(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(429, retry_after="1000"))

    async with RawServer(busy).listening() as server:
        event = await office.emit(server.url)
        await office.delivery().run(await office.value("select id from event"))
    assert 990 < ((await office.event(event)).due_at - dt.datetime.now(dt.UTC)).total_seconds() <= 1001


async def test_gone_ends_everything_for_this_work_and_receiver(office: Office) -> None:
    gone, fine = Receiver(office.app.client_secret, 410), Receiver(office.app.client_secret)
    work, other = await office.work(), await office.work()
    async with gone.listening(), fine.listening():
        first = await office.emit(gone.url, work_id=work)
        waiting = await office.emit(gone.url, work_id=work)
        await office.delivery().run(await office.value(f"select id from event where public_id = '{first}'"))
        assert {(await office.event(each)).state for each in (first, waiting)} == {"gone"}
        async with office.delivering():
            for work_id, url in ((work, fine.url), (other, fine.url)):
                await office.settled(await office.emit(url, work_id=work_id), "delivered")
            async with office.database.transaction() as connection:
                assert (
                    await Events.emit(
                        connection,
                        app_id=office.app_id,
                        kind="ugc.deleted",
                        work_id=work,
                        data={},
                        callback_url=gone.url,
                    )
                    is None
                )
    assert gone.ids == [first]
    assert len(fine.ids) == 2


async def test_both_secrets_sign_while_one_replaces_the_other(office: Office) -> None:
    apps = Apps(office.database, office.settings, office.keys)
    fresh = (await apps.rotate_secret(office.app.client_id)).client_secret
    receiver = Receiver(fresh)
    async with receiver.listening(), office.delivering():
        await office.settled(await office.emit(receiver.url), "delivered")
        request = receiver.requests[0]
        assert len(request.headers["webhook-signature"].split(" ")) == 2
        assert Webhook(callback_secret(office.app.client_secret)).verify(request.body, request.headers)
        await office.database.fetch_one("update app set previous_secret_until = now() returning id")
        await office.settled(await office.emit(receiver.url), "delivered")
    request = receiver.requests[1]
    with pytest.raises(WebhookVerificationError):
        Webhook(callback_secret(office.app.client_secret)).verify(request.body, request.headers)


async def test_a_slow_receiver_holds_up_nobody_else(office: Office) -> None:
    slow, other = Holding(), Receiver(office.app.client_secret)
    async with slow.listening(), other.listening(), office.delivering(at_once=8):
        work = await office.work()
        for _ in range(30):
            await office.emit(slow.url, work_id=work)
        await wait_until(lambda: _equal(slow.now, 4), what="the bound of one host")
        # The same app at another host, and the same work: told at once.
        quick = [await office.emit(other.url, work_id=work) for _ in range(10)]
        for event in quick:
            await office.settled(event, "delivered")
        assert not slow.let_go.is_set()
        # As soon as there is room again, all that was held goes, without anybody looking for it.
        slow.let_go.set()
        await office.all_settled(40)
    assert slow.most == 4
    assert len(slow.requests) == 30


async def _equal(one: int, another: int) -> bool:
    return one == another


async def test_one_app_with_many_slow_receivers_leaves_room_for_others(office: Office) -> None:
    another = await office.another_app()
    slow = [Holding() for _ in range(6)]
    receiver = RawServer(lambda request, writer: _ok(writer))
    async with contextlib.AsyncExitStack() as stack:
        for server in (receiver, *slow):
            await stack.enter_async_context(server.listening())
        await stack.enter_async_context(office.delivering(at_once=20))
        for _ in range(5):
            for each in slow:
                await office.emit(each.url)
        await wait_until(lambda: _equal(sum(each.now for each in slow), 16), what="the bound of one app")
        await office.settled(await office.emit(receiver.url, app_id=another), "delivered")
        assert sum(each.now for each in slow) == 16
        for each in slow:
            each.let_go.set()
        await office.all_settled(31)


async def test_a_hundred_events_of_one_app_do_not_stand_before_the_first_of_another(office: Office) -> None:
    another = await office.another_app()
    slow, other = Holding(), RawServer(lambda request, writer: _ok(writer))
    async with slow.listening(), other.listening():
        async with office.database.transaction() as connection:
            for _ in range(100):
                await Events.emit(
                    connection,
                    app_id=office.app_id,
                    kind="ugc.deleted",
                    work_id=None,
                    data={},
                    callback_url=slow.url,
                )
        event = await office.emit(other.url, app_id=another)
        async with office.delivering(at_once=5):
            await office.settled(event, "delivered")
            # Only a few of the others have been looked at: it went before them.
            assert await office.value("select count(*) from event where held") < 50
            slow.let_go.set()
            await office.all_settled(101)
    assert slow.most <= 4


async def _ok(writer: asyncio.StreamWriter) -> None:
    writer.write(reply(204))


async def test_an_address_inside_is_never_called_and_the_log_says_why(office: Office) -> None:
    receiver = Receiver(office.app.client_secret)
    async with receiver.listening():
        delivery = office.delivery()
        for url in (f"http://127.0.0.2:{receiver.port}/", "http://169.254.169.254/latest", "http://[::1]:8080/"):
            event = await office.emit(url)
            await delivery.run(await office.value(f"select id from event where public_id = '{event}'"))
            found = await office.event(event)
            assert (found.state, found.last_status) == ("failed", None)
            assert "may not be called" in found.last_excerpt
    assert receiver.peers == []


@pytest.mark.parametrize("url", ["", "javascript:alert(1)", "http://", "http://a:b@c.example/", "nonsense"])
async def test_an_address_that_is_none_makes_no_event_and_breaks_nothing(office: Office, url: str) -> None:
    async with office.database.transaction() as connection:
        made = await Events.emit(
            connection, app_id=office.app_id, kind="ugc.failed", work_id=None, data={}, callback_url=url
        )
    assert made is None


async def test_a_deleted_app_is_told_nothing(office: Office) -> None:
    receiver = Receiver(office.app.client_secret)
    async with receiver.listening():
        event = await office.emit(receiver.url)
        await Apps(office.database, office.settings, office.keys).set_state(office.app.client_id, "deleted")
        await office.delivery().run(await office.value("select id from event"))
    assert (await office.event(event)).state == "failed"
    assert receiver.peers == []


async def test_a_worker_that_ends_gives_its_deliveries_to_the_next(office: Office) -> None:
    slow = Holding()
    async with slow.listening():
        event = await office.emit(slow.url)
        async with office.delivering():
            await wait_until(lambda: _equal(slow.now, 1), what="a delivery under way")
        found = await office.event(event)
        assert (found.state, found.tries) == ("waiting", 0)
        slow.let_go.set()
        async with office.delivering():
            await office.settled(event, "delivered")
    assert [each.outcome for each in (await office.events.show(event)).attempts] == ["interrupted", "delivered"]
    assert len({request.headers["webhook-id"] for request in slow.requests}) == 1


@pytest.mark.slow
async def test_a_worker_killed_between_delivery_and_commit_delivers_again_under_the_same_id(office: Office) -> None:
    env = {"OPENSTAGE_OUTBOUND_ALLOW": "127.0.0.1", "OPENSTAGE_CALLBACK_RETRIES": "1"}
    victim = 0

    async def receive(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        receiver.note(request)
        if len(receiver.requests) == 1:
            os.kill(victim, signal.SIGKILL)  # it has been told everything, and will never know
        writer.write(reply(200))

    receiver = RawServer(receive)
    async with receiver.listening():
        with worker_process(office.settings, env=env) as first:
            victim = first.pid
            event = await office.emit(receiver.url, work_id=await office.work())
            await wait_until(lambda: _equal(len(receiver.requests), 1), within=60, what="the first delivery")
            await asyncio.to_thread(first.wait_for_death)
        assert (await office.event(event)).state == "doing"
        with worker_process(office.settings, env=env):
            await office.settled(event, "delivered", within=60)
    assert [request.headers["webhook-id"] for request in receiver.requests] == [event, event]
    assert len({request.body for request in receiver.requests}) == 1
    assert [each.outcome for each in (await office.events.show(event)).attempts] == ["interrupted", "delivered"]


async def test_who_was_thought_dead_settles_nothing(office: Office) -> None:
    slow = Holding()
    async with slow.listening():
        event = await office.emit(slow.url)
        number = await office.value("select id from event")
        late = asyncio.create_task(office.delivery().run(number))
        await wait_until(lambda: _equal(slow.now, 1), what="a delivery under way")
        # Another worker takes over, and fails.
        slow.answer = lambda request, writer: _status(writer, 500)
        await office.delivery().run(number)
        slow.let_go.set()
        await late
    found = await office.event(event)
    assert (found.state, found.tries, found.last_status) == ("waiting", 1, 500)


async def _status(writer: asyncio.StreamWriter, status: int) -> None:
    writer.write(reply(status))


# --- the log --------------------------------------------------------------------------------------------------
async def test_events_are_found_and_delivered_again_under_their_ids(office: Office) -> None:
    receiver = Receiver(office.app.client_secret, 500, 500, 500, 500, 500, 200)
    another = await office.another_app()
    async with receiver.listening(), office.delivering(callback_retries=[0.02]):
        work = await office.work()
        lost = [await office.emit(receiver.url, work_id=work), await office.emit(receiver.url, work_id=work)]
        for event in lost:
            await office.settled(event, "failed")
        elsewhere = await office.emit("http://127.0.0.1:1/", app_id=another)
        await office.settled(elsewhere, "failed")
        found = await office.events.list(EventFilter(client_id=office.app.client_id, state="failed"))
        assert [each.public_id for each in found] == lost[::-1]
        assert [each.public_id for each in await office.events.list(EventFilter(state="delivered"))] == []
        assert len(await office.events.list(limit=1)) == 1
        # One by one, and then all of the app's.
        assert (await office.events.replay(lost[0])).state in {"waiting", "doing"}
        await office.settled(lost[0], "delivered")
        assert await office.events.replay_all(EventFilter(client_id=office.app.client_id, state="failed")) == 1
        await office.settled(lost[1], "delivered")
    assert receiver.ids.count(lost[0]) + receiver.ids.count(lost[1]) == len(receiver.ids)
    assert (await office.event(elsewhere)).state == "failed"
    again = (await office.event(lost[1])).data, (await office.event(lost[1])).sequence
    assert again == ({}, 2)


async def test_old_events_are_forgotten_and_their_numbers_are_not_given_again(office: Office) -> None:
    receiver = Receiver(office.app.client_secret)
    work = await office.work()
    async with receiver.listening(), office.delivering():
        old = await office.emit(receiver.url, work_id=work)
        await office.settled(old, "delivered")
        await office.database.fetch_one("update event set ended_at = now() - interval '31 days' returning id")
        recent = await office.emit(receiver.url, work_id=work)
        await office.settled(recent, "delivered")
    assert await office.events.forget_events() == 1
    assert [each.public_id for each in await office.events.list()] == [recent]
    assert (await office.event(recent)).sequence == 2
    assert await office.value("select count(*) from event_attempt") == 1


async def test_an_event_that_lost_its_job_gets_another(office: Office) -> None:
    receiver = Receiver(office.app.client_secret)
    async with receiver.listening():
        events = [await office.emit(receiver.url) for _ in range(4)]
        await office.database.fetch_one(
            """
            with gone as (delete from procrastinate_jobs), held as (update event set held = id % 2 = 0)
            select 1
            """
        )
        assert await office.events.resume_events() == 0  # they may have just been emitted
        await office.database.fetch_one("update event set due_at = now() - interval '2 minutes' returning id")
        assert await office.events.resume_events() == 4
        async with office.delivering():
            await office.all_settled(4)
    assert sorted(receiver.ids) == sorted(events)
