"""The public page of a certificate: what it tells whom, and that everybody can use it."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

import openstage.console
from openstage.certificate_file import read_keys, verify
from openstage.console.assets import Assets
from openstage.console.certificate_messages import CERTIFICATE_MESSAGES
from openstage.console.certificates import KEYS_PATH, CertificatePages
from openstage.console.rendering import Renderer
from openstage.identity.keys import Keys
from openstage.licensing.certificate_keys import CertificateKeys
from openstage.licensing.certificates import Certificates
from openstage.licensing.models import Purchase
from openstage.settings import Settings
from openstage.storage.objects import open_store
from tests.licensing.shelf import Item, add_item
from tests.licensing.shop import Shop
from tests.support.browser import PHONE, Browser, OpenBrowser, browse
from tests.support.frontend import assets, barriers
from tests.support.server import serving

__all__ = ["assets", "browse"]

TEMPLATES = Path(openstage.console.__file__).parent / "templates" / "certificates"
HOSTILE = "<script>alert(1)</script>\"'>"


@dataclass
class Office:
    """A server with the pages, and what was bought there."""

    address: str
    shop: Shop
    certificates: Certificates
    item: Item

    async def buy(self, warrant: str, *, is_test: bool = False) -> tuple[Purchase, str]:
        """A purchase with its certificate made, and the path of its page."""
        customer = await self.shop.customer("Guangzhou Studio", is_test=is_test)
        purchase = await self.shop.buy(customer, self.item, warrant, third_user_id="didi")
        return purchase, f"/certificates/{(await self.certificates.find(purchase)).token}"

    async def get(self, path: str, language: str = "en") -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.address, verify=False) as client:
            return await client.get(path, headers={"Accept-Language": language})


@pytest.fixture(scope="module")
async def office(shop: Shop, module_settings: Settings) -> AsyncIterator[Office]:
    store = open_store(module_settings)
    keys = CertificateKeys(shop.database, Keys.load(module_settings.folder))
    certificates = Certificates(shop.database, store, keys, module_settings)
    built = Assets()
    static = [
        Route("/static/{name}", built.built),
        Route("/favicon.svg", built.icon),
        Route("/favicon.ico", built.icon),
    ]
    pages = CertificatePages(certificates, Renderer(module_settings, built)).routes()
    item = await add_item(shop.database, store, title=f"彩云之南 {HOSTILE}", offer="全媒体 All media", price="812.50")
    async with serving(Starlette(routes=[*pages, *static])) as address:
        yield Office(address, shop, certificates, item)


async def test_it_tells_what_is_licensed_but_neither_price_nor_accounts(office: Office) -> None:
    purchase, path = await office.buy("广州汽车集团股份有限公司")
    page = await office.get(path)
    assert page.status_code == 200
    assert "This licence is valid" in page.text
    for shown in (
        purchase.number,
        "广州汽车集团股份有限公司",
        "彩云之南",
        purchase.sha256,
        "全媒体 All media",
        "MP3 (audio/mpeg), 10,000 bytes",
    ):
        assert shown in page.text
    for hidden in ("812.50", "CNY", "didi", "Guangzhou Studio", HOSTILE):
        assert hidden not in page.text
    assert "noindex" in page.text
    assert "no-cache" in page.headers["Cache-Control"]
    assert "当前有效" in (await office.get(path, "zh-CN")).text


async def test_a_refund_is_shown_at_once(office: Office) -> None:
    purchase, path = await office.buy("Refunded")
    assert "is valid" in (await office.get(path)).text
    await office.shop.licensing.refund(purchase.id, "secret reason")
    page = await office.get(path)
    assert page.status_code == 200
    assert "was refunded" in page.text
    assert "is valid" not in page.text
    assert "secret reason" not in page.text
    assert "已退款" in (await office.get(path, "zh-CN")).text


async def test_a_test_purchase_is_never_called_valid(office: Office) -> None:
    _, path = await office.buy("Tester", is_test=True)
    page = await office.get(path)
    assert "licenses nothing" in page.text
    assert "is valid" not in page.text


@pytest.mark.parametrize("token", ["0", "a" * 32, "%00", "x" * 5000])
async def test_what_was_never_issued_is_not_found(office: Office, token: str) -> None:
    page = await office.get(f"/certificates/{token}")
    assert page.status_code == 404
    assert "this server never issued that certificate" in page.text


async def test_the_published_keys_verify_a_certificate(office: Office) -> None:
    purchase, _ = await office.buy("Keys")
    reply = await office.get(KEYS_PATH)
    assert reply.headers["Content-Type"] == "application/jwk-set+json"
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    assert verify(await office.certificates.certificate(purchase), read_keys(reply.content)).valid


def test_every_text_is_there_in_both_languages_and_is_used() -> None:
    for key, (english, chinese) in CERTIFICATE_MESSAGES.items():
        assert sorted(re.findall(r"{\w+}", english)) == sorted(re.findall(r"{\w+}", chinese)), key
        assert chinese, key
        assert not re.search(r"[\u4e00-\u9fff]", english), key
    templates = "".join(path.read_text() for path in TEMPLATES.glob("*.html"))
    assert set(re.findall(r't\("(certificate\w*)"', templates)) == set(CERTIFICATE_MESSAGES)


@pytest.mark.browser
async def test_a_browser_compares_files_without_sending_them(
    office: Office, browse: OpenBrowser, frontend: Path, tmp_path: Path
) -> None:
    purchase, path = await office.buy("云上剧场")
    paper, music, other = tmp_path / "certificate.pdf", tmp_path / "music.mp3", tmp_path / "other.pdf"
    genuine = await office.certificates.certificate(purchase)
    paper.write_bytes(genuine)
    music.write_bytes(office.item.content)
    other.write_bytes(genuine[:-1] + b" ")

    def look(browser: Browser) -> None:
        browser.open(office.address + path)
        assert barriers(browser, frontend) == []
        for file, said in ((paper, "the certificate, byte"), (music, "the delivered file, byte"), (other, "neither")):
            browser.find("#compare-file").send_keys(str(file))
            browser.wait_js(f"document.querySelector('[data-result]').textContent.includes({said!r})")
            assert file.name in browser.text("[data-result]")
        assert barriers(browser, frontend) == []
        assert browser.js("performance.getEntriesByType('resource').length") < 8
        assert browser.complaints() == []
        browser.screenshot(tmp_path / "page.png")

    with browse() as browser:
        await asyncio.to_thread(look, browser)


@pytest.mark.browser
async def test_on_a_dark_phone_it_can_be_read(office: Office, browse: OpenBrowser, frontend: Path) -> None:
    purchase, path = await office.buy("W" * 200)
    await office.shop.licensing.refund(purchase.id, "mistake")

    def look(browser: Browser) -> None:
        browser.open(office.address + path)
        assert barriers(browser, frontend) == []
        assert browser.js("document.documentElement.scrollWidth") == PHONE[0]
        assert browser.complaints() == []

    with browse(phone=True, dark=True, language="zh-CN") as browser:
        await asyncio.to_thread(look, browser)
