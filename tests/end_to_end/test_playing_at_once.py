"""A work plays the moment its upload ends, in any format, and everything better arrives behind it."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from openstage.database.embedded import running_database
from openstage.settings import Settings
from tests.conftest import free_port
from tests.end_to_end.test_flows import decode
from tests.support import hls
from tests.support.fixtures import make_clip
from tests.support.openstage_server import OpenstageServer, running_openstage
from tests.support.video_session import PUBLISH_SECONDS, Session
from tests.support.waiting import wait_for

SECONDS = 9
"""With chunks of four seconds that makes three of them, so there are seams."""
FRAME = 1 / 25
PACKET = 1024 / 44100


@dataclass(frozen=True)
class Case:
    """A file, and what becomes of it: playlists and files in the end, by quality; and which one grew first."""

    make: Callable[[], Path]
    playlists: frozenset[str]
    first: str
    copied: bool
    files: frozenset[str] = frozenset({"1", "2"})
    video: bool = True


def clip(container: str, vcodec: str | None, acodec: str, **options: Any) -> Callable[[], Path]:
    return lambda: make_clip(container, vcodec, acodec, size="426x240", duration=SECONDS, **options)


SMALL = frozenset({"96", "1"})
MODEST = ("-maxrate", "300k", "-bufsize", "300k")
CASES = {
    # As small as a rung of the ladder: it is that rung.
    "h264-mp4": Case(clip("mp4", "h264", "aac", extra=MODEST), SMALL, "1", copied=True),
    # Too fat for one: offered until its rung is there, under that rung's name.
    "h264-mp4-moov-last": Case(clip("mp4", "h264", "aac", moov="end", pattern="noise"), SMALL, "1", copied=True),
    "h264-ts": Case(clip("ts", "h264", "aac", extra=MODEST), SMALL, "1", copied=True),
    "hevc-mkv": Case(clip("mkv", "hevc", "aac"), SMALL, "1", copied=False),
    "vp9-webm": Case(clip("webm", "vp9", "opus"), SMALL, "1", copied=False),
    "mpeg4-avi": Case(clip("avi", "mpeg4", "mp3"), SMALL, "1", copied=False),
    "flac": Case(clip("flac", None, "flac"), frozenset({"96"}), "96", copied=False, video=False),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenstageServer]:
    """A server that cuts even short films into chunks."""
    folder = tmp_path_factory.mktemp("playing") / "data"
    with running_openstage(folder, free_port(), chunk_seconds="4") as server:
        yield server


@pytest.fixture(scope="module")
def session(server: OpenstageServer) -> Iterator[Session]:
    with Session(server) as session:
        yield session


@dataclass
class Upload:
    """One upload of the video dialect."""

    session: Session
    content: bytes
    file_id: str = ""

    @classmethod
    def open(cls, session: Session, path: Path) -> "Upload":
        """Open it and describe the video."""
        content = path.read_bytes()
        query = {"access_token": session.token, "filetype": path.suffix[1:], "filesize": str(len(content))}
        file_id = session.http.get("/openupload", params=query).json()["data"]["file_id"]
        session.describe(file_id)
        return cls(session, content, file_id)

    def send(self, start: int, end: int) -> None:
        """Send the bytes from `start` until before `end`."""
        headers = {"file_id": self.file_id, "file_size": str(len(self.content)), "range": f"{start}-{end - 1}"}
        reply = self.session.http.post("/upload", headers=headers, content=self.content[start:end])
        assert reply.json()["code"] == "A00000", reply.text

    def finish(self) -> None:
        """End it."""
        query = {"access_token": self.session.token, "file_id": self.file_id, "range_finished": "true"}
        assert self.session.http.get("/uploadfinish", params=query).json() == {"code": "A00000"}

    def status(self) -> Any:
        """Tell how the video stands."""
        return self.session.call("/api/file/fullStatus", file_id=self.file_id)

    def offered(self) -> dict[str, Any]:
        """Wait until it can be played; returns `data` of the first status that says so."""

        def look() -> Any:
            status = self.status()
            assert status["code"] in {"A00000", "A00001", "A00004"}, status
            return status["data"] if status["code"] == "A00000" else None

        data: dict[str, Any] = wait_for(look, within=PUBLISH_SECONDS, what="the offer")
        return data

    def page(self) -> dict[str, Any]:
        """Tell what the watch page is told."""
        data: dict[str, Any] = self.session.http.get(f"/w/{slug_of(self.status()['data'])}/play").json()
        return data

    def whole(self) -> dict[str, Any]:
        """Wait until nothing more is made; returns what the watch page is told."""
        wait_for(lambda: self.page()["settled"], within=PUBLISH_SECONDS, what="the whole ladder", every=0.1)
        return self.page()


def slug_of(data: dict[str, Any]) -> str:
    slug: str = data["swfurl"].rpartition("/")[2]
    return slug


@contextlib.contextmanager
def rows_of(server: OpenstageServer) -> "Iterator[psycopg.Connection[tuple[Any, ...]]]":
    """The server's database."""
    with (
        running_database(Settings(data=server.data)) as address,
        psycopg.connect(address, autocommit=True) as connection,
    ):
        yield connection


@pytest.mark.parametrize("name", CASES)
def test_it_plays_before_the_ladder_is_made_and_becomes_whole(session: Session, name: str) -> None:
    case = CASES[name]
    path = case.make()
    upload = Upload.open(session, path)
    upload.send(0, len(upload.content))
    upload.finish()
    data = upload.offered()

    # What is offered plays at once, while everything else is still to be made.
    http = session.http
    assert not upload.page()["settled"]
    assert data["urllist"]["m3u8"].keys() == {case.first}
    assert not data["urllist"]["mp4"]
    (variant,) = hls.variants(http, data["urllist"]["m3u8"][case.first])
    growing = [hls.media_playlist(http, address) for address in (variant.address, variant.sound) if address]
    for playlist in growing:
        assert playlist.parsed.playlist_type == "event"
        assert "#EXT-X-START:TIME-OFFSET=0,PRECISE=YES" in playlist.text
        first = hls.decode_entry(http, playlist, 0)
        assert first.begin == pytest.approx(0, abs=FRAME)

    page = upload.whole()
    data = upload.status()["data"]
    assert data["urllist"]["m3u8"].keys() == case.playlists
    assert data["urllist"]["mp4"].keys() == case.files
    for address in (*data["urllist"]["m3u8"].values(), *data["urllist"]["mp4"].values()):
        assert decode(address) == pytest.approx(SECONDS, abs=0.15)
    check_master(session, page["master"], hls.frame_count(path) if case.video else None)
    # Who began with the first rendition goes on with it: lines were added to its playlists, none was changed.
    for before in growing:
        after = hls.media_playlist(http, before.address)
        assert after.whole
        assert after.text.startswith(before.text.removesuffix("#EXT-X-ENDLIST\n"))
        assert after.seconds == pytest.approx(SECONDS, abs=0.15)


def check_master(session: Session, master: str, frames: int | None) -> None:
    """Hold every entry of all playlists of a whole work against its bytes."""
    rungs = hls.variants(session.http, master)
    boundaries = set()
    for rung in rungs:
        picture = hls.media_playlist(session.http, rung.address)
        assert picture.whole
        entries = hls.check_entries(session.http, picture, frame=(FRAME if frames else PACKET) * 1.01)
        codecs = [entry.codec for entry in entries]
        if frames:
            assert sum(entry.frames for entry in entries) == frames
            assert {entry.size for entry in entries} == {rung.resolution}
            assert all(entry.keyframes >= 1 for entry in entries)
            boundaries.add(tuple(round(entry.begin, 2) for entry in entries))
        if rung.sound:
            sound = hls.media_playlist(session.http, rung.sound)
            assert sound.whole
            codecs += [entry.codec for entry in hls.check_entries(session.http, sound, frame=PACKET * 1.01)]
        assert set(codecs) == set(rung.codecs)
    assert len({rung.sound for rung in rungs}) == 1, "all rungs share one sound"


@pytest.mark.parametrize(("container", "vcodec"), [("mp4", "h264"), ("ts", "h264"), ("mkv", "hevc")])
def test_segments_are_made_while_bytes_arrive(
    server: OpenstageServer, session: Session, container: str, vcodec: str
) -> None:
    # Several megabytes: of less there is nothing to be begun with before the end.
    upload = Upload.open(session, clip(container, vcodec, "aac", pattern="noise", extra=("-b:v", "4M", "-g", "50"))())
    size = len(upload.content)
    most = size - size // 8
    for start in range(0, most, 64 * 1024):
        upload.send(start, min(start + 64 * 1024, most))

    query = (
        "select kind, quality, rendition.key, segment.key from segment"
        " join rendition on rendition.id = rendition_id join work on work.id = work_id"
        " where file_id = %s order by kind, number"
    )
    with rows_of(server) as database:

        def rows() -> list[tuple[Any, ...]]:
            return database.execute(query, (upload.file_id,)).fetchall()

        wait_for(
            lambda: {kind for kind, *_ in rows()} == {"hls_video", "hls_audio"},
            within=PUBLISH_SECONDS,
            what="segments of an upload that isn't finished",
        )
        early = rows()
        # Nobody sees them yet.
        status = upload.status()
        assert status["code"] == "A00004"
        assert status["data"]["urllist"] == {"mp4": {}, "m3u8": {}}
        upload.send(most, size)
        upload.finish()
        upload.offered()
        assert {*early} <= {*rows()}, "what was made early is what plays"
        session.call("/api/file/delete", delete_type="1", file_ids=upload.file_id)  # nobody needs its ladder


def test_everything_around_a_film_is_made(session: Session) -> None:
    upload = Upload.open(session, make_clip("mp4", size="426x240", duration=SECONDS))
    upload.send(0, len(upload.content))
    upload.finish()
    upload.offered()
    page = upload.whole()
    http = session.http

    cues = http.get(page["storyboard"]).text.split("\n\n")[1:]
    assert cues[0].startswith("00:00:00.000 --> ")
    assert f"--> 00:00:{SECONDS:02}.0" in cues[-1]
    sheet, _, where = cues[-1].splitlines()[1].partition("#xywh=")
    left, top, width, height = map(int, where.split(","))
    across, down = hls.picture_size(http.get(sheet).content)
    assert left + width <= across
    assert top + height <= down
    waveform = http.get(page["waveform"]).json()
    assert (waveform["version"], waveform["sample_rate"]) == (2, 44100)
    assert len(waveform["data"]) == 2 * waveform["length"] * waveform["channels"]
    for kind in ("img", "thumbnail"):
        assert hls.picture_size(http.get(upload.status()["data"][kind]).content)[0] > 0


def test_sound_alone_has_mp3_files_and_a_waveform(session: Session) -> None:
    upload = Upload.open(session, make_clip("flac", None, "flac", duration=SECONDS))
    upload.send(0, len(upload.content))
    upload.finish()
    upload.offered()
    page = upload.whole()
    mp3 = upload.status()["data"]["urllist"]["mp3"]
    assert mp3.keys() == {"1", "2"}
    for address in mp3.values():
        assert session.http.get(address).headers["content-type"] == "audio/mpeg"
        assert decode(address) == pytest.approx(SECONDS, abs=0.1)
    assert session.http.get(page["waveform"]).json()["version"] == 2
    assert page["storyboard"] is None


def test_review_before_publication_hides_what_reviewers_see_at_once(tmp_path: Path) -> None:
    with running_openstage(tmp_path / "data", free_port(), review="before") as server, Session(server) as session:
        upload = Upload.open(session, make_clip("mkv", "hevc", "aac", size="426x240", duration=SECONDS))
        upload.send(0, len(upload.content))
        upload.finish()
        listed = wait_for(lambda: server.command("review", "list"), within=PUBLISH_SECONDS, what="the review")
        (work,) = listed
        assert decode(work["addresses"]["m3u8"]) > 0
        status = upload.status()
        assert status["code"] == "A00001"
        assert status["data"]["urllist"] == {"mp4": {}, "m3u8": {}}
        server.command("review", "approve", upload.file_id)
        upload.offered()
        upload.whole()
        server.command("review", "refuse", upload.file_id, "--reason", "Not that.")
        assert upload.status()["code"] == "A00002"
