"""A small server of the document, in memory, with faults on demand.

It is strict where the document is: parameters of `openupload`, `upload` and `uploadfinish` only as headers, ranges only
inclusive, and by default no status call of uploads (`status_call=True` adds Openstage's). So it stands for the
documented hosts and for any other server of the same contract.
"""

import contextlib
import hashlib
import json
import re
import secrets
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

Fault = Literal[
    "none",
    "reset",  # the connection breaks before the request is read
    "reset-midway",  # … after half of the body
    "stall",  # nothing is answered, until the server ends
    "lost-reply",  # everything is done, then the connection breaks instead of a reply
    "503",  # with an envelope, as the contract has it for what may pass
    "502-html",  # as a proxy says it
    "413-html",
    "wrong-md5",  # the piece is stored, another digest is reported
    "damaged",  # the piece is stored with a byte changed and reported as such
    "garbage",  # HTTP 200, but not this interface
    "Q00001",
]


@dataclass
class FakeFile:
    """An upload and what became of it."""

    size: int
    file_type: str
    user: str
    state: str = "open"
    content: dict[int, bytes] = field(default_factory=dict)
    """Pieces by their start."""
    metadata: dict[str, str] | None = None
    polls: int = 0

    def whole(self) -> bytes:
        return b"".join(self.content[start] for start in sorted(self.content))

    def received(self) -> list[list[int]]:
        return [[start, start + len(piece) - 1] for start, piece in sorted(self.content.items())]

    def missing(self) -> list[list[int]]:
        gaps, position = [], 0
        for start, last in self.received():
            if start > position:
                gaps.append([position, start - 1])
            position = max(position, last + 1)
        if position < self.size:
            gaps.append([position, self.size - 1])
        return gaps


@dataclass
class Seen:
    """A request as it came."""

    call: str
    query: dict[str, str]
    headers: dict[str, str]
    body: int


class Refusal(Exception):
    def __init__(self, code: str, msg: str = "", data: dict[str, Any] | None = None) -> None:
        self.reply = {"code": code, "msg": msg} | ({} if data is None else {"data": data})


class FakeCloud:
    """The server's state; `serving_cloud()` puts it on a port."""

    def __init__(self, *, status_call: bool = False) -> None:
        self.status_call = status_call
        self.address = ""
        self.apps = {"app": "s3cret-of-app"}
        self.life = 3600
        self.tokens: dict[str, tuple[float, str]] = {}
        self.refresh_tokens: dict[str, str] = {}
        self.files: dict[str, FakeFile] = {}
        self.seen: list[Seen] = []
        self.faults: list[tuple[str, Fault]] = []
        self.publishing = ["A00001", "A00001", "A00000"]
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.most_at_once = 0
        self.stalled = 0
        self.now_at_once = 0

    def fail(self, call: str, fault: Fault, times: int = 1) -> None:
        """Let the next requests of a call meet a fault."""
        self.faults += [(call, fault)] * times

    def next_fault(self, call: str) -> Fault | None:
        with self.lock:
            for number, (wanted, fault) in enumerate(self.faults):
                if wanted == call:
                    del self.faults[number]
                    return fault
        return None

    def calls(self) -> Counter[str]:
        return Counter(each.call for each in self.seen)

    def bytes_sent(self) -> int:
        return sum(each.body for each in self.seen if each.call == "upload")

    def expire_tokens(self) -> None:
        """Let all access tokens end now, whatever was promised."""
        self.tokens = {token: (0.0, user) for token, (_, user) in self.tokens.items()}

    def the_file(self) -> FakeFile:
        [file] = [file for file in self.files.values() if file.state != "cancelled"]
        return file

    # --- calls ------------------------------------------------------------------------------------------------

    def issue(self, user: str) -> dict[str, Any]:
        access, refresh = f"2.{secrets.token_hex(16)}", secrets.token_hex(16)
        self.tokens[access] = (time.time() + self.life, user)
        self.refresh_tokens[refresh] = user
        return {"access_token": access, "expires_in": self.life, "refresh_token": refresh}

    def user_of(self, token: str | None) -> str:
        if token not in self.tokens:
            raise Refusal("A21332", f"no such token: {token}")
        until, user = self.tokens[token]
        if time.time() > until:
            raise Refusal("A21327", "expired")
        return user

    def answer(self, path: str, query: dict[str, str], headers: dict[str, str], body: bytes) -> dict[str, Any]:
        call = path.rpartition("/")[2]
        handler = getattr(self, f"do_{call}", None)
        if handler is None or (call == "uploadstatus" and not self.status_call):
            raise LookupError(path)
        if call == "authorize":
            query = {**query, "_realm": path.split("/")[2]}
        with self.lock:
            reply: dict[str, Any] = handler(query, headers, body)
        return reply

    def do_authorize(self, query: dict[str, str], _headers: dict[str, str], _body: bytes) -> dict[str, Any]:
        if self.apps.get(query.get("client_id", "")) != query.get("client_secret"):
            raise Refusal("A21324", f"wrong secret {query.get('client_secret')}")
        user = f"{query['_realm']}:{query.get('uid', '')}{query.get('ouid', '')}{query.get('nick', '')}"
        return {"code": "A00000", "data": self.issue(user)}

    def do_token(self, query: dict[str, str], _headers: dict[str, str], _body: bytes) -> dict[str, Any]:
        user = self.refresh_tokens.pop(query["refresh_token"], None)
        if user is None or query["grant_type"] != "refresh_token" or query["client_id"] not in self.apps:
            raise Refusal("A21325", "no such refresh token")
        return self.issue(user)  # flat, as the document has it

    def do_openupload(self, _query: dict[str, str], headers: dict[str, str], _body: bytes) -> dict[str, Any]:
        user = self.user_of(headers.get("access_token"))
        if not headers.get("filesize", "").isdigit():
            raise Refusal("A00010")
        file_id = secrets.token_hex(16)
        self.files[file_id] = FakeFile(int(headers["filesize"]), headers.get("filetype", ""), user)
        return {"code": "A00000", "data": {"file_id": file_id, "upload_url": f"{self.address}/upload"}}

    def do_upload(self, _query: dict[str, str], headers: dict[str, str], body: bytes) -> dict[str, Any]:
        file = self.files.get(headers.get("file_id", ""))
        if file is None or file.state != "open":
            raise Refusal("A00005", "unknown file_id")
        if boundary := re.search(r"boundary=(\w+)", headers.get("content-type", "")):
            body = body.split(b"\r\n\r\n", 1)[1].rsplit(f"\r\n--{boundary[1]}--".encode(), 1)[0]
        start, last = map(int, headers["range"].split("-"))
        if last - start + 1 != len(body) or last >= file.size or int(headers["file_size"]) != file.size:
            raise Refusal("A00010", f"range {headers['range']} with {len(body)} bytes")
        if file.content.setdefault(start, body) != body:
            raise Refusal("A00010", "differs from what is there")
        digest = hashlib.md5(body).hexdigest()
        return {
            "code": "A00000", "range_md5": digest, "file_range_accepted": len(body), "file_id": headers["file_id"],
        }  # fmt: skip

    def do_uploadstatus(self, query: dict[str, str], _headers: dict[str, str], _body: bytes) -> dict[str, Any]:
        file = self.own(query, query["access_token"], "A00005")
        data = {"file_id": query["file_id"], "file_size": file.size, "state": file.state}
        return {"code": "A00000", "data": {**data, "received": file.received(), "missing": file.missing()}}

    def do_uploadfinish(self, _query: dict[str, str], headers: dict[str, str], _body: bytes) -> dict[str, Any]:
        file = self.own(headers, headers.get("access_token"), "A00005")
        if headers.get("range_finished") != "true":
            raise Refusal("A00010")
        if missing := file.missing():
            raise Refusal("A00010", "bytes are missing", {"missing": missing})
        file.state = "finished"
        return {"code": "A00000"}

    def do_cancelupload(self, _query: dict[str, str], headers: dict[str, str], _body: bytes) -> dict[str, Any]:
        file = self.own(headers, headers.get("access_token"), "A00005")
        if headers.get("status") != "2":
            raise Refusal("A00010")
        file.state = "cancelled"
        return {"code": "A00000"}

    def own(self, given: dict[str, str], token: str | None, unknown: str) -> FakeFile:
        user = self.user_of(token)
        file = self.files.get(given.get("file_id", ""))
        if file is None or file.user != user:
            raise Refusal(unknown)
        return file

    def do_info(self, query: dict[str, str], _headers: dict[str, str], _body: bytes) -> dict[str, Any]:
        file = self.own(query, query["access_token"], "Q00001")
        if not query.get("file_name") or "description" not in query:
            raise Refusal("Q00001")
        file.metadata = query
        return {"code": "A00000", "msg": ""}

    def do_fullStatus(self, query: dict[str, str], _headers: dict[str, str], _body: bytes) -> dict[str, Any]:
        file = self.own(query, query["access_token"], "A00003")
        if file.state != "finished":
            raise Refusal("A00006" if file.state == "cancelled" else "A00004")
        code = self.publishing[min(file.polls, len(self.publishing) - 1)]
        file.polls += 1
        urls = {"mp4": {"1": "http://data/1.mp4"}, "m3u8": {"96": "http://meta/96.m3u8", "2": "http://meta/2.m3u8"}}
        data = {"img": "http://pic/i.jpg", "thumbnail": "http://pic/t.jpg", "swfurl": "http://play/", "urllist": urls}
        return {"code": code, "data": {**data, "msg": "no picture in it" if code == "A00007" else ""}}

    def do_urllist(self, query: dict[str, str], _headers: dict[str, str], _body: bytes) -> dict[str, Any]:
        if self.own(query, query["access_token"], "A00003").state != "finished":
            raise Refusal("A00001")
        return {"code": "A00000", "data": {"mp4": {"2": "http://data/2.mp4"}, "m3u8": {"5": "http://meta/5.m3u8"}}}

    def do_getDownloadUri(self, query: dict[str, str], _headers: dict[str, str], _body: bytes) -> dict[str, Any]:
        self.own(query, query["access_token"], "A00003")
        return {"code": "A00000", "data": {"downloadUri": "http://data/2.mp4"}}

    def listed(self, query: dict[str, str]) -> list[dict[str, Any]]:
        user, wanted = self.user_of(query["access_token"]), [*filter(None, query.get("file_ids", "").split(","))]
        return [
            {
                "fileId": file_id, "fileName": (file.metadata or {}).get("file_name", ""), "createTime": 1364191124,
                "description": "", "fileSize": file.size, "fileStatus": 2, "playCount": 24, "duration": 10,
                "img": " http://pic7/v492995.jpg", "originalImg": "", "thumbnail": "", "pageUrl": "http://page/",
            }
            for file_id, file in self.files.items()
            if file.user == user and file.state == "finished" and (not wanted or file_id in wanted)
        ]  # fmt: skip

    def do_videoListForExternal(self, query: dict[str, str], _h: dict[str, str], _body: bytes) -> dict[str, Any]:
        videos, size, page = self.listed(query), int(query.get("page_size", 20)), int(query.get("page", 1))
        return {"code": "A00000", "count": len(videos), "data": videos[(page - 1) * size : page * size]}

    def do_videoForExternal(self, query: dict[str, str], _headers: dict[str, str], _body: bytes) -> dict[str, Any]:
        self.own(query, query["access_token"], "A00003")
        return {"code": "A00000", "data": self.listed({**query, "file_ids": query["file_id"]})}

    def do_count(self, query: dict[str, str], _headers: dict[str, str], _body: bytes) -> dict[str, Any]:
        return {"code": "A00000", "data": {"count": len(self.listed(query))}}

    def do_delete(self, query: dict[str, str], _headers: dict[str, str], _body: bytes) -> dict[str, Any]:
        everything = {"0": True, "1": False}[query["delete_type"]]
        user, wanted = self.user_of(query["access_token"]), query.get("file_ids", "").split(",")
        self.files = {
            file_id: file
            for file_id, file in self.files.items()
            if file.user != user or not (everything or file_id in wanted)
        }
        return {"code": "A00000"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cloud: FakeCloud
    timeout = 30
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.serve()

    def do_POST(self) -> None:
        self.serve()

    def serve(self) -> None:
        cloud, parts = self.cloud, urlsplit(self.path)
        call = parts.path.rpartition("/")[2]
        fault = cloud.next_fault(call)
        if fault == "reset":
            return self.break_off()
        if fault == "stall":
            cloud.stalled += 1
            cloud.ended.wait(30)
            return self.break_off()
        length = int(self.headers.get("Content-Length") or 0)
        if fault == "reset-midway":
            self.rfile.read(length // 2)
            return self.break_off()
        with cloud.lock:
            cloud.now_at_once += call == "upload"
            cloud.most_at_once = max(cloud.most_at_once, cloud.now_at_once)
        try:
            body = self.rfile.read(length)
        finally:
            with cloud.lock:
                cloud.now_at_once -= call == "upload"
        if len(body) < length:
            return self.break_off()
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        cloud.seen.append(Seen(call, query, headers, length))
        return self.reply(*self.outcome(fault, parts.path, query, headers, body), fault)

    def outcome(
        self, fault: Fault | None, path: str, query: dict[str, str], headers: dict[str, str], body: bytes
    ) -> tuple[int, bytes]:
        if fault == "503":
            return 503, json.dumps({"code": "Q00001", "msg": "no disk space"}).encode()
        if fault in ("502-html", "413-html"):
            return int(fault[:3]), b"<html>a proxy's page</html>"
        if fault == "garbage":
            return 200, b"<html>Welcome to the hotel's network</html>"
        if fault == "Q00001":
            return 200, b'{"code": "Q00001", "msg": "database away"}'
        if fault == "damaged":
            body = bytes([body[0] ^ 1]) + body[1:]
        try:
            answer = self.cloud.answer(path, query, headers, body)
        except Refusal as refusal:
            answer = refusal.reply
        except LookupError:
            return 404, b"<html>Not found</html>"
        if fault == "wrong-md5":
            answer["range_md5"] = "0" * 32
        return 200, json.dumps(answer).encode()

    def reply(self, status: int, content: bytes, fault: Fault | None) -> None:
        if fault == "lost-reply":
            return self.break_off()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        return None

    def break_off(self) -> None:
        """End the connection with a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def handle(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # the client went away, or break_off closed the socket
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


class QuietServer(ThreadingHTTPServer):
    request_queue_size = 64

    def shutdown_request(self, request: Any) -> None:
        with contextlib.suppress(OSError):
            super().shutdown_request(request)


@contextlib.contextmanager
def serving_cloud(*, status_call: bool = False) -> Iterator[FakeCloud]:
    """A fake cloud on a free port."""
    cloud = FakeCloud(status_call=status_call)
    server = QuietServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"cloud": cloud}))
    server.daemon_threads = True
    cloud.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield cloud
    finally:
        cloud.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
