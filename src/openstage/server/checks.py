"""What `openstage doctor` checks: each function looks at one thing and says what to do about it."""

import datetime as dt
import email.utils
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Literal

import httpx
import psycopg

from openstage.database import migrate
from openstage.database.embedded import running_database
from openstage.errors import DomainError
from openstage.media import tools
from openstage.media.sandbox import confinement
from openstage.settings import Settings
from openstage.storage.objects import open_store
from openstage.storage.space import free_bytes

OLDEST_DATABASE: Final = 150000
"""PostgreSQL 15; multiranges came with 14, and 15 is the oldest that is still maintained."""
LARGEST_SKEW: Final = 5.0
"""Seconds between two clocks that are worth a warning."""
LARGEST_LAG: Final = 300
"""Seconds for which a callback may wait beyond its time before that is worth a warning."""
GIB: Final = 1024**3


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "warning", "problem"]
    detail: str
    advice: str = ""
    """What to do; empty where nothing need be done."""


Check = Callable[[Settings], Coroutine[Any, Any, list[Finding]]]


async def python(_: Settings) -> list[Finding]:
    """The interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    return [Finding("python", "ok", f"{version} at {sys.executable}")]


async def ffmpeg(settings: Settings) -> list[Finding]:
    """Ffmpeg, its encoders, and the confinement it runs in."""
    try:
        program = tools.find_ffmpeg(settings)
        version = await tools.ffmpeg_version(settings)
        missing = set(tools.REQUIRED_ENCODERS) - await tools.ffmpeg_encoders(settings)
    except DomainError as error:
        return [
            Finding("ffmpeg", "problem", error.message, "Set OPENSTAGE_FFMPEG to a working ffmpeg, or leave it empty.")
        ]
    findings = [Finding("ffmpeg", "ok", f"{version} at {program}")]
    if missing:
        findings.append(
            Finding(
                "ffmpeg encoders",
                "problem",
                f"missing: {', '.join(sorted(missing))}",
                "Use an ffmpeg built with them, or leave OPENSTAGE_FFMPEG empty for the one that comes with Openstage.",
            )
        )
    else:
        findings.append(Finding("ffmpeg encoders", "ok", ", ".join(sorted(tools.REQUIRED_ENCODERS))))
    found = confinement()
    if found.landlock_abi and found.seccomp:
        findings.append(
            Finding("sandbox", "ok", f"Landlock (version {found.landlock_abi}) and seccomp confine media tools")
        )
    else:
        lacking = " and ".join(
            name for name, there in (("Landlock", found.landlock_abi), ("seccomp", found.seccomp)) if not there
        )
        findings.append(
            Finding(
                "sandbox", "warning", f"this kernel lacks {lacking}", "Use Linux 5.13 or later for untrusted uploads."
            )
        )
    return findings


async def data_folder(settings: Settings) -> list[Finding]:
    """Permission to write, and room on the disk."""
    folder = settings.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        advice = f"Give {folder} to the user that runs Openstage, or set OPENSTAGE_DATA to another folder."
        return [Finding("data folder", "problem", f"{folder} can't be written: {error.strerror}", advice)]
    free = free_bytes(folder)
    findings = [Finding("data folder", "ok", f"{folder} can be written")]
    detail = f"{free / GIB:.1f} GiB are free"
    if free <= settings.min_free:
        advice = "Free some room: uploads and transcoding are refused below OPENSTAGE_MIN_FREE."
        findings.append(Finding("disk space", "problem", detail, advice))
    elif free < 10 * GIB:
        findings.append(
            Finding("disk space", "warning", detail, "Originals and renditions need about twice the uploads.")
        )
    else:
        findings.append(Finding("disk space", "ok", detail))
    return findings


async def database(settings: Settings) -> list[Finding]:
    """The database answers, is new enough, has our schema, and its clock agrees."""
    kind = "external" if settings.database_url else "embedded"
    try:
        with running_database(settings) as address:
            schema = _schema(address)
            return [*_database(address, kind), schema, *(_callbacks(address) if schema.state == "ok" else [])]
    except (DomainError, psycopg.Error) as error:
        message = getattr(error, "message", "") or str(error).strip()
        log = settings.folder / "logs" / "postgres.log"
        advice = "Check OPENSTAGE_DATABASE_URL and that the server runs." if settings.database_url else f"See {log}."
        return [Finding("database", "problem", message, advice)]


def _database(address: str, kind: str) -> list[Finding]:
    with psycopg.connect(address, connect_timeout=10, autocommit=True) as connection:
        version = connection.info.server_version
        before = dt.datetime.now(dt.UTC)
        row = connection.execute("select clock_timestamp()").fetchone()
        skew = abs((row[0] - before).total_seconds()) if row else 0.0
    detail = f"{kind} PostgreSQL {version // 10000}.{version % 10000} answers"
    if version < OLDEST_DATABASE:
        findings = [Finding("database", "problem", detail, f"Use PostgreSQL {OLDEST_DATABASE // 10000} or later.")]
    else:
        findings = [Finding("database", "ok", detail)]
    if skew > LARGEST_SKEW:
        findings.append(
            Finding("clock", "problem", f"the database's clock is {skew:.0f} s off ours", "Run NTP on both machines.")
        )
    else:
        findings.append(Finding("clock", "ok", "this machine's clock and the database's agree"))
    return findings


def _schema(address: str) -> Finding:
    found, wanted = migrate.current(address), migrate.head()
    if found is None:
        return Finding("schema", "ok", f"not made yet; the first start makes {wanted}")
    try:
        migrate.check(address)
    except DomainError as error:
        return Finding(
            "schema", "problem", error.message, "Run `openstage migrate`, or the version that made the schema."
        )
    return Finding("schema", "ok", found)


def _callbacks(address: str) -> list[Finding]:
    if migrate.current(address) is None:
        return []
    with psycopg.connect(address, connect_timeout=10, autocommit=True) as connection:
        row = connection.execute(
            """
            select count(*) filter (where state = 'failed' and ended_at > now() - interval '1 day'),
                   coalesce(string_agg(distinct host, ', ') filter (
                       where state = 'failed' and ended_at > now() - interval '1 day'), ''),
                   coalesce(extract(epoch from now() - min(due_at) filter (
                       where state in ('waiting', 'doing') and due_at < now())), 0)::int
            from event where state in ('waiting', 'doing', 'failed')
            """
        ).fetchone()
    failed, hosts, lag = row or (0, "", 0)
    if lag > LARGEST_LAG:
        advice = "Does a worker run? If the receivers are quick, raise OPENSTAGE_CALLBACK_CONCURRENCY or add workers."
        return [Finding("callbacks", "warning", f"some wait for {lag} s beyond their time", advice)]
    if failed:
        advice = "See `openstage callback list --state failed`; `openstage callback replay --state failed` tries again."
        return [Finding("callbacks", "warning", f"{failed} were given up in the last day, to {hosts:.200}", advice)]
    return [Finding("callbacks", "ok", "none is late, none was given up in the last day")]


async def storage(settings: Settings) -> list[Finding]:
    """The object store takes, gives back and removes an object."""
    key = "health/doctor"
    try:
        store = open_store(settings)
        await store.put(key, b"Openstage was here.")
        intact = await store.get(key) == b"Openstage was here."
        await store.delete([key])
    except DomainError as error:
        advice = (
            "Check OPENSTAGE_STORAGE_URL, its credentials and the bucket's permissions (read, write, delete, list)."
        )
        return [Finding("object store", "problem", error.message, advice)]
    if not intact:
        return [Finding("object store", "problem", "it gave back other bytes than it took", "Don't use this store.")]
    return [Finding("object store", "ok", f"{store.address} takes, gives back and removes objects")]


async def port(settings: Settings) -> list[Finding]:
    """The listen address is free, or it is this server that listens there."""
    where = f"{settings.host}:{settings.port}"
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            if await _is_openstage(f"http://{settings.listen}"):
                return [Finding("port", "ok", f"Openstage is running at {where}")]
            advice = "End the program that listens there, or set OPENSTAGE_LISTEN to another address."
            return [Finding("port", "problem", f"{where} can't be used: {error.strerror}", advice)]
    return [Finding("port", "ok", f"{where} is free")]


async def public_addresses(settings: Settings) -> list[Finding]:
    """Each public address leads here, keeps header names with underscores, and tells the time we tell."""
    addresses = {settings.base(role) for role in ("public", "upload", "api", "media")}
    if addresses == {f"http://{settings.listen}"} and not await _is_openstage(f"http://{settings.listen}"):
        return [Finding("public addresses", "ok", "not checked: the server isn't running, and no proxy is set")]
    return [finding for address in sorted(addresses) for finding in await _public_address(address)]


async def _public_address(address: str) -> list[Finding]:
    try:
        async with httpx.AsyncClient(timeout=10) as client:
            reply = await client.get(f"{address}/uploadstatus", headers={"access_token": "doctor", "file_id": "doctor"})
            code = reply.json().get("code")
    except (httpx.HTTPError, ValueError, AttributeError) as error:
        advice = "Start the server, and let this address lead to it (proxy, DNS, firewall)."
        return [Finding("public address", "problem", f"{address}: {type(error).__name__} {error}".strip(), advice)]
    findings = [_clock_of(address, reply.headers.get("date"))]
    if code == "A21332":
        # Our server has read the token from the header: it says that it doesn't know it.
        findings.append(Finding("public address", "ok", f"{address} leads here and keeps headers with underscores"))
    else:
        advice = (
            "nginx: `underscores_in_headers on;`  Apache: `HttpProtocolOptions Unsafe`. See docs/operating/proxies.md."
        )
        findings.append(
            Finding("public address", "problem", f"{address}: headers such as file_id don't arrive ({code})", advice)
        )
    return [finding for finding in findings if finding.detail]


def _clock_of(address: str, date: str | None) -> Finding:
    if not date:
        return Finding("clock", "ok", "")
    skew = abs((email.utils.parsedate_to_datetime(date) - dt.datetime.now(dt.UTC)).total_seconds())
    if skew > LARGEST_SKEW:
        return Finding("clock", "warning", f"{address} is {skew:.0f} s off this machine's clock", "Run NTP on both.")
    return Finding("clock", "ok", "")


async def _is_openstage(address: str) -> bool:
    try:
        async with httpx.AsyncClient(timeout=5) as client:
            return bool((await client.get(f"{address}/healthz")).json() == {"status": "ok"})
    except (httpx.HTTPError, ValueError):
        return False


ALL: Final[tuple[Check, ...]] = (python, ffmpeg, data_folder, database, storage, port, public_addresses)
