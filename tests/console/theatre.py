"""The pages over real rows, real delivery and media that ffmpeg made, while a work is (as if) being made.

What the pipeline would enter step by step, tests enter at the moment they want.
"""

import asyncio
import contextlib
import functools
import re
import shutil
import tempfile
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from openstage.console import Console
from openstage.database.engine import Connection, Database
from openstage.delivery.addresses import Addresses
from openstage.delivery.events import Events
from openstage.delivery.routes import delivery_routes
from openstage.delivery.signing import AddressSigner
from openstage.delivery.standing import Standings
from openstage.identity.keys import Keys
from openstage.settings import Settings
from openstage.storage.objects import ObjectStore, open_store
from openstage.works import products
from openstage.works.models import Completed, Extra, NewRendition, Picture, Segment, Storyboard
from openstage.works.service import Works
from tests.support.fixtures import cache_folder, run_ffmpeg
from tests.support.server import serving

SLUG = "abcdefgh12345678"
SEGMENTS = 8
DURATION = 4 * SEGMENTS
"""Seconds of the synthesised media."""
SIZES = {"96": (320, 180), "2": (640, 360)}
INTERVAL = 4
"""Seconds between two pictures of the storyboard."""
T = TypeVar("T")


@functools.cache
def film() -> Path:
    """Two rungs and the sound as the pipeline makes them, and a sheet of a storyboard: each tile of another grey."""
    folder = cache_folder() / f"theatre-{DURATION}-1"
    if folder.is_dir():
        return folder
    made = Path(tempfile.mkdtemp(dir=cache_folder()))
    hls = ["-f", "hls", "-hls_time", "4", "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4"]
    hls += ["-hls_fmp4_init_filename", "init.mp4", "-hls_segment_filename", "%05d.m4s", "index.m3u8"]
    for quality, (width, height) in SIZES.items():
        (made / quality).mkdir()
        run_ffmpeg(
            *["-f", "lavfi", "-i", f"testsrc2=size={width}x{height}:rate=25:duration={DURATION}"],
            *["-c:v", "libx264", "-preset", "ultrafast", "-g", "100", "-sc_threshold", "0", "-pix_fmt", "yuv420p"],
            *hls,
            folder=made / quality,
        )
    (made / "a").mkdir()
    tone = f"sine=frequency=440:duration={DURATION}"
    run_ffmpeg("-f", "lavfi", "-i", tone, "-c:a", "aac", "-b:a", "64k", *hls, folder=made / "a")
    grey = f"color=black:size=160x90:rate=1/{INTERVAL}:duration={DURATION},geq=lum='16+16*N':cb=128:cr=128,tile=4x2"
    run_ffmpeg("-f", "lavfi", "-i", grey, "-frames:v", "1", "-q:v", "2", str(made / "sheet.jpg"))
    with contextlib.suppress(OSError):  # another test process was first
        made.rename(folder)
    shutil.rmtree(made, ignore_errors=True)
    return folder


@dataclass
class Theatre:
    """A running server with one work; `address` has no slash at its end."""

    settings: Settings
    loop: asyncio.AbstractEventLoop
    database: Database
    store: ObjectStore
    standings: Standings
    address: str = ""
    refuse_events: bool = False
    """Answer the pages' event streams as a proxy does that lets none through."""
    work_id: int = 0
    asked: list[str] = field(default_factory=list)
    """Paths of segments and playlists that were asked for."""

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something in the server's event loop."""
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self.loop)
        return future.result(30)

    def enter(self, state: str = "published", *, pending: bool = True, duration: int | None = DURATION) -> None:
        """A work under way, in force as soon as it may be seen."""
        self.do(self._enter(state, pending, duration))

    def sql(self, query: str, **values: object) -> None:
        """Change a row."""
        self.do(self._sql(query, values))

    def begin(self, quality: str, *, segments: int) -> None:
        """A rendition that grows, with its first segments."""
        self.do(self._rendition(quality, segments, complete=False))

    def whole(self, quality: str) -> None:
        """A rendition that is whole at once."""
        self.do(self._rendition(quality, SEGMENTS, complete=True))

    def grow(self, upto: int, *qualities: str) -> None:
        """Let renditions grow to so many segments; with all of them they are whole."""
        self.do(self._grow(upto, qualities))

    def settle(self) -> None:
        """Nothing more is made."""
        self.sql("update work set pending = false, claim = '', percent = 100, step = ''")

    def pictures(self) -> None:
        """The storyboard and the poster."""
        self.do(self._pictures())

    def plays(self) -> int:
        """Playbacks that were counted."""
        ((count,),) = self.do(self._sql("select play_count from work", {}))
        return int(count)

    async def _sql(self, query: str, values: dict[str, object]) -> list[tuple[Any, ...]]:
        async with self.database.connection() as connection:
            cursor = await connection.execute(query.encode(), values)
            return await cursor.fetchall() if cursor.description else []

    async def _enter(self, state: str, pending: bool, duration: int | None) -> None:
        await self._sql("delete from work", {})
        await self._sql(
            "insert into app (client_id, name, secret, state) values ('c', 'n', '', 'approved') on conflict do nothing",
            {},
        )
        ((self.work_id,),) = await self._sql(
            "with u as (insert into end_user (app_id, realm, uid) select id, 'app', '' from app"
            "  on conflict (app_id, realm, uid) do update set uid = '' returning id, app_id)"
            " insert into work (file_id, slug, app_id, user_id, state, title, pending, claim, run, duration_ms,"
            "                   percent, published_at)"
            " select '0', %(slug)s, app_id, id, %(state)s, 'A walk by the lake', %(pending)s,"
            "  case when %(pending)s then 'r' else '' end,"
            "  case when %(state)s in ('published', 'reviewing') then 'r' else '' end, %(duration)s, 10, now()"
            " from u returning id",
            {"slug": SLUG, "state": state, "pending": pending, "duration": duration * 1000 if duration else None},
        )
        await self._sql(
            "insert into production_run (name, work_id, plan) values ('r', %(id)s,"
            ' \'{"first": {"video": {"quality": "96", "copy": false}, "sound": {"copy": false}}}\')',
            {"id": self.work_id},
        )

    async def _rendition(self, quality: str, count: int, *, complete: bool) -> None:
        sound = quality == "a"
        width, height = SIZES.get(quality, (0, 0))
        init = film() / quality / "init.mp4"
        key = f"works/0/r/hls/{quality}/init.mp4"
        await self.store.put(key, init.read_bytes())
        made = NewRendition(
            kind="hls_audio" if sound else "hls_video", quality=quality, width=width or None, height=height or None,
            codecs="mp4a.40.2" if sound else "avc1.42c01e", frame_rate=None if sound else 25.0,
            bandwidth=70_000 if sound else height * 2000, average_bandwidth=60_000 if sound else height * 1500,
            duration_ms=count * 4000, byte_size=1000, key=key, complete=complete,
            segments=tuple([await self._segment(quality, number) for number in range(count)]),
        )  # fmt: skip
        async with self.database.transaction() as connection:
            await products.add_rendition(connection, self.work_id, "r", made)

    async def _grow(self, upto: int, qualities: tuple[str, ...]) -> None:
        new = {quality: [await self._segment(quality, number) for number in range(upto)] for quality in qualities}
        async with self.database.transaction() as connection:
            for quality, segments in new.items():
                await products.append_segments(connection, self.work_id, "r", quality, segments)
            if upto == SEGMENTS:
                await self._complete(connection, qualities)

    async def _complete(self, connection: Connection, qualities: tuple[str, ...]) -> None:
        done = [
            Completed("hls_audio" if quality == "a" else "hls_video", quality, 200_000, 150_000)
            for quality in qualities
        ]
        await products.complete_renditions(connection, self.work_id, "r", done)

    async def _segment(self, quality: str, number: int) -> Segment:
        durations = re.findall(r"#EXTINF:([\d.]+)", (film() / quality / "index.m3u8").read_text())
        content = (film() / quality / f"{number:05}.m4s").read_bytes()
        key = f"works/0/r/hls/{quality}/{number:05}.m4s"
        await self.store.put(key, content)
        return Segment(number, round(float(durations[number]) * 1_000_000), len(content), key)

    async def _pictures(self) -> None:
        sheet = (film() / "sheet.jpg").read_bytes()
        board = Storyboard(INTERVAL * 1000, 160, 90, 4, 2, DURATION // INTERVAL)
        for key in ("works/0/r/storyboard/0.jpg", "works/0/r/pictures/img.jpg"):
            await self.store.put(key, sheet)
        extra = Extra("storyboard/0.jpg", "image/jpeg", len(sheet), "works/0/r/storyboard/0.jpg")
        async with self.database.transaction() as connection:
            await products.add_pictures(
                connection, self.work_id, "r", [Picture("img", 640, 270, len(sheet), "works/0/r/pictures/img.jpg")]
            )
            await products.add_extras(connection, self.work_id, "r", [extra])
            await products.set_storyboard(connection, self.work_id, "r", board)

    def application(self) -> Starlette:
        """The routes that a page needs."""
        signer = AddressSigner(Keys.load(self.settings.folder), self.settings)
        events = Events(self.standings)
        console = Console(
            Works(self.database), Addresses(self.database, signer, self.settings), self.standings, self.settings
        )

        async def refusable(request: Request) -> Response:
            return Response(status_code=502) if self.refuse_events else await events.events(request)

        return Starlette(
            routes=[
                Route("/w/{slug}/events", refusable),
                *delivery_routes(self.database, self.store, signer, self.settings),
                *console.routes,
            ]
        )


@contextlib.contextmanager
def running_theatre(settings: Settings) -> Iterator[Theatre]:
    """Serve from a thread of its own, at the settings' listen address."""
    up, ended = threading.Event(), threading.Event()
    made: list[Theatre] = []
    faults: list[BaseException] = []

    async def serve() -> None:
        async with Database(settings.database_url, largest=8) as database:
            standings = Standings(database, look_every=0.1)
            theatre = Theatre(settings, asyncio.get_running_loop(), database, open_store(settings), standings)
            async with serving(theatre.application(), port=settings.port) as theatre.address:
                made.append(theatre)
                up.set()
                await asyncio.to_thread(ended.wait)
                standings.end()
            await standings.close()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as fault:
            faults.append(fault)
        finally:
            up.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert up.wait(20)
        if faults:
            raise faults[0]
        yield made[0]
    finally:
        ended.set()
        thread.join(20)
