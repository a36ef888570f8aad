"""Devices that show a QR code and wait for somebody to confirm it: by polling, and in long polls."""

import asyncio
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from bench.figures import Row, Section, Series, Target
from bench.http import together
from bench.karaoke.devices import Lines, poll, run_on_loop, stat_request, wait_for_code
from bench.karaoke.party import SINGER, Party
from bench.karaoke.plan import Plan, allow_files
from bench.publish.works import cpu_seconds
from openstage.app import Services, open_services
from openstage.settings import Settings

POLL_TARGET: Final = Target(50.0, sign="≤")
TICKET_MAKERS: Final = 8
CONFIRMERS: Final = 16
"""Decisions under way at once."""
SETTLE_SECONDS: Final = 2.0
"""After this all requests are with the server."""
LATE_SECONDS: Final = 90.0
"""Nobody waits longer for the last answer."""


@dataclass
class Waiting:
    """The measurements."""

    plan: Plan
    party: Party
    say: Callable[[str], None]

    def tickets(self, count: int) -> list[dict[str, Any]]:
        """Begin so many sign-ins."""
        found: list[dict[str, Any]] = []

        def make(number: int) -> None:
            with self.party.server.connection() as connection:
                found.extend(self.party.ticket(connection) for _ in range(number, count, TICKET_MAKERS))

        self.say(f"{count} tickets")
        together(TICKET_MAKERS, make)
        return found

    def polling(self) -> Section:
        """Let devices poll each second."""
        count, seconds = self.plan.polling, self.plan.poll_seconds
        title = f"{count:,} devices that poll each second"
        if reason := allow_files(count):
            return Section(title, left_out=[reason])
        server = self.party.server
        requests = [stat_request(server.port, self.party.appid, ticket["qr_ticket"]) for ticket in self.tickets(count)]
        delays: list[list[float]] = []
        used: list[float] = []

        async def measure() -> None:
            async with Lines(server.port, count) as lines:
                await poll(lines, requests, seconds=3)  # warms up
                for _ in range(self.plan.rounds):
                    before = cpu_seconds(server.process.pid)
                    delays.append(await poll(lines, requests, seconds=seconds))
                    used.append((cpu_seconds(server.process.pid) - before) / seconds)

        self.say("polling")
        run_on_loop(measure)
        section = Section(title)
        for what, part, target in (("median", 0.5, None), ("p99", 0.99, POLL_TARGET), ("slowest", 1.0, None)):
            values = tuple(1000 * _quantile(each, part) for each in delays)
            section.rows.append(Row(f"answer, {what}", Series("ms", values), target=target))
        section.rows.append(Row("processors used by server, worker, database", Series("cores", tuple(used))))
        section.notes.append(f"{sum(map(len, delays)):,} answers; each counts from the moment its question was due.")
        return section

    def waiting(self) -> Section:
        """Let devices wait in long polls, and confirm all of them."""
        count = self.plan.waiting
        title = f"{count:,} devices in long polls"
        if reason := allow_files(count):
            return Section(title, left_out=[reason])
        tickets = self.tickets(count)
        server, section = self.party.server, Section(title)
        idle = server.memory()
        confirmed: dict[str, float] = {}
        answered: dict[str, float] = {}

        async def measure() -> None:
            async with open_services(Settings(data=server.data)) as services, Lines(server.port, count) as lines:

                async def device(number: int) -> None:
                    ticket = tickets[number]["qr_ticket"]
                    answered[ticket] = await wait_for_code(lines[number], server.port, self.party.appid, ticket)

                devices = [asyncio.create_task(device(number)) for number in range(count)]
                await asyncio.sleep(SETTLE_SECONDS)
                before, began = cpu_seconds(server.process.pid), time.monotonic()
                await asyncio.sleep(SETTLE_SECONDS)
                used = (cpu_seconds(server.process.pid) - before) / (time.monotonic() - began)
                held = server.memory()
                self.say("confirming all")
                began = time.monotonic()
                await self._confirm_all(services, tickets, confirmed)
                seconds = time.monotonic() - began
                await _answers(devices)
                per_device = (held.server - idle.server) / count / 1000
                section.rows.extend(
                    [
                        Row("server, before", Series("MB", (idle.server / 1e6,))),
                        Row("server, while they wait", Series("MB", (held.server / 1e6,))),
                        Row("of it for each device", Series("kB", (per_device,))),
                        Row("processors used while they wait", Series("cores", (used,))),
                        Row("confirmed", Series("1/s", (count / seconds,))),
                    ]
                )

        self.say(f"{count} long polls")
        run_on_loop(measure)
        # The page commits before it notes the moment, so a device may hear a little earlier than that.
        delays = [1000 * max(0.0, answered[ticket] - at) for ticket, at in confirmed.items() if ticket in answered]
        section.rows.insert(0, Row("answered", Series("", (float(len(delays)),)), target=Target(count)))
        for what, part in (("median", 0.5), ("p99", 0.99), ("slowest", 1.0)):
            section.rows.append(Row(f"confirmed to answered, {what}", Series("ms", (_quantile(delays, part),))))
        return section

    @staticmethod
    async def _confirm_all(services: Services, tickets: list[dict[str, Any]], confirmed: dict[str, float]) -> None:
        identity, loop = services.identity, asyncio.get_running_loop()
        account = await identity.accounts.find(SINGER)
        left = iter(tickets)

        async def person() -> None:
            for ticket in left:
                await identity.devices.decide(ticket["user_code"], account, allow=True)
                confirmed[ticket["qr_ticket"]] = loop.time()

        await asyncio.gather(*(person() for _ in range(CONFIRMERS)))


async def _answers(devices: list[asyncio.Task[None]]) -> None:
    """Wait until all have their answer, or the time for it is over; raises what one of them raised."""
    done, late = await asyncio.wait(devices, timeout=LATE_SECONDS)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    await asyncio.gather(*done)


def _quantile(values: list[float], part: float) -> float:
    """Return the value that `part` of all don't exceed."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return statistics.median(ordered) if part == 0.5 else ordered[min(len(ordered) - 1, int(part * len(ordered)))]
