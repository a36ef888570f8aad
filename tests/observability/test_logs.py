"""What an operator reads: one line an event, with the request's id, without secrets."""

import json
import logging
import select
import subprocess
import sys

import pytest

from openstage.observability import logs

PROGRAM = """
import logging
from openstage.observability.logs import configure, get_logger, request_id
configure(form={form!r}, level="info")
before = request_id.set("r-1")
get_logger("part").info("happened", work="w", access_token="2.secret", client_secret="s3cret")
request_id.reset(before)
get_logger("part").debug("unheard")
logging.getLogger("some.library").warning("library %s", "speaks")
logging.getLogger("procrastinate.worker").info("chatter")
try:
    1 / 0
except ZeroDivisionError:
    get_logger("part").exception("broke")
"""


def lines(form: str) -> list[str]:
    run = subprocess.run([sys.executable, "-c", PROGRAM.format(form=form)], capture_output=True, text=True, check=True)
    assert run.stdout == ""
    return run.stderr.splitlines()


def test_json_lines_carry_time_level_part_and_request() -> None:
    event, library, broke = map(json.loads, lines("json"))
    assert event["event"] == "happened"
    assert event["level"] == "info"
    assert event["part"] == "part"
    assert event["request_id"] == "r-1"
    assert event["timestamp"].endswith("Z")
    assert library["event"] == "library speaks"
    assert "request_id" not in library
    assert "ZeroDivisionError" in broke["exception"]


@pytest.mark.parametrize("form", ["json", "text"])
def test_secrets_are_masked_and_chatter_is_left_out(form: str) -> None:
    text = "\n".join(lines(form))
    assert "happened" in text
    for unwanted in ("2.secret", "s3cret", "unheard", "chatter"):
        assert unwanted not in text


def test_levels_are_the_settings_ones() -> None:
    assert {"debug", "info", "warning", "error"} <= {name.lower() for name in logging.getLevelNamesMapping()}


REQUEST = """
from openstage.observability import logs
logs.configure(form={form!r}, level={level!r})
logs.request_answered(
    method="GET", path="/w/a b=\\u2028\\n[error] forged", status=200, ms=0.5, received=0, sent=3, request_id="r-2"
)
"""


def request_line(form: str, level: str = "info") -> str:
    command = [sys.executable, "-c", REQUEST.format(form=form, level=level)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr


def test_the_line_of_a_request_is_like_any_other() -> None:
    line = json.loads(request_line("json"))
    assert {
        "event": "request",
        "level": "info",
        "part": "http",
        "status": 200,
        "request_id": "r-2",
    }.items() <= line.items()
    assert line["timestamp"].endswith("Z")
    assert " [info] request part=http " in request_line("text")
    assert request_line("text", "warning") == ""


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_request_can_forge_a_line(form: str) -> None:
    assert request_line(form).count("\n") == 1


TOGETHER = """
import asyncio, sys
from openstage.observability import logs

class Writes:
    def write(self, text):
        writes.append(text)
    def flush(self):
        pass

def answered(path):
    logs.request_answered(method="GET", path=path, status=200, ms=0.5, received=0, sent=0, request_id="r")

async def main():
    answered("/one")
    answered("/two")
    logs.get_logger("part").warning("between")
    answered("/three")
    answered("/four")
    assert len(writes) == 1, writes
    await asyncio.sleep(0)
    answered("/five")

writes = []
logs.configure(form="text", level="info")
sys.stderr, terminal = Writes(), sys.stderr
def answer_at_the_end_of_a_loop(path):
    loop = asyncio.new_event_loop()
    loop.call_soon(lambda: (answered(path), loop.stop()))
    loop.run_forever()
    loop.close()

asyncio.run(main())
answer_at_the_end_of_a_loop("/six")
async def again():
    answered("/seven")
    await asyncio.sleep(0)
    assert len(writes) == 4, writes
asyncio.run(again())
answer_at_the_end_of_a_loop("/eight")
sys.stderr = terminal
print("".join(writes), end="")
"""


def test_lines_of_requests_answered_together_are_written_together_and_in_order() -> None:
    run = subprocess.run([sys.executable, "-c", TOGETHER], capture_output=True, text=True, check=True)
    lines = run.stdout.splitlines()
    told = [line.split("path=")[-1].split(" ")[0] if "path=" in line else line.split()[2] for line in lines]
    assert told == ["/one", "/two", "between", "/three", "/four", "/five", "/six", "/seven"]
    assert "path=/eight" in run.stderr  # the program's end writes what its loop couldn't


def test_many_lines_go_into_a_pipe_in_pieces_that_nothing_comes_between() -> None:
    lines = [f"{number} {'名' * 100}\n" for number in range(100)] + ["x" * 9000 + "\n"]
    pieces = list(logs._in_pieces(lines))
    assert "".join(pieces) == "".join(lines)
    assert all(piece.endswith("\n") for piece in pieces)
    assert all(len(piece.encode()) <= select.PIPE_BUF for piece in pieces[:-1])
    assert len(pieces) < 15


def test_the_line_of_a_request_names_bodies_only_where_there_are_some() -> None:
    assert " ms=0.5 sent=3 request_id=r-2" in request_line("text")
    assert "received" not in json.loads(request_line("json"))
