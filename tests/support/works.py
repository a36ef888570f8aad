"""Works in any state, entered straight into the database where a test is not about how they got there."""

import secrets

from openstage.database.engine import Database
from openstage.works.models import State
from openstage.works.service import new_slug

RENDITIONS = [
    ("hls_video", "96", 320, 180, "avc1.42c00d"),
    ("hls_video", "1", 426, 240, "avc1.42c015"),
    ("hls_audio", "a", None, None, "mp4a.40.2"),
    ("mp4", "1", 426, 240, "avc1.42c015,mp4a.40.2"),
    ("mp4", "2", 640, 360, "avc1.42c01e,mp4a.40.2"),
]


async def enter_work(
    database: Database,
    access_token_owner: tuple[int, int],
    *,
    state: State = "published",
    title: str = "meipai001",
    reason: str = "",
    age: int = 0,
) -> str:
    """Enter a work with renditions and pictures (rows only, no bytes); returns its `file_id`.

    Args:
        database: where.
        access_token_owner: app and user.
        state: in which state.
        title: its title.
        reason: why it failed or was refused.
        age: seconds since it was created.

    """
    file_id, (app_id, user_id) = secrets.token_hex(16), access_token_owner
    async with database.transaction() as connection:
        row = await (
            await connection.execute(
                """
                insert into work (file_id, slug, app_id, user_id, state, title, description, reason, file_size,
                                  duration_ms, described_at, pending, published_at, created_at)
                values (%(file)s, %(slug)s, %(app)s, %(user)s, %(state)s, %(title)s, 'a description', %(reason)s, 1000,
                        9600, now(), %(state)s = 'publishing', case when %(state)s = 'published' then now() end,
                        now() - make_interval(secs => %(age)s))
                returning id
                """,
                {
                    "file": file_id,
                    "slug": new_slug(),
                    "app": app_id,
                    "user": user_id,
                    "state": state,
                    "title": title,
                    "reason": reason,
                    "age": age,
                },
            )
        ).fetchone()
        assert row is not None
        if state in {"published", "reviewing", "refused"}:
            for kind, quality, width, height, codecs in RENDITIONS:
                await connection.execute(
                    """
                    insert into rendition (work_id, kind, quality, width, height, codecs, bandwidth,
                                           average_bandwidth, duration_ms, byte_size, key)
                    values (%s, %s, %s, %s, %s, %s, 200000, 150000, 9600, 1000, %s)
                    """,
                    (row[0], kind, quality, width, height, codecs, f"works/{file_id}/run/{kind}/{quality}"),
                )
            for picture, width, height in (("original", 640, 360), ("img", 640, 360), ("thumbnail", 320, 180)):
                await connection.execute(
                    "insert into picture (work_id, kind, width, height, byte_size, key) values (%s,%s,%s,%s,100,%s)",
                    (row[0], picture, width, height, f"works/{file_id}/run/pictures/{picture}.jpg"),
                )
    return file_id
