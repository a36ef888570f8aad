"""What the pages promise without a browser: statuses, languages, escaping, headers, addresses."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import httpx
import pytest

from openstage.works.models import State
from tests.console.site import Site, running_site, work

SLUG = "abcdefgh12345678"
HOSTILE = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def running() -> Iterator[Site]:
    with running_site() as site:
        yield site


@pytest.fixture
def site(running: Site) -> Site:
    """The running site, with no works but one."""
    running.works.works.clear()
    running.works.add(work())
    return running


def get(site: Site, path: str, **headers: str) -> httpx.Response:
    # Without `verify` each client would read the machine's certificates.
    with httpx.Client(base_url=site.address, verify=False) as client:
        return client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})


# --- the watch page ---------------------------------------------------------------------------------------------------
def test_a_published_work_is_shown_with_all_that_is_known_of_it(site: Site) -> None:
    site.works.add(work(description="One take.\nNo cuts.", tags=["lake", "慢"], category=9, play_count=1204))
    page = get(site, f"/w/{SLUG}")
    assert page.status_code == 200
    for shown in (
        "A walk by the lake",
        "One take.\nNo cuts.",
        "lake",
        "慢",
        "Travel",
        "1,204 plays",
        "21 Nov 2026",
        "0:12",
    ):
        assert shown in page.text
    assert f'<meta property="og:image" content="/media/picture/{SLUG}/img.jpg">' in page.text
    assert '<meta property="og:title" content="A walk by the lake">' in page.text


@pytest.mark.parametrize(
    ("state", "status", "said"),
    [
        ("uploading", 200, "still being uploaded"),
        ("waiting", 200, "still being uploaded"),
        ("publishing", 200, "being prepared"),
        ("reviewing", 200, "waiting for review"),
        ("refused", 410, "No longer here"),
        ("failed", 410, "No longer here"),
        ("cancelled", 410, "No longer here"),
        ("expired", 410, "No longer here"),
    ],
)
def test_a_work_that_cannot_be_watched_says_why(site: Site, state: State, status: int, said: str) -> None:
    site.works.add(work(state=state, reason="an inner reason"))
    for path in (f"/w/{SLUG}", f"/e/{SLUG}"):
        page = get(site, path)
        assert page.status_code == status
        assert said in page.text
        assert "an inner reason" not in page.text, "reasons are for the work's owner"
        assert "data-player" not in page.text
    assert get(site, f"/w/{SLUG}/play").json()["stage"] == ("gone" if status == 410 else "waiting")


@pytest.mark.parametrize("path", ["/w/nothing", "/e/nothing", "/nowhere", "/docs/nothing", "/docs/../pyproject.toml"])
def test_an_address_with_nothing_behind_it_is_a_friendly_404(site: Site, path: str) -> None:
    page = get(site, path)
    assert page.status_code == 404
    assert "There is nothing at this address" in page.text
    assert page.headers["content-type"] == "text/html; charset=utf-8"


def test_each_play_gets_a_fresh_address(site: Site) -> None:
    first, second = (get(site, f"/w/{SLUG}/play") for _ in range(2))
    assert first.json()["master"] != second.json()["master"]
    assert first.headers["cache-control"] == "no-store"
    assert get(site, "/w/nothing/play").status_code == 404


def test_opening_the_page_gives_no_address_that_would_count_as_a_play(site: Site) -> None:
    assert "master.m3u8" not in get(site, f"/w/{SLUG}").text


# --- languages --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("zh-TW", "zh-CN"),
        ("en-US,en;q=0.9,zh-CN;q=0.1", "en"),
        ("fr-FR, zh;q=0.4, en;q=0.6", "en"),
        ("fr, de", "en"),
        ("en;q=0, zh;q=0.1", "zh-CN"),
        ("zh;q=nonsense, en", "en"),
        ("", "en"),
    ],
)
def test_the_browsers_language_is_spoken(site: Site, accepted: str, language: str) -> None:
    for path in ("/", f"/w/{SLUG}", "/w/nothing"):
        page = get(site, path, accept_language=accepted)
        assert f'<html lang="{language}">' in page.text
        assert page.headers["content-language"] == language
        assert "Accept-Language" in page.headers["vary"]


def test_a_language_chosen_by_hand_stays(site: Site) -> None:
    with httpx.Client(base_url=site.address, headers={"Accept-Language": "en"}) as client:
        assert "首页" not in client.get("/").text
        assert '<html lang="zh-CN">' in client.get("/?lang=zh-CN").text
        assert '<html lang="zh-CN">' in client.get(f"/w/{SLUG}").text
        assert '<html lang="en">' in client.get("/?lang=en").text
        assert '<html lang="en">' in client.get("/?lang=xx").text


# --- safety -----------------------------------------------------------------------------------------------------------
class Inline(HTMLParser):
    """Collects whatever a strict Content-Security-Policy would block."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.titles = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        self.titles += tag == "title"
        if tag == "style" or (tag == "script" and "src" not in names):
            self.found.append(tag)
        self.found += [f"{tag}[{name}]" for name in names if name == "style" or name.startswith("on")]
        self.found += [f"{tag} {value}" for value in names.values() if (value or "").strip().startswith("javascript:")]


def test_hostile_text_is_shown_as_text(site: Site) -> None:
    site.works.add(work(title=HOSTILE, description=HOSTILE, tags=[HOSTILE]))
    site.works.add(work("published0000000", title=HOSTILE, state="publishing"))
    for path in (
        "/",
        f"/w/{SLUG}",
        f"/e/{SLUG}",
        "/w/published0000000",
        f"/w/{HOSTILE}",
        f"/?after={HOSTILE}",
        "/docs",
    ):
        page = get(site, path, accept_language=HOSTILE)
        parser = Inline()
        parser.feed(page.text)
        assert parser.found == [], path
        assert parser.titles == 1, path
        assert "<script>alert" not in page.text, path


@pytest.mark.parametrize("path", ["/", f"/w/{SLUG}", f"/e/{SLUG}", "/w/nothing", "/docs", "/docs/quickstart"])
def test_pages_run_and_load_nothing_but_ours(site: Site, path: str) -> None:
    page = get(site, path)
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["style-src"] == "'self'"
    assert "unsafe" not in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "strict-origin-when-cross-origin"
    framed = path.startswith("/e/")
    assert policy["frame-ancestors"] == ("*" if framed else "'none'")
    assert ("x-frame-options" in page.headers) is not framed


# --- the start page ---------------------------------------------------------------------------------------------------
def test_the_start_page_says_what_runs_here_and_how_to_begin(site: Site) -> None:
    text = get(site, "/").text
    assert 'curl "http://127.0.0.1/api/iqiyi/authorize?client_id=$CLIENT_ID&amp;client_secret=$CLIENT_SECRET"' in text
    assert "http://127.0.0.1/openupload" in text
    assert "Version 0." in text
    assert f'href="/w/{SLUG}"' in text


def test_the_start_page_shows_only_what_anybody_may_see(site: Site) -> None:
    site.works.add(work("hidden0000000000", state="reviewing", title="Not for you"))
    assert "Not for you" not in get(site, "/").text


def test_the_start_page_can_be_paged_to_the_oldest_work(site: Site) -> None:
    site.works.works.clear()
    slugs = [f"work{number:012}" for number in range(60)]
    site.works.add(*(work(slug) for slug in slugs))
    seen: list[str] = []
    path = "/"
    for _ in range(5):
        text = get(site, path).text
        seen += re.findall(r'<a href="/w/(\w+)">', text)
        following = re.search(r'rel="next" href="([^"]+)"', text)
        if not following:
            break
        path = following[1]
    assert seen == slugs[::-1]


def test_an_empty_server_invites_to_begin(site: Site) -> None:
    site.works.works.clear()
    assert "Nothing has been published yet" in get(site, "/").text


# --- documents, static files ------------------------------------------------------------------------------------------
def test_the_documents_come_with_the_server(site: Site) -> None:
    contents = get(site, "/docs").text
    names = re.findall(r'href="/docs/([^"]+)"', contents)
    assert "quickstart" in names
    for name in names:
        page = get(site, f"/docs/{name}")
        assert page.status_code == 200
        assert "<h1" in page.text


def test_a_folder_of_documents_is_reached_with_and_without_its_slash(site: Site) -> None:
    answer = get(site, "/docs/operating")
    assert answer.status_code == 307
    assert answer.headers["location"] == "/docs/operating/"


def test_assets_are_compressed_and_cached_for_ever(site: Site) -> None:
    script = re.search(r'src="(/static/[^"]+)"', get(site, f"/w/{SLUG}").text)
    assert script
    for accepted, coding in (("gzip, deflate, br", "br"), ("gzip", "gzip"), ("identity", None)):
        answer = get(site, script[1], accept_encoding=accepted)
        assert answer.status_code == 200
        assert answer.headers.get("content-encoding") == coding
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-type"].startswith("text/javascript")
    assert get(site, "/static/../routes.py").status_code == 404
    assert get(site, "/static/manifest.json.br").status_code == 404


def test_icon_and_robots(site: Site) -> None:
    for path in ("/favicon.svg", "/favicon.ico"):
        assert get(site, path).headers["content-type"] == "image/svg+xml"
    assert "Disallow: /media/" in get(site, "/robots.txt").text
