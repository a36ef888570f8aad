"""Tracks to be bought, put straight into the tables, with files as an import would leave them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from openstage.database.engine import Database
from openstage.storage.objects import ObjectStore


@dataclass(frozen=True)
class Item:
    """A track that can be bought."""

    audio_id: int
    offer_id: int
    file_id: int
    content: bytes


async def add_offer(database: Database, name: str, price: str) -> int:
    row = await database.fetch_one(
        "insert into offer (name, price) values (%(name)s, %(price)s) returning id",
        {"name": name, "price": Decimal(price)},
    )
    assert row
    return int(row[0])


async def add_file(
    database: Database, store: ObjectStore | None, audio_id: int, content: bytes, name: str, *, sold: bool = True
) -> int:
    """Give a track a file, with a preview and waveforms that say what they are."""
    sha256 = hashlib.sha256(content).hexdigest()
    prefix = f"catalogue/tests/{audio_id}/{sha256[:16]}"
    keys = {"object": f"{prefix}/original", "preview": f"{prefix}/preview.mp3"}
    keys |= {"json": f"{prefix}/waveform.json", "png": f"{prefix}/waveform.png"}
    if store is not None:
        await store.put(keys["object"], content)
        for kind in ("preview", "json", "png"):
            await store.put(keys[kind], f"{kind} of {audio_id}".encode())
    row = await database.fetch_one(
        """
        insert into track_file (track_id, sha256, byte_size, content_type, file_name, object_key, duration_ms,
                                preview_key, waveform_json_key, waveform_png_key)
        values (%(track)s, %(sha256)s, %(size)s, 'audio/mpeg', %(name)s, %(object)s, 28000,
                %(preview)s, %(json)s, %(png)s)
        returning id
        """,
        {"track": audio_id, "sha256": sha256, "size": len(content), "name": name, **keys},
    )
    assert row
    if sold:
        await database.fetch_one(
            "update track set file_id = %(file)s where id = %(id)s returning 1", {"file": row[0], "id": audio_id}
        )
    return int(row[0])


async def add_item(
    database: Database,
    store: ObjectStore | None = None,
    *,
    title: str = "A piece",
    artist: str = "Z01803360",
    price: str = "21.00",
    offer: str = "全媒体",
    file_name: str = "beginners-luck.mp3",
    content: bytes = b"ID3 the sound of it " * 500,
    instruments: Sequence[int] = (),
    audio_id: int | None = None,
    bpm: float = 95,
    with_file: bool = True,
) -> Item:
    """Make a track with one offer of its own price."""
    row = await database.fetch_one(
        "insert into offer (name, price) values (%(name)s, 1) on conflict (name) do update set name = excluded.name"
        " returning id",
        {"name": offer},
    )
    assert row
    offer_id = int(row[0])
    row = await database.fetch_one(
        """
        insert into track (id, external_id, title, artist, given_bpm, instrument_ids)
        values (coalesce(%(id)s, nextval(pg_get_serial_sequence('track', 'id'))), gen_random_uuid()::text,
                %(title)s, %(artist)s, %(bpm)s, %(instruments)s)
        returning id
        """,
        {"id": audio_id, "title": title, "artist": artist, "bpm": bpm, "instruments": list(instruments)},
    )
    assert row
    track_id = int(row[0])
    file_id = await add_file(database, store, track_id, content, file_name) if with_file else 0
    await database.fetch_one(
        "insert into track_offer (track_id, offer_id, price) values (%(track)s, %(offer)s, %(price)s) returning 1",
        {"track": track_id, "offer": offer_id, "price": Decimal(price)},
    )
    return Item(track_id, offer_id, file_id, content)
