"""The demonstration's parts: what it says when something is not as it should be."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from openstage.demo.playback import Fetched, PlaybackError, begin, decode
from openstage.demo.server import NoServerError, answers, listen_url, running_server
from openstage.settings import Settings
from tests.client.fake_cloud import FakeCloud
from tests.support.fixtures import make_clip, run_ffmpeg

MASTER = '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,URI="a/a.m3u8"\n#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"\nv/v.m3u8\n'
MEDIA = '#EXTM3U\n#EXT-X-MAP:URI="init.mp4"\n#EXTINF:4.0,\n0.m4s\n#EXTINF:2.5,\n1.m4s\n#EXT-X-ENDLIST\n'


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A folder on a free port."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Playlists and parts as a server has them."""
    (tmp_path / "master.m3u8").write_text(MASTER)
    for kind in "av":
        folder = tmp_path / kind
        folder.mkdir()
        (folder / f"{kind}.m3u8").write_text(MEDIA)
        for name in ("init.mp4", "0.m4s", "1.m4s"):
            (folder / name).write_bytes(b"0123456789")
    return tmp_path


def test_a_player_begins_with_playlists_and_first_parts(published: Path) -> None:
    with serving(published) as url:
        fetched = begin(f"{url}/master.m3u8")
    assert fetched == Fetched(3, 4, len(MASTER) + 2 * len(MEDIA) + 40, 6.5)


@pytest.mark.parametrize("missing", ["master.m3u8", "a/a.m3u8", "v/init.mp4", "v/0.m4s"])
def test_a_part_that_is_missing_is_named(missing: str, published: Path) -> None:
    (published / missing).unlink()
    with serving(published) as url, pytest.raises(PlaybackError, match=rf"{missing}: HTTP 404"):
        begin(f"{url}/master.m3u8")


def test_what_is_no_playlist_is_an_error(published: Path) -> None:
    with serving(published) as url:
        for name, text in (("page", "<html>"), ("empty", "#EXTM3U\n")):
            (published / name).write_text(text)
            with pytest.raises(PlaybackError, match=r"not a playlist|nothing to play"):
                begin(f"{url}/{name}")


def test_decoding_tells_how_much_there_is_and_what_is_broken(tmp_path: Path) -> None:
    clip = make_clip(size="160x90", duration=1)
    assert decode(str(clip)) == pytest.approx(1.0, abs=0.1)
    run_ffmpeg("-i", str(clip), "-c", "copy", "-f", "mpegts", str(tmp_path / "whole.ts"))
    content = bytearray((tmp_path / "whole.ts").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    (tmp_path / "broken.ts").write_bytes(content)
    with pytest.raises(PlaybackError, match="does not decode"):
        decode(str(tmp_path / "broken.ts"))


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("[::]:80", "http://[::1]:80"),
        ("[fe80::1]:80", "http://[fe80::1]:80"),
        ("host:1", "http://host:1"),
    ],
)
def test_a_server_is_reached_where_it_listens(listen: str, url: str) -> None:
    assert listen_url(Settings(listen=listen)) == url


def test_only_an_openstage_counts_as_one(published: Path, fake: FakeCloud) -> None:
    (published / "healthz").write_text("<html>")
    with serving(published) as url:
        assert not answers(url)
    assert not answers(fake.address)
    assert not answers("http://127.0.0.1:9")


def test_the_first_apps_credentials_are_found(fake: FakeCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openstage.demo.server._new_app", None)  # no app is made where there is one
    settings = Settings(data=tmp_path)
    (tmp_path / "first-app.json").write_text('{"client_id": "app", "client_secret": "s3cret-of-app"}')
    server = running_server(fake.address, settings, "", "")
    assert (server.client_id, server.client_secret, server.own) == ("app", "s3cret-of-app", False)
    assert "s3cret" not in repr(server)
    with pytest.raises(NoServerError, match=r"set OPENSTAGE_DATA"):
        running_server(fake.address, Settings(data=tmp_path / "elsewhere"), "", "")
