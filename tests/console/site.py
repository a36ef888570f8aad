"""The pages on a real server, over works that are made up and media that ffmpeg made.

The media stand as static files behind addresses that can be made to expire; `tests/server` shows the real ones.
"""

import asyncio
import contextlib
import datetime as dt
import functools
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route

from openstage.console import Console
from openstage.delivery.events import Events
from openstage.delivery.standing import Standing, Standings
from openstage.settings import Settings
from openstage.works.errors import UnknownWork
from openstage.works.models import PictureKind, Rendition, Work
from openstage.works.stages import STAGES
from openstage.works.visibility import Audience
from tests.support.fixtures import cache_folder, run_ffmpeg
from tests.support.server import serving

NOON = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
DURATION = 12
"""Seconds of the synthesised media."""
SIZES = ((640, 360), (320, 180))


def work(slug: str = "abcdefgh12345678", **changes: object) -> Work:
    """A published work; `changes` are fields of `Work`."""
    values: dict[str, object] = {
        "id": 1,
        "file_id": "0" * 32,
        "slug": slug,
        "app_id": 1,
        "user_id": 1,
        "state": "published",
        "review": "none",
        "reason": "",
        "title": "A walk by the lake",
        "description": "",
        "tags": [],
        "category": None,
        "described_at": NOON,
        "file_size": 1000,
        "duration_ms": DURATION * 1000,
        "step": "",
        "percent": 100.0,
        "play_count": 0,
        "pending": changes.get("state") == "publishing",
        "last_fault": "",
        "run": "run",
        "created_at": NOON,
        "changed_at": NOON,
        "published_at": NOON,
        "deleted_at": None,
        "purged_at": None,
        "pictures": ["img", "original", "thumbnail"],
    }
    return Work(**{**values, **changes})  # type: ignore[arg-type]


def video_rendition(width: int = 640, height: int = 360) -> Rendition:
    """A rung of the ladder as the database tells of it."""
    return Rendition(1, "hls_video", "2", True, width, height, 25.0, "avc1.64001e", 600_000, 500_000, 8000, 1000, "k")


@dataclass
class FakeWorks:
    """Works in memory. `works` and `sizes` may be changed while the server runs."""

    works: dict[str, Work] = field(default_factory=dict)
    sound_only: set[str] = field(default_factory=set)
    undecodable: set[str] = field(default_factory=set)
    """Those whose playlist names a codec that no browser knows."""
    size: tuple[int, int] = (640, 360)

    def add(self, *works: Work) -> None:
        """Add works, or put others of the same slug in their place."""
        self.works |= {work.slug: work for work in works}

    async def by_slug(self, slug: str) -> Work:
        """As `Works.by_slug`."""
        if slug not in self.works:
            raise UnknownWork
        return self.works[slug]

    async def latest(self, limit: int = 24, *, after: str | None = None) -> Sequence[Work]:
        """As `Works.latest`; newest first is the order in which they were added, reversed."""
        published = [work for work in reversed(self.works.values()) if work.visible]
        slugs = [work.slug for work in published]
        begin = 0 if after is None else slugs.index(after) + 1 if after in slugs else len(slugs)
        return published[begin : begin + limit]

    async def renditions(self, work_id: int) -> Sequence[Rendition]:
        """As `Works.renditions`."""
        quiet = any(work.id == work_id and work.slug in self.sound_only for work in self.works.values())
        return [] if quiet else [video_rendition(*self.size)]


class FakeStandings(Standings):
    """How the works in memory stand; whoever watches them is told as by the real one."""

    def __init__(self, works: FakeWorks) -> None:
        self.works = works
        self._look_every = 0.05
        self._watched = {}
        self._watch = None
        self._ended = False

    async def now(self, slug: str) -> Standing | None:
        """As `Standings.now`."""
        work = self.works.works.get(slug)
        if work is None:
            return None
        settled = not work.pending and work.state not in {"uploading", "waiting"}
        mark = "mark" if work.visible else ""
        stage = STAGES[work.state]
        return Standing(stage, work.state, work.step, work.percent, work.notice, settled=settled, mark=mark)


@dataclass
class FakeAddresses:
    """Addresses whose token is a counter; `expire()` makes those given so far answer 403."""

    base: str = ""
    given: int = 0
    valid_from: int = 0

    def master(self, slug: str) -> str:
        """A fresh address of the master playlist."""
        self.given += 1
        return f"{self.base}/media/{self.given}/{slug}/master.m3u8"

    def storyboard(self, slug: str) -> str:
        """An address of the pictures above the seek bar."""
        return f"{self.base}/media/picture/{slug}/storyboard.vtt"

    def to(self, audience: Audience) -> "FakeAddresses":
        """As `Addresses.to`: here all see the same."""
        return self

    async def urllist(self, slug: str) -> dict[str, dict[str, str]]:
        """As `Addresses.urllist`: no files."""
        return {"mp4": {}, "m3u8": {}}

    def share(self, share_id: str) -> str:
        """The address of a recording's page."""
        return f"{self.base}/s/{share_id}"

    def recording(self, slug: str, share_id: str) -> str:
        """The address that plays a recording."""
        return f"{self.base}/play/{share_id}"

    def waveform(self, slug: str) -> str:
        """An address of a waveform."""
        return f"{self.base}/media/picture/{slug}/waveform.json"

    def picture(self, slug: str, kind: PictureKind) -> str:
        """An address of a picture."""
        return f"{self.base}/media/picture/{slug}/{kind}.jpg"

    def page(self, slug: str) -> str:
        """The address of the watch page."""
        return f"{self.base}/w/{slug}"

    def embed(self, slug: str) -> str:
        """The address of the embeddable player."""
        return f"{self.base}/e/{slug}"

    def expire(self) -> None:
        """From now on the addresses given so far are refused."""
        self.valid_from = self.given + 1


@dataclass
class Site:
    """A running server; `address` has no slash at its end."""

    address: str
    works: FakeWorks
    standings: FakeStandings
    addresses: FakeAddresses
    asked: list[str]
    """Paths under /media/ that were asked for, in order."""

    def rungs_asked(self) -> list[str]:
        """Sizes of the video segments asked for so far, such as `360`."""
        return [path.split("/")[-2] for path in self.asked if path.endswith(".m4s") and "/a/" not in path]


@functools.cache
def media_folder() -> Path:
    """HLS as the server makes it: fMP4, two rungs, the sound as a group of its own, 4 s segments; and a picture."""
    folder = cache_folder() / "console-hls-2"
    if folder.is_dir():
        return folder
    made = Path(tempfile.mkdtemp(dir=cache_folder()))
    moving = f"testsrc2=size=640x360:rate=25:duration={DURATION}"
    sound = f"sine=frequency=440:duration={DURATION}"
    hls = ["-f", "hls", "-hls_time", "4", "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4"]
    hls += ["-hls_fmp4_init_filename", "init.mp4", "-hls_segment_filename", "%05d.m4s", "index.m3u8"]
    for width, height in SIZES:
        run_ffmpeg(
            *["-f", "lavfi", "-i", f"{moving},scale={width}:{height}"],
            *["-c:v", "libx264", "-preset", "ultrafast", "-g", "100", "-sc_threshold", "0", "-pix_fmt", "yuv420p"],
            *hls,
            folder=_made(made / str(height)),
        )
    run_ffmpeg(
        *["-f", "lavfi", "-i", sound, "-c:a", "aac", "-b:a", "64k"],
        *hls,
        folder=_made(made / "a"),
    )
    run_ffmpeg("-f", "lavfi", "-i", moving, "-frames:v", "1", str(made / "img.jpg"))
    group = '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="sound",DEFAULT=YES,AUTOSELECT=YES,URI="a/index.m3u8"\n'
    head = "#EXTM3U\n#EXT-X-VERSION:7\n"
    rungs = "".join(
        f"#EXT-X-STREAM-INF:BANDWIDTH={height * 2000},RESOLUTION={width}x{height},"
        f'CODECS="avc1.42c01e,mp4a.40.2",AUDIO="a"\n{height}/index.m3u8\n'
        for width, height in SIZES
    )
    (made / "master.m3u8").write_text(head + group + rungs)
    (made / "sound.m3u8").write_text(f'{head}#EXT-X-STREAM-INF:BANDWIDTH=70000,CODECS="mp4a.40.2"\na/index.m3u8\n')
    with contextlib.suppress(OSError):  # another test process was first
        made.rename(folder)
    shutil.rmtree(made, ignore_errors=True)
    return folder


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@contextlib.contextmanager
def running_site(*works: Work, sound_only: Sequence[str] = (), size: tuple[int, int] = (640, 360)) -> Iterator[Site]:
    """Serve the pages with these works from a thread of its own."""
    fake = FakeWorks(size=size, sound_only=set(sound_only))
    fake.add(*works)
    site = Site("", fake, FakeStandings(fake), FakeAddresses(), [])
    up, ended = threading.Event(), threading.Event()
    faults: list[BaseException] = []

    async def serve() -> None:
        # The address isn't known before the server runs: relative media addresses do as well.
        async with serving(_application(site)) as site.address:
            up.set()
            await asyncio.to_thread(ended.wait)
            site.standings.end()

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
        yield site
    finally:
        ended.set()
        thread.join(20)


def _application(site: Site) -> Starlette:
    settings = Settings(public_url="http://127.0.0.1")
    console = Console(site.works, site.addresses, site.standings, settings)
    folder = media_folder()

    async def media(request: Request) -> Response:
        token, slug, path = (request.path_params[name] for name in ("token", "slug", "path"))
        site.asked.append(request.url.path)
        if token != "picture" and int(token) < site.addresses.valid_from:
            return PlainTextResponse("expired", 403)
        if token == "picture":
            path = "img.jpg"
        elif path == "master.m3u8" and slug in site.works.sound_only:
            path = "sound.m3u8"
        kinds = {".m3u8": "application/vnd.apple.mpegurl", ".jpg": "image/jpeg"}
        content = (folder / path).read_bytes()
        if slug in site.works.undecodable:
            content = content.replace(b"avc1.", b"xxx1.")
        return Response(content, media_type=kinds.get(Path(path).suffix, "video/mp4"))

    async def ready(_: Request) -> Response:
        return JSONResponse({"ready": True})

    async def framing(request: Request) -> Response:
        return HTMLResponse(f'<iframe src="{request.query_params["src"]}" width="640" height="360" allow="autoplay">')

    async def not_found(request: Request, _: Exception) -> Response:
        return console.not_found(request)

    routes: list[Route | Mount] = [
        *Events(site.standings).routes(),
        *console.routes,
        Route("/media/{token}/{slug}/{path:path}", media),
        Route("/readyz", ready),
        Route("/test/framing", framing),
    ]
    cors = Middleware(CORSMiddleware, allow_origins=["*"])
    return Starlette(routes=routes, middleware=[cors], exception_handlers={HTTPException: not_found, 404: not_found})
