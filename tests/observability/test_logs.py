"""What an operator reads: one line an event, with the request's id, without secrets."""

import json
import logging
import subprocess
import sys

import pytest

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
