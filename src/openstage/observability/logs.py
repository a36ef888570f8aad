"""Structured logs: one event a line, text for people or JSON for machines, each with its request's id.

Secrets don't reach a log by design (nothing logs a query string, a header or a body); should one be passed as a
field by its usual name all the same, it is masked here.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

import msgspec
import structlog

SECRET_FIELDS = frozenset(
    {"access_token", "refresh_token", "client_secret", "secret", "token", "password", "authorization", "file_id"}
)
MASK = "[hidden]"

# Libraries that log what is no news to an operator.
QUIET_LIBRARIES = {"procrastinate": logging.WARNING, "_granian": logging.WARNING, "granian": logging.WARNING,
                   "httpx": logging.WARNING, "psycopg.pool": logging.ERROR, "alembic": logging.WARNING}  # fmt: skip

_encode_json = msgspec.json.Encoder(enc_hook=str)


def configure(*, form: Literal["text", "json"], level: str) -> None:
    """Set up logging for this process; lines go to standard error."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        mask_secrets,
    ]
    if form == "json":
        last: list[structlog.types.Processor] = [structlog.processors.format_exc_info, _render_json]
    else:
        last = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
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


def mask_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide the values of fields that usually hold secrets (a structlog processor)."""
    for field in SECRET_FIELDS & event.keys():
        event[field] = MASK
    return event


def _render_json(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    return _encode_json.encode(event).decode()
