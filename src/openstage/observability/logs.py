"""Structured logs: one event a line, text for people or JSON for machines, each with its request's id.

Secrets don't reach a log by design (nothing logs a query string, a header or a body); should one be passed as a
field by its usual name all the same, it is masked here.
"""

import asyncio
import atexit
import datetime as dt
import functools
import logging
import re
import select
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any, Literal

import msgspec
import structlog

SECRET_FIELDS = frozenset(
    {"access_token", "refresh_token", "client_secret", "secret", "token", "password", "authorization", "file_id"}
)
MASK = "[hidden]"
_SIMPLE = re.compile(r"[A-Za-z0-9_./:@+,-]+")
_AWKWARD = re.compile(r"[\s\"'=]")

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The request that is being answered here; every line that is written meanwhile carries it."""

# Libraries that log what is no news to an operator.
QUIET_LIBRARIES = {"procrastinate": logging.WARNING, "_granian": logging.WARNING, "granian": logging.WARNING,
                   "httpx": logging.WARNING, "psycopg.pool": logging.ERROR, "alembic": logging.WARNING}  # fmt: skip

_encode_json = msgspec.json.Encoder(enc_hook=str)


def configure(*, form: Literal["text", "json"], level: str) -> None:
    """Set up logging for this process; lines go to standard error."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.types.Processor] = [
        _add_request_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        mask_secrets,
    ]
    last: list[structlog.types.Processor]
    if form == "text" and sys.stderr.isatty():
        render: Callable[..., str] = structlog.dev.ConsoleRenderer(pad_event_to=0)
        last = [render]
    else:
        render = _render_json if form == "json" else _render_text
        last = [structlog.processors.format_exc_info, render]
    global _render_request  # noqa: PLW0603 - logging is one for the process, as structlog's own configuration is
    _render_request = render if number <= logging.INFO else None
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: _standard_error,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(_standard_error)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(handlers=[handler], level=number, force=True)
    for name, least in QUIET_LIBRARIES.items():
        logging.getLogger(name).setLevel(max(least, number))


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of a part of the program (`part` in each line)."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(part=name)
    return logger


class _StandardError:
    """Where lines go: to whatever standard error is when they are written.

    Of many requests that are answered at the same time the lines are written together: each write costs more than
    its line, and a turn of the threads. Nothing is written before a line that came earlier.
    """

    def __init__(self) -> None:
        self._held: list[str] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        # Other threads write too. A signal's handler may write in the middle of a write of its own thread.
        self._lock = threading.RLock()

    def hold(self, line: str) -> None:
        """Write a line with others, at the latest when the event loop has done what is due now."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # there is no loop, hence nothing to wait for
            self.msg(line)
            return
        with self._lock:
            if not self._held or loop is not self._loop:
                loop.call_soon(self.flush)
                self._loop = loop
            self._held.append(f"{line}\n")

    def msg(self, line: str) -> None:
        """Write a line."""
        self.write(f"{line}\n")

    def write(self, text: str) -> None:
        """Write lines with their ends (as a stream, for `logging`)."""
        with self._lock:
            lines, self._held = [*self._held, text], []
            for piece in _in_pieces(lines):
                sys.stderr.write(piece)

    def flush(self) -> None:
        """Write what is held."""
        if self._held:
            self.write("")

    debug = info = warning = error = critical = msg


def _in_pieces(lines: Iterable[str]) -> Iterator[str]:
    """Join lines as far as one write may go: into a pipe, only so much goes in without the lines of others between."""
    piece, size = "", 0
    for line in lines:
        length = len(line.encode("utf-8", "replace"))
        if piece and size + length > select.PIPE_BUF:
            yield piece
            piece, size = "", 0
        piece, size = piece + line, size + length
    if piece:
        yield piece


_standard_error = _StandardError()
atexit.register(_standard_error.flush)
_render_request: Callable[..., str] | None = None


def request_answered(
    *, method: str, path: str, status: int, ms: float, received: int, sent: int, request_id: str
) -> None:
    """Write the line of one request, at level `info`.

    Every request has one, so it takes the short way: it is rendered like any other, but its fields hold no secrets
    and are complete.

    Args:
        method: one of the known ones, or `other`.
        path: without what is secret in it; it may hold anything else.
        status: of the reply; 0: there was none.
        ms: milliseconds from the request's head to the end of its reply.
        received: bytes of its body; not written if there were none, nor is `sent`.
        sent: bytes of the reply's body.
        request_id: letters, digits, `.`, `_` and `-`.

    """
    if _render_request is None:
        return
    seconds, fraction = divmod(time.time_ns(), 10**9)
    stamp = f"{_to_the_second(seconds)}.{fraction // 1000:06}Z"
    if _render_request is _render_text:
        bodies = f" received={received}" * bool(received) + f" sent={sent}" * bool(sent)
        _standard_error.hold(
            f"{stamp} [info] request part=http method={method} path={_plain(path)} status={status} ms={ms}"
            f"{bodies} request_id={request_id}"
        )
        return
    event: dict[str, str | int | float] = {
        "timestamp": stamp, "level": "info", "event": "request", "part": "http",
        "method": method, "path": path, "status": status, "ms": ms,
    }  # fmt: skip
    event |= {name: count for name, count in (("received", received), ("sent", sent)) if count}
    _standard_error.hold(_render_request(None, "info", event | {"request_id": request_id}))


@functools.lru_cache(maxsize=1)
def _to_the_second(seconds: int) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _add_request_id(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if known := request_id.get():
        event.setdefault("request_id", known)
    return event


def mask_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide the values of fields that usually hold secrets (a structlog processor)."""
    for field in SECRET_FIELDS & event.keys():
        event[field] = MASK
    return event


def _render_text(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    timestamp, level, text = event.pop("timestamp", ""), event.pop("level", ""), event.pop("event", "")
    exception = event.pop("exception", "")
    line = f"{timestamp} [{level}] {text}{_written(event)}"
    return f"{line}\n{exception}" if exception else line


def _written(fields: Mapping[str, object]) -> str:
    return "".join([f" {name}={_plain(value)}" for name, value in fields.items()])


def _plain(value: object) -> str:
    """Write a value so that a line can be taken apart again: quoted if it has blanks or anything unprintable."""
    if type(value) is int or type(value) is float:
        return repr(value)
    text = value if isinstance(value, str) else repr(value)
    if _SIMPLE.fullmatch(text):
        return text
    return text if text.isprintable() and text and not _AWKWARD.search(text) else repr(text)


def _render_json(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    return _encode_json.encode(event).decode()
