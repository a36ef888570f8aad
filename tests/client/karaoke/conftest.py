"""Fixtures: an app on the shared server, a person who has a phone, clients."""

from collections.abc import Iterator

import pytest

from openstage.client import Karaoke, KaraokeUser, Retry
from tests.support.openstage_server import OpenstageServer
from tests.support.phone import Phone

FAST = Retry(attempts=4, first_delay=0.01, longest_delay=0.05)


@pytest.fixture(scope="session")
def credentials(openstage: OpenstageServer) -> tuple[str, str]:
    """An app's id and secret."""
    made = openstage.create_app("Karaoke's tests")
    openstage.command("app", "set-oauth", made["client_id"], *scopes("profile", "works.read", "works.write"))
    return made["client_id"], made["client_secret"]


def scopes(*names: str) -> list[str]:
    """Options of `openstage app set-oauth`."""
    return [word for name in names for word in ("--scope", name)]


@pytest.fixture(scope="session")
def phone(openstage: OpenstageServer) -> Iterator[Phone]:
    """Somebody who is signed in on a phone."""
    with Phone(openstage, "小明 of the client's tests") as phone:
        yield phone


@pytest.fixture
def karaoke(openstage: OpenstageServer, credentials: tuple[str, str]) -> Iterator[Karaoke]:
    """The app's client."""
    with Karaoke(*credentials, openstage.address, device_id="tv-1", retry=FAST) as karaoke:
        yield karaoke


@pytest.fixture
def singer(karaoke: Karaoke, phone: Phone) -> KaraokeUser:
    """The person, signed in to the app."""
    ticket = karaoke.ticket()
    phone.decide(ticket.qr_url)
    return karaoke.sign_in(ticket, timeout=10)
