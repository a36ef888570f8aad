"""Works whose media are made up, behind the real routes on a real server."""

import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
from psycopg.types.json import Jsonb
from starlette.applications import Starlette

from openstage.database.engine import Database
from openstage.delivery.addresses import Addresses
from openstage.delivery.routes import delivery_routes
from openstage.delivery.signing import AddressSigner
from openstage.identity.keys import Keys
from openstage.settings import Settings
from openstage.storage.objects import ObjectStore, open_store
from tests.support.server import serving

SLUG = "abcdefgh12345678"
FILE_ID = "0123456789abcdef" * 2
SEGMENT_US = 4_000_000
SIZES: dict[str, tuple[int | None, int | None]] = {
    "a": (None, None), "96": (320, 180), "1": (426, 240), "2": (640, 360), "4": (1280, 720), "s": (1280, 720)
}  # fmt: skip


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Stage:
    """A delivery server and what stands behind it; `address` has no slash at its end."""

    settings: Settings
    database: Database
    store: ObjectStore
    address: str
    client: httpx.AsyncClient
    clock: Clock
    signer: AddressSigner
    addresses: Addresses
    bodies: dict[str, bytes] = field(default_factory=dict)
    """What was put into the store, by key."""

    async def sql(self, query: str, **values: object) -> list[tuple[object, ...]]:
        async with self.database.connection() as connection:
            cursor = await connection.execute(query.encode(), values)
            return await cursor.fetchall() if cursor.description else []

    async def put(self, key: str, size: int) -> int:
        self.bodies[key] = os.urandom(size)
        await self.store.put(key, self.bodies[key])
        return size

    async def work(self, *, state: str = "published") -> None:
        """A work with an app and a user, in a state; without renditions yet."""
        await self.sql(
            "with a as"
            " (insert into app (client_id, name, secret, state) values ('c', 'n', '', 'approved') returning id),"
            " u as (insert into end_user (app_id, realm, uid) select id, 'app', '' from a returning id, app_id)"
            " insert into work (file_id, slug, app_id, user_id, state, title, pending, run, duration_ms)"
            " select %(file_id)s, %(slug)s, app_id, id, %(state)s, 't', %(state)s = 'publishing',"
            " case %(state)s when 'publishing' then '' else 'run1' end, 12000 from u",
            file_id=FILE_ID, slug=SLUG, state=state,
        )  # fmt: skip

    async def plan(self, plan: dict[str, object], run: str = "run1") -> None:
        """What a run is going to make."""
        await self.sql(
            "insert into production_run (name, work_id, plan) select %(run)s, id, %(plan)s from work",
            run=run, plan=Jsonb(plan),
        )  # fmt: skip

    async def mp4(self, quality: str, size: int = 100_000, run: str = "run1") -> str:
        """An mp4 of random bytes; gives its key."""
        key = f"works/{FILE_ID}/{run}/mp4/{quality}.mp4"
        await self._rendition(
            "mp4", quality, key, byte_size=await self.put(key, size), codecs="avc1.64000d,mp4a.40.2", run=run
        )
        return key

    async def mp3(self, quality: str, run: str = "run1") -> str:
        """An mp3 of random bytes; gives its key."""
        key = f"works/{FILE_ID}/{run}/mp3/{quality}.mp3"
        size = await self.put(key, 30_000)
        await self._rendition("mp3", quality, key, byte_size=size, codecs="mp3", width=None, height=None, run=run)
        return key

    async def storyboard(self, run: str = "run1") -> None:
        """Five pictures on two sheets of two columns and two rows."""
        await self.sql(
            "insert into storyboard (work_id, run, interval_ms, tile_width, tile_height, columns, rows, tiles)"
            " select id, %(run)s, 2500, 160, 90, 2, 2, 5 from work",
            run=run,
        )  # fmt: skip
        for sheet in range(2):
            await self.extra(f"storyboard/{sheet}.jpg", "image/jpeg", run=run)

    async def extra(self, name: str, content_type: str, run: str = "run1") -> str:
        """A further object of a run; gives its key."""
        key = f"works/{FILE_ID}/{run}/{name}"
        await self.sql(
            "insert into extra (work_id, run, name, content_type, byte_size, key)"
            " select id, %(run)s, %(name)s, %(type)s, %(size)s, %(key)s from work",
            run=run, name=name, type=content_type, size=await self.put(key, 2000), key=key,
        )  # fmt: skip
        return key

    async def hls(self, quality: str, *, count: int = 3, complete: bool = True, run: str = "run1") -> str:
        """An HLS rendition of `count` segments of random bytes; gives the key of its initialisation section."""
        folder = f"works/{FILE_ID}/{run}/hls/{quality}"
        await self.put(f"{folder}/init.mp4", 700)
        sound = quality == "a"
        size = SIZES[quality]
        number = await self._rendition(
            "hls_audio" if sound else "hls_video", quality, f"{folder}/init.mp4", byte_size=count * 5000,
            codecs="mp4a.40.2" if sound else "avc1.64001f", width=size[0], height=size[1],
            frame_rate=None if sound else 29.97, complete=complete,
            bandwidth=130_000 if sound else (size[0] or 0) * 1000, duration_ms=count * 4000, run=run,
        )  # fmt: skip
        for segment in range(count):
            await self.segment(number, folder, segment)
        return f"{folder}/init.mp4"

    async def grow(self, quality: str, *, complete: bool = False, run: str = "run1") -> None:
        """Add a segment to an HLS rendition, or say that there will be no more."""
        query = "select id from rendition where quality = %(quality)s and run = %(run)s and kind like 'hls%%'"
        ((number,),) = await self.sql(query, quality=quality, run=run)
        if complete:
            await self.sql("update rendition set complete = true where id = %(id)s", id=number)
            return
        ((count,),) = await self.sql("select count(*) from segment where rendition_id = %(id)s", id=number)
        await self.segment(number, f"works/{FILE_ID}/{run}/hls/{quality}", count)

    async def segment(self, rendition: object, folder: str, number: Any) -> None:
        """A segment of random bytes."""
        key = f"{folder}/{number:05}.m4s"
        await self.sql(
            "insert into segment values (%(id)s, %(number)s, %(us)s, %(size)s, %(key)s)",
            id=rendition, number=number, us=SEGMENT_US - number * 100_000, key=key,
            size=await self.put(key, 5000 + number),
        )  # fmt: skip

    async def picture(self, kind: str = "img", run: str = "run1") -> str:
        key = f"works/{FILE_ID}/{run}/pictures/{kind}.jpg"
        await self.sql(
            "insert into picture (work_id, run, kind, width, height, byte_size, key)"
            " select id, %(run)s, %(kind)s, 640, 360, %(size)s, %(key)s from work",
            kind=kind, size=await self.put(key, 3000), key=key, run=run,
        )  # fmt: skip
        return key

    async def plays(self) -> int:
        ((count,),) = await self.sql("select play_count from work")
        assert isinstance(count, int)
        return count

    def media(self, resource: str) -> str:
        """A fresh signed address of kind a."""
        return f"{self.address}/media/{self.signer.address(SLUG, resource)}/{SLUG}/{resource}"

    async def _rendition(self, kind: str, quality: str, key: str, **values: object) -> int:
        values = {
            "width": 320, "height": 180, "frame_rate": 25.0, "complete": True, "bandwidth": 190_000,
            "average_bandwidth": 100_000, "duration_ms": 12_000, "run": "run1", **values,
            "kind": kind, "quality": quality, "key": key,
        }  # fmt: skip
        names = ", ".join(values)
        marks = ", ".join(f"%({name})s" for name in values)
        ((number,),) = await self.sql(
            f"insert into rendition (work_id, {names}) select id, {marks} from work returning id", **values
        )
        assert isinstance(number, int)
        return number


@contextlib.asynccontextmanager
async def staged(settings: Settings, database: Database, store: ObjectStore | None = None) -> AsyncIterator[Stage]:
    """Serve delivery's routes over `store`; the settings' own one by default."""
    clock = Clock()
    store = store or open_store(settings)
    signer = AddressSigner(Keys.load(settings.folder), settings, clock=clock)
    app = Starlette(routes=delivery_routes(database, store, signer, settings))
    async with serving(app) as address, httpx.AsyncClient(timeout=20) as client:
        there = settings.model_copy(update={"media_url": address})
        yield Stage(there, database, store, address, client, clock, signer, Addresses(database, signer, there))
