"""What is bought: once, as it was offered, for ever as it was."""

import asyncio
import datetime as dt
from decimal import Decimal

import psycopg
import pytest

from openstage.catalogue.errors import UnknownTrack
from openstage.licensing.errors import (
    BadOrder,
    CreditExceeded,
    NotForSale,
    RequestReused,
    UnknownOffer,
    UnknownPurchase,
)
from openstage.licensing.models import Order, PurchaseFilter
from tests.licensing.shelf import add_file, add_item, add_offer
from tests.licensing.shop import Shop


async def test_a_purchase_keeps_what_was_offered_whatever_happens_to_the_catalogue(shop: Shop) -> None:
    customer, item = await shop.customer("didi"), await add_item(shop.database, price="812.50")
    bought = await shop.buy(customer, item)
    assert (bought.price, bought.currency, bought.offer.id) == (Decimal("812.50"), "CNY", item.offer_id)
    assert bought.main == bought.buyer
    assert bought.main.name == "didi"
    await shop.database.fetch_one(
        "update track set title = 'Another', removed_at = now() where id = %(id)s returning 1", {"id": item.audio_id}
    )
    await shop.database.fetch_one(
        "update track_offer set price = 1 where track_id = %(id)s returning 1", {"id": item.audio_id}
    )
    await add_file(shop.database, None, item.audio_id, b"imported again", "again.mp3")
    assert await shop.licensing.get(customer.id, bought.id) == bought
    for change in ("price = 0", "file_id = file_id + 1", "warrant_name = 'x'", "downloaded_at = now()"):
        if change.startswith("downloaded"):
            await shop.licensing.downloaded(bought.id)
        with pytest.raises(psycopg.errors.RestrictViolation):
            await shop.database.fetch_one(
                f"update purchase set {change} where id = %(id)s returning 1", {"id": bought.id}
            )


async def test_the_offer_must_be_one_of_the_track(shop: Shop) -> None:
    customer = await shop.customer()
    item, other = await add_item(shop.database), await add_item(shop.database, offer="Another")
    unheard = await add_item(shop.database, with_file=False)
    stray = await add_offer(shop.database, "Of no track", "1")
    for offer_id in (other.offer_id, stray, 2**40, -1):
        with pytest.raises(UnknownOffer):
            await shop.licensing.purchase(customer.id, Order(item.audio_id, offer_id, "A"))
    with pytest.raises(UnknownTrack):
        await shop.licensing.purchase(customer.id, Order(2**40, item.offer_id, "A"))
    with pytest.raises(NotForSale):
        await shop.licensing.purchase(customer.id, Order(unheard.audio_id, unheard.offer_id, "A"))
    for warrant, more in (
        (" ", {}),
        ("x" * 201, {}),
        ("A", {"third_user_id": "x" * 129}),
        ("A", {"request_id": "x" * 129}),
    ):
        with pytest.raises(BadOrder):
            await shop.licensing.purchase(customer.id, Order(item.audio_id, item.offer_id, warrant, **more))
    assert await shop.purchases(customer) == 0
    assert await shop.owed(customer) == 0


async def test_a_request_that_comes_again_buys_once(shop: Shop) -> None:
    customer, item = await shop.customer(), await add_item(shop.database)
    first = await shop.buy(customer, item, third_user_id="u1", digest="d1")
    assert (await shop.buy(customer, item, third_user_id="u1", digest="d2")).id == first.id  # a fresh nonce
    assert (await shop.buy(customer, item, third_user_id="u1", digest="d1")).id == first.id  # the very same request
    with pytest.raises(RequestReused):
        await shop.buy(customer, item, "Somebody else", digest="d1")
    others = {
        (await shop.buy(customer, item, third_user_id="u2")).id,
        (await shop.buy(customer, item, "B", third_user_id="u1")).id,
        (await shop.buy(customer, item)).id,
        (await shop.buy(customer, item, third_user_id="u1", request_id="r1")).id,
        (await shop.buy(await shop.customer(), item, third_user_id="u1", digest="d1")).id,
    }
    assert len(others) == 5
    assert first.id not in others


async def test_after_ten_minutes_the_same_order_buys_anew_but_a_request_id_never_does(shop: Shop) -> None:
    customer, item = await shop.customer(), await add_item(shop.database)
    plain, named = await shop.buy(customer, item), await shop.buy(customer, item, request_id="r1")
    async with shop.database.transaction() as connection:
        await connection.execute("alter table purchase disable trigger keep_purchase")
        await connection.execute(
            "update purchase set bought_at = bought_at - interval '601 seconds' where app_id = %s", (customer.id,)
        )
        await connection.execute("alter table purchase enable trigger keep_purchase")
    assert (await shop.buy(customer, item)).id not in {plain.id, named.id}
    assert (await shop.buy(customer, item, request_id="r1")).id == named.id
    with pytest.raises(RequestReused):
        await shop.buy(customer, item, "Another name", request_id="r1")


@pytest.mark.parametrize("request_id", ["", "order-1"])
async def test_requests_at_once_buy_once(shop: Shop, request_id: str) -> None:
    customer, item = await shop.customer(), await add_item(shop.database)
    bought = await asyncio.gather(
        *(shop.buy(customer, item, request_id=request_id, digest=f"{request_id}{n}") for n in range(12))
    )
    assert len({each.id for each in bought}) == 1
    assert await shop.owed(customer) == Decimal("21.00")


async def test_a_race_never_buys_beyond_the_limit(shop: Shop) -> None:
    customer, item = await shop.customer(limit="100.00"), await add_item(shop.database, price="21.00")
    results = await asyncio.gather(
        *(shop.buy(customer, item, f"Buyer {number}") for number in range(12)), return_exceptions=True
    )
    refused = [each for each in results if isinstance(each, CreditExceeded)]
    assert len(refused) == 12 - 4
    assert "84.00 of 100.00 CNY" in refused[0].message
    assert await shop.owed(customer) == Decimal("84.00")
    assert await shop.purchases(customer) == 4


async def test_test_apps_are_marked_and_never_billed(shop: Shop) -> None:
    customer, item = await shop.customer(limit="0.00", is_test=True), await add_item(shop.database)
    bought = await shop.buy(customer, item)
    assert bought.is_test
    assert bought.price == Decimal("21.00")
    assert (await shop.buy(customer, item, "B")).id != bought.id == (await shop.buy(customer, item)).id
    await shop.licensing.refund(bought.id, "tried")
    assert await shop.owed(customer) == 0
    assert await shop.ledger.lines(customer.id) == []
    await shop.billing.set_test(customer.client_id, is_test=False)
    with pytest.raises(CreditExceeded):
        await shop.buy(customer, item)  # the like of it was bought, but only as a test
    assert await shop.purchases(customer) == 2


async def test_a_refund_gives_back_once_and_lets_the_same_be_bought_again(shop: Shop) -> None:
    customer, item = await shop.customer(), await add_item(shop.database)
    bought = await shop.buy(customer, item, digest="d")
    refunds = await asyncio.gather(*(shop.licensing.refund(bought.id, f"reason {n}") for n in range(5)))
    assert len({(each.refunded_at, each.refund_reason) for each in refunds}) == 1
    assert refunds[0].standing == "refunded"
    assert await shop.owed(customer) == 0
    assert (await shop.buy(customer, item, digest="d")).id == bought.id  # its own request, once more
    assert (await shop.buy(customer, item, digest="e")).id != bought.id
    assert await shop.owed(customer) == Decimal("21.00")
    with pytest.raises(UnknownPurchase):
        await shop.licensing.refund(2**62, "")


async def test_purchases_of_another_app_are_unknown(shop: Shop) -> None:
    item = await add_item(shop.database)
    bought = await shop.buy(await shop.customer(), item)
    stranger = await shop.customer()
    for purchase_id in (bought.id, 0, -1, 2**62, 2**70):
        with pytest.raises(UnknownPurchase):
            await shop.licensing.get(stranger.id, purchase_id)
    assert (await shop.licensing.list(stranger.id, PurchaseFilter(), page=1, per_page=10)).total == 0


async def test_lists_hold_what_was_asked_for(shop: Shop) -> None:
    customer = await shop.customer()
    item, other = await add_item(shop.database), await add_item(shop.database)
    first, second = await shop.buy(customer, item), await shop.buy(customer, other)
    third = await shop.buy(customer, item, "B", third_user_id="小明")
    await shop.licensing.downloaded(second.id)
    await shop.licensing.downloaded(second.id)
    await shop.licensing.refund(third.id, "")

    async def ids(page: int = 1, per_page: int = 10, **wanted: object) -> list[int]:
        found = await shop.licensing.list(customer.id, PurchaseFilter(**wanted), page=page, per_page=per_page)  # type: ignore[arg-type]
        return [each.id for each in found.items]

    hour = dt.timedelta(hours=1)
    assert await ids() == [third.id, second.id, first.id]
    assert [await ids(page, 2) for page in (1, 2, 3)] == [[third.id, second.id], [first.id], []]
    assert await ids(downloaded=True) == [second.id]
    assert await ids(downloaded=False) == [third.id, first.id]
    assert await ids(audio_id=other.audio_id) == [second.id]
    assert await ids(standing="refunded") == [third.id]
    assert await ids(standing="valid") == [second.id, first.id]
    assert await ids(begin=first.bought_at - hour, end=first.bought_at - hour / 2) == []
    assert await ids(end=third.bought_at.replace(microsecond=0)) == [third.id, second.id, first.id]
    assert await ids(updated_begin=first.bought_at + hour) == []
    assert (await shop.licensing.get(customer.id, third.id)).buyer.name == "小明"
    names = [(each.third_user_id, each.purchases) for each in await shop.billing.members(customer.client_id)]
    assert names == [("", 2), ("小明", 1)]
