"""Certificates of real purchases: made once, the same on every server, whatever happens to keys and money."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from openstage.certificate_file import read_keys, verify
from openstage.database.engine import Database
from openstage.identity.keys import Keys, MasterKeyUnusable
from openstage.licensing.certificate_keys import CertificateKeys, key_set
from openstage.licensing.certificates import Certificates
from openstage.licensing.errors import UnknownCertificate
from openstage.licensing.models import Purchase
from openstage.server.backup import OBJECTS
from openstage.settings import Settings
from openstage.storage.objects import ObjectStore, open_store
from tests.licensing.papers import qr_of, text_of
from tests.licensing.shelf import Item, add_item
from tests.licensing.shop import Customer, Shop


@pytest.fixture(scope="module")
def store(module_settings: Settings) -> ObjectStore:
    return open_store(module_settings)


@pytest.fixture(scope="module")
def certificates(module_database: Database, module_settings: Settings, store: ObjectStore) -> Certificates:
    return make_certificates(module_database, module_settings, store)


def make_certificates(database: Database, settings: Settings, store: ObjectStore) -> Certificates:
    """The certificates of one server; several may share database, store and master key."""
    return Certificates(database, store, CertificateKeys(database, Keys.load(settings.folder)), settings)


@pytest.fixture(scope="module")
async def item(module_database: Database, store: ObjectStore) -> Item:
    return await add_item(module_database, store, title="彩云之南", offer="全媒体 All media", price="812.50")


@pytest.fixture(scope="module")
async def customer(shop: Shop) -> Customer:
    return await shop.customer("Guangzhou Studio")


async def public_keys(certificates: Certificates) -> dict[str, bytes]:
    return read_keys(key_set(await certificates.keys.list()))


async def test_a_certificate_certifies_the_purchase(
    certificates: Certificates, shop: Shop, customer: Customer, item: Item, module_settings: Settings
) -> None:
    purchase = await shop.buy(customer, item, "广州汽车集团股份有限公司", third_user_id="didi")
    pdf = await certificates.certificate(purchase)
    verdict = verify(pdf, await public_keys(certificates))
    assert verdict.valid
    facts = verdict.facts
    assert facts["number"] == purchase.number
    assert facts["licensee"]["name"] == "广州汽车集团股份有限公司"
    assert facts["licensee"]["account"] == {"id": purchase.main.id, "name": purchase.main.name}
    assert facts["licensee"]["member"] == {"id": purchase.buyer.id, "name": purchase.buyer.name}
    assert facts["track"] == {"id": item.audio_id, "title": "彩云之南", "artist": "Z01803360", "duration_ms": 28000}
    assert facts["scope"] == {"id": item.offer_id, "name": "全媒体 All media", "type": "all"}
    assert (facts["price"], facts["currency"]) == ("812.50", "CNY")
    assert facts["file"]["sha256"] == purchase.sha256
    assert facts["licensor"] == facts["issuer"] == module_settings.base()
    assert facts["bought_at"].endswith("+08:00")
    text = text_of(pdf).replace(" ", "").replace("\n", "")
    for shown in (purchase.number, "彩云之南", "CNY812.50", purchase.sha256, "广州汽车集团股份有限公司", "didi"):
        assert shown in text
    assert qr_of(pdf) == facts["page"]


async def test_it_stays_as_it_was_made(
    certificates: Certificates, shop: Shop, customer: Customer, item: Item, module_database: Database
) -> None:
    """Through a refund, another name of the licensor, new keys, and an app of another name."""
    purchase = await shop.buy(customer, item, "Stays")
    made = await certificates.certificate(purchase)
    refunded = await shop.licensing.refund(purchase.id, "a double order")
    await certificates.keys.rotate()
    other = make_certificates(
        module_database,
        certificates._settings.model_copy(
            update={"licensor": "Somebody Else", "public_url": "https://elsewhere.example"}
        ),
        certificates._store,
    )
    assert await other.certificate(refunded) == made
    assert verify(made, await public_keys(certificates)).valid


async def test_servers_that_make_it_at_once_make_the_same(
    shop: Shop, customer: Customer, item: Item, module_database: Database, module_settings: Settings, store: ObjectStore
) -> None:
    purchase = await shop.buy(customer, item, "At once")
    servers = [make_certificates(module_database, module_settings, store) for _ in range(6)]
    assert len(set(await asyncio.gather(*(server.certificate(purchase) for server in servers)))) == 1


async def test_a_server_that_died_before_the_file_was_kept_makes_the_same_one_again(
    certificates: Certificates, shop: Shop, customer: Customer, item: Item, module_database: Database
) -> None:
    """Also after the key was rotated in between: the row names the key, the address and the time."""
    purchase = await shop.buy(customer, item, "Again")
    made = await certificates.certificate(purchase)
    await module_database.fetch_one(
        "update certificate set key = null, sha256 = null where purchase_id = %(id)s returning 1", {"id": purchase.id}
    )
    await certificates.keys.rotate()
    assert await certificates.certificate(purchase) == made


async def test_rotated_keys_verify_what_they_signed(
    certificates: Certificates, shop: Shop, customer: Customer, item: Item
) -> None:
    papers: list[bytes] = []
    for warrant in ("one", "two", "three"):
        papers.append(await certificates.certificate(await shop.buy(customer, item, warrant)))
        await certificates.keys.rotate()
    listed = await certificates.keys.list()
    assert [key.retired_at is None for key in listed] == [True] + [False] * (len(listed) - 1)
    keys = read_keys(key_set(listed))
    verdicts = [verify(paper, keys) for paper in papers]
    assert all(verdict.valid for verdict in verdicts)
    assert len({verdict.key_id for verdict in verdicts}) == 3
    assert listed[0].key_id not in {verdict.key_id for verdict in verdicts}


async def test_several_first_starts_make_one_key(database: Database, settings: Settings) -> None:
    keys = Keys.load(settings.folder)
    servers = [CertificateKeys(database, keys) for _ in range(6)]
    signing = await asyncio.gather(*(server.signing() for server in servers))
    assert len({key.key_id for key in signing}) == 1
    assert len(await servers[0].list()) == 1


async def test_a_copy_of_the_database_alone_signs_nothing(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    await CertificateKeys(database, Keys.load(settings.folder)).signing()
    with pytest.raises(MasterKeyUnusable):
        await CertificateKeys(database, Keys.load(tmp_path / "another")).signing()
    row = await database.fetch_one("select sealed from certificate_key")
    assert row is not None
    assert len(bytes(row[0])) > 64


async def test_another_servers_certificate_is_refused(
    certificates: Certificates, shop: Shop, customer: Customer, item: Item, database: Database, settings: Settings
) -> None:
    paper = await certificates.certificate(await shop.buy(customer, item, "Elsewhere"))
    elsewhere = CertificateKeys(database, Keys.load(settings.folder))
    assert verify(paper, read_keys(key_set(await elsewhere.list()))).reason == "unknown_key"


async def test_pages_cannot_be_guessed_and_tell_of_refunds(
    certificates: Certificates, shop: Shop, customer: Customer, item: Item
) -> None:
    purchases: list[Purchase] = [await shop.buy(customer, item, f"Guess {n}") for n in range(3)]
    found = [await certificates.find(purchase) for purchase in purchases]
    assert len({each.token for each in found}) == 3
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{32}", each.token) for each in found)  # 6 bits each: 192
    await shop.licensing.refund(purchases[0].id, "mistake")
    assert (await certificates.by_token(found[0].token)).refunded_at is not None
    assert (await certificates.by_token(found[1].token)).refunded_at is None
    for token in ("", "a" * 32, found[0].token[:-1], found[0].token.swapcase(), "\0", str(purchases[0].id)):
        with pytest.raises(UnknownCertificate):
            await certificates.by_token(token)


async def test_a_test_purchase_is_certified_as_that(certificates: Certificates, shop: Shop, item: Item) -> None:
    tester = await shop.customer("Tester", is_test=True)
    paper = await certificates.certificate(await shop.buy(tester, item))
    assert verify(paper, await public_keys(certificates)).facts["test"] is True
    assert "licenses nothing" in text_of(paper)


async def test_the_list_of_keys_is_one_that_others_read(certificates: Certificates) -> None:
    """As RFC 8037, 2 has it; and nothing private is in it."""
    (newest, *_) = listed = json.loads(key_set(await certificates.keys.list()))["keys"]
    assert {"kty", "crv", "x", "kid", "use"} == set(newest)
    assert (newest["kty"], newest["crv"], newest["use"]) == ("OKP", "Ed25519", "sig")
    assert all(len(key["x"]) == 43 for key in listed)


async def test_a_backup_takes_certificates_and_what_was_sold_along(
    certificates: Certificates, shop: Shop, customer: Customer, item: Item, module_database: Database
) -> None:
    purchase = await shop.buy(customer, item, "Backed up")
    kept = await certificates.find(purchase)
    async with module_database.connection() as connection:
        rows = await (await connection.execute(OBJECTS.encode())).fetchall()
    assert {kept.key, purchase.file.object_key, purchase.file.preview_key} <= {row[0] for row in rows}
