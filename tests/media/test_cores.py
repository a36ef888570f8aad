"""Processors are lent to one media tool at a time."""

import os

import pytest

from openstage.media import cores
from openstage.media.cores import leased
from openstage.media.sandbox import Limits, run

PROCESSORS = sorted(os.sched_getaffinity(0))


@pytest.fixture(autouse=True)
def names_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Other tests and servers on this machine lend processors too."""
    monkeypatch.setattr(cores, "NAME", f"\0openstage-test-{os.getpid()}-{tmp_path_factory.getbasetemp()}")


def test_each_is_lent_once_and_comes_back() -> None:
    with leased(1) as first:
        assert first == (PROCESSORS[0],)
        with leased(len(PROCESSORS)) as all_of_them:
            assert all_of_them == ()  # not so many are left: then it takes what it gets
    with leased(len(PROCESSORS)) as later:
        assert list(later) == PROCESSORS
    with leased(0) as none:
        assert none == ()


async def test_a_tool_keeps_to_its_processors() -> None:
    limits = Limits(seconds=20, cpu_seconds=10, cores=(PROCESSORS[-1],))
    assert (await run(["/usr/bin/nproc"], limits=limits)).stdout == b"1\n"
