"""The whole way, from authorisation to a picture, as each kind of client that was seen goes it."""

import hashlib
import subprocess
from collections.abc import Callable
from typing import Any

import m3u8
import pytest

from tests.support.fixtures import ffmpeg, make_clip
from tests.support.openstage_server import OpenstageServer
from tests.support.video_session import PUBLISH_SECONDS, Session
from tests.support.waiting import wait_for


def with_headers_and_multipart(session: Session, content: bytes) -> str:
    """The document's way: header parameters, inclusive ranges, metadata before finish."""
    opened = session.http.get(
        "/openupload", headers={"access_token": session.token, "filetype": "mp4", "filesize": str(len(content))}
    ).json()
    file_id: str = opened["data"]["file_id"]
    session.describe(file_id)
    step = len(content) // 3 + 1
    for start in range(0, len(content), step):
        piece = content[start : start + step]
        reply = session.http.post(
            opened["data"]["upload_url"],
            headers={
                "file_id": file_id,
                "file_size": str(len(content)),
                "range": f"{start}-{start + len(piece) - 1}",
            },
            files={"file": ("piece", piece)},
        )
        assert reply.json() == {
            "code": "A00000",
            "range_md5": hashlib.md5(piece, usedforsecurity=False).hexdigest(),
            "file_range_accepted": len(piece),
            "file_id": file_id,
        }
    finish = {"access_token": session.token, "file_id": file_id, "range_finished": "true"}
    assert session.http.post("/uploadfinish", headers=finish).json() == {"code": "A00000"}
    return file_id


def with_raw_bodies_and_exclusive_ends(session: Session, content: bytes) -> str:
    """The way of a mobile kit: raw bodies named as forms, exclusive ends, metadata after finish."""
    query = {"access_token": session.token, "role": "1", "filetype": "mp4", "filesize": str(len(content))}
    file_id: str = session.http.get("/openupload", params=query).json()["data"]["file_id"]
    step = 50_000
    for start in range(0, len(content), step):
        piece = content[start : start + step]
        last = start + len(piece) == len(content)
        reply = session.http.post(
            "/upload",
            headers={
                "file_id": file_id,
                "file_size": str(len(content)),
                "range": f"{start}-{start + len(piece) - (1 if last else 0)}",
                "content-type": "application/x-www-form-urlencoded",
            },
            content=piece,
        )
        assert reply.json()["file_range_accepted"] == len(piece)
    finish = {"access_token": session.token, "file_id": file_id, "range_finished": "true"}
    assert session.http.get("/uploadfinish", params=finish).json() == {"code": "A00000"}
    assert session.call("/api/file/fullStatus", file_id=file_id)["code"] == "A00004"
    session.describe(file_id)
    return file_id


def with_everything_as_multipart_fields(session: Session, content: bytes) -> str:
    """The way of a browser kit: all parameters as fields, one piece `0-<file_size>`, finish through `upload_url`."""

    def fields(**values: str) -> dict[str, tuple[None, str]]:
        return {name: (None, value) for name, value in values.items()}

    size = str(len(content))
    opened = session.http.post(
        "/openupload?type=body", files=fields(access_token=session.token, filetype="mp4", filesize=size)
    ).json()
    file_id: str = opened["data"]["file_id"]
    session.describe(file_id)
    piece: dict[str, Any] = {**fields(file_id=file_id, file_size=size, range=f"0-{size}"), "upload": ("a.mp4", content)}
    assert session.http.post("/upload?type=body", files=piece).json()["code"] == "A00000"
    finish = fields(access_token=session.token, file_id=file_id, range_finished="true")
    reply = session.http.post(opened["data"]["upload_url"], files=finish)
    assert (reply.status_code, reply.json()) == (202, {"code": "A00000", "file_id": file_id})
    return file_id


@pytest.mark.parametrize(
    "upload",
    [with_headers_and_multipart, with_raw_bodies_and_exclusive_ends, with_everything_as_multipart_fields],
)
def test_what_is_uploaded_plays(
    openstage: OpenstageServer, session: Session, upload: Callable[[Session, bytes], str]
) -> None:
    content = make_clip("mp4", size="640x360", duration=3).read_bytes()
    file_id = upload(session, content)
    data = session.whole(file_id)

    assert data["urllist"]["m3u8"].keys() == {"96", "1", "2"}
    assert data["urllist"]["mp4"].keys() == {"1", "2"}
    for address in (data["img"], data["thumbnail"]):
        picture = session.http.get(address)
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/jpeg")
    for address in (*data["urllist"]["m3u8"].values(), *data["urllist"]["mp4"].values()):
        assert decode(address) == pytest.approx(3, abs=0.15)
    playlist = m3u8.loads(session.http.get(data["urllist"]["m3u8"]["2"]).text)
    assert playlist.playlists[0].stream_info.resolution == (640, 360)

    (listed,) = session.call("/api/file/videoListForExternal")["data"]
    # Each of the five addresses was played once, however many requests that took.
    assert (listed["duration"], listed["fileSize"], listed["playCount"]) == (3, len(content), 5)
    assert session.http.get(listed["pageUrl"]).status_code == 200
    original = next(openstage.data.glob(f"objects/works/{file_id}/original*"))
    assert original.read_bytes() == content


def test_what_isnt_a_video_fails_with_a_reason(session: Session) -> None:
    file_id = with_everything_as_multipart_fields(session, b"Dear diary, today I was no video.\n" * 100)

    def failed() -> Any:
        reply = session.call("/api/file/fullStatus", file_id=file_id)
        return reply if reply["code"] == "A00007" else None

    reply = wait_for(failed, within=PUBLISH_SECONDS, what="failure", every=0.1)
    assert "text" in reply["msg"].lower()
    assert session.call("/api/file/count")["data"]["count"] == 0


def test_an_expired_or_altered_address_is_refused(session: Session) -> None:
    content = make_clip("mp4", size="320x180", duration=1).read_bytes()
    address = session.whole(with_headers_and_multipart(session, content))["urllist"]["mp4"]["1"]
    assert session.http.get(address, params={"ip": "1.2.3.4", "cb": "x"}).status_code == 200
    head, _, tail = address.partition("/media/")
    token, _, rest = tail.partition("/")
    altered = f"{head}/media/{token[:-1]}{'A' if token[-1] != 'A' else 'B'}/{rest}"
    reply = session.http.get(altered)
    assert reply.status_code == 403
    assert len(reply.text) > 20


def decode(address: str) -> float:
    """Decode a stream to its end as ffmpeg does, without an error; returns the seconds of its pictures."""
    run = subprocess.run(
        [ffmpeg(), "-v", "error", "-xerror", "-i", address, "-f", "null", "-progress", "pipe:1", "-"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    times = [line.partition("=")[2] for line in run.stdout.splitlines() if line.startswith("out_time_us=")]
    return int(times[-1]) / 1e6
