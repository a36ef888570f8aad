"""How many bytes an app may hold: reserved while an upload is open, stored once it is finished.

All functions are part of the caller's transaction, so that a reservation and its upload come and go together.
"""

from openstage.database.engine import Connection
from openstage.identity.errors import QuotaExceeded, UnknownApp


async def reserve(connection: Connection, app_id: int, size: int, *, default: int) -> None:
    """Set bytes aside for an upload.

    Args:
        connection: the caller's transaction.
        app_id: the app.
        size: bytes.
        default: the quota of apps that have none of their own; 0: no limit.

    Raises:
        QuotaExceeded: they don't fit.
        UnknownApp: there is no such app.

    """
    cursor = await connection.execute(
        """
        update app set reserved = reserved + %(size)s
        where id = %(app)s
          and (coalesce(quota, %(default)s) = 0 or stored + reserved + %(size)s <= coalesce(quota, %(default)s))
        """,
        {"app": app_id, "size": size, "default": default},
    )
    if not cursor.rowcount:
        raise _exceeded(*await _standing(connection, app_id, default), size)


async def require_room(connection: Connection, app_id: int, size: int, *, default: int) -> None:
    """Make sure that an app has room for so many bytes at this moment, without setting them aside; see `reserve`."""
    quota, used = await _standing(connection, app_id, default)
    if quota and used + size > quota:
        raise _exceeded(quota, used, size)


async def _standing(connection: Connection, app_id: int, default: int) -> tuple[int, int]:
    """Return an app's quota and what is taken of it."""
    row = await (
        await connection.execute(
            "select coalesce(quota, %s), stored + reserved from app where id = %s", (default, app_id)
        )
    ).fetchone()
    if row is None:
        raise UnknownApp("There is no such app.")
    return row[0], row[1]


def _exceeded(quota: int, used: int, size: int) -> QuotaExceeded:
    return QuotaExceeded(
        f"The app's quota is {quota} bytes, of which {used} are taken: {size} more do not fit. "
        "Delete works, cancel uploads, or ask the operator for a larger quota."
    )


async def settle(connection: Connection, app_id: int, *, reserved: int, stored: int) -> None:
    """Turn a reservation into stored bytes: at finish `stored` is the file's size, at cancel and expiry 0."""
    await connection.execute(
        """
        update app set reserved = greatest(reserved - %(reserved)s, 0), stored = stored + %(stored)s where id = %(app)s
        """,
        {"app": app_id, "reserved": reserved, "stored": stored},
    )


async def release(connection: Connection, app_id: int, *, stored: int) -> None:
    """Give back the bytes of an original that has been removed."""
    await connection.execute(
        "update app set stored = greatest(stored - %(stored)s, 0) where id = %(app)s", {"app": app_id, "stored": stored}
    )
