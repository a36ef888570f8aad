from collections.abc import Iterator

import pytest

from tests.support.openstage_server import OpenstageServer
from tests.support.video_session import Session


@pytest.fixture
def session(openstage: OpenstageServer) -> Iterator[Session]:
    """A client of an app of its own, on the shared server."""
    with Session(openstage) as session:
        yield session
