"""Reading purchases."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

from openstage.catalogue.models import TrackFile
from openstage.database.engine import Connection
from openstage.licensing.models import BoughtOffer, Buyer, Order, Purchase, PurchaseFilter

REPEAT_SECONDS: Final = 600
"""Within so many seconds of a purchase the same order, if it has no request_id, is taken for the same request."""

_FILE: Final = ", ".join(f"file.{field.name}" for field in dataclasses.fields(TrackFile))
_PURCHASES: Final = f"""
    select p.id, p.number, p.app_id, main.id, main.name, buyer.id, buyer.name, buyer.third_user_id, p.track_id, p.title,
           p.artist, p.offer_id, p.offer_name, p.offer_type, p.price, p.currency, p.warrant_name, p.is_test,
           p.bought_at, p.downloaded_at, p.refunded_at, p.refund_reason, p.updated_at, {_FILE}
    from purchase p
    join buyer main on main.id = p.main_id
    join buyer on buyer.id = p.buyer_id
    join track_file file on file.id = p.file_id
    """
_OWN: Final = 23
"""Columns before those of the file."""
_SAME: Final = """
    p.app_id = %(app)s and p.track_id = %(track)s and p.offer_id = %(offer)s and p.warrant_name = %(warrant)s
    and p.buyer_id = (select id from buyer where app_id = %(app)s and third_user_id = %(third)s)
    """


async def purchase(connection: Connection, purchase_id: int) -> Purchase | None:
    """Return a purchase of any app."""
    found = await select(connection, "p.id = %(id)s", {"id": purchase_id})
    return found[0] if found else None


async def select(connection: Connection, where: str, parameters: dict[str, Any]) -> list[Purchase]:
    """Return the purchases for which `where` (and what follows it: order, limit) holds."""
    cursor = await connection.execute(f"{_PURCHASES} where {where}".encode(), parameters)
    return [_purchase(row) for row in await cursor.fetchall()]


async def count(connection: Connection, where: str, parameters: dict[str, Any]) -> int:
    """Count the purchases for which `where` holds."""
    row = await (
        await connection.execute(f"select count(*) from purchase p where {where}".encode(), parameters)
    ).fetchone()
    return int(row[0]) if row else 0


async def earlier(connection: Connection, app_id: int, order: Order, *, is_test: bool) -> Purchase | None:
    """Return the purchase that came of the same request before: by its digest, its request_id, or what it asks for.

    A refunded purchase, and a test app's once the app is a real one, answer their own request for ever, but an order
    that is merely alike buys anew.
    """
    parameters = {
        "app": app_id, "digest": order.digest, "request": order.request_id, "track": order.audio_id,
        "offer": order.offer_id, "warrant": order.warrant_name, "third": order.third_user_id, "within": REPEAT_SECONDS,
        "test": is_test,
    }  # fmt: skip
    alike = f"""{_SAME} and p.request_id = '' and p.refunded_at is null and p.is_test = %(test)s
                and p.bought_at > clock_timestamp() - make_interval(secs => %(within)s)"""
    by = [("p.app_id = %(app)s and p.digest = %(digest)s", order.digest)]
    by += [("p.app_id = %(app)s and p.request_id = %(request)s", order.request_id)]
    by += [(alike + " order by p.id desc limit 1", "" if order.request_id else "alike")]
    for where, applies in by:
        if applies and (found := await select(connection, where, parameters)):
            return found[0]
    return None


def asked(app_id: int, wanted: PurchaseFilter) -> tuple[str, dict[str, Any]]:
    """Return the condition of a list, and its parameters. Ends are included to the second, as dates are written."""
    conditions = {
        "p.bought_at >= %(begin)s": wanted.begin,
        "p.bought_at < %(end)s + interval '1 second'": wanted.end,
        "p.updated_at >= %(updated_begin)s": wanted.updated_begin,
        "p.updated_at < %(updated_end)s + interval '1 second'": wanted.updated_end,
        "(p.downloaded_at is not null) = %(downloaded)s": wanted.downloaded,
        "(p.refunded_at is null) = (%(standing)s = 'valid')": wanted.standing,
        "p.track_id = %(audio_id)s": wanted.audio_id,
    }
    where = ["p.app_id = %(app)s", *(condition for condition, value in conditions.items() if value is not None)]
    return " and ".join(where), {"app": app_id, **dataclasses.asdict(wanted)}


def _purchase(row: Sequence[Any]) -> Purchase:
    own, file = row[:_OWN], row[_OWN:]
    (
        purchase_id, number, app_id, main_id, main_name, buyer_id, buyer_name, third_user_id, audio_id, title, artist,
        offer_id, offer_name, offer_type, price, currency, warrant_name, is_test,
        bought_at, downloaded_at, refunded_at, refund_reason, updated_at,
    ) = own  # fmt: skip
    return Purchase(
        id=purchase_id,
        number=number,
        app_id=app_id,
        main=Buyer(main_id, main_name),
        buyer=Buyer(buyer_id, buyer_name),
        third_user_id=third_user_id,
        audio_id=audio_id,
        title=title,
        artist=artist,
        offer=BoughtOffer(offer_id, offer_name, offer_type),
        price=price,
        currency=currency,
        file=TrackFile(*file),
        warrant_name=warrant_name,
        is_test=is_test,
        bought_at=bought_at,
        downloaded_at=downloaded_at,
        refunded_at=refunded_at,
        refund_reason=refund_reason,
        updated_at=updated_at,
    )
