"""A small S3 server for tests: the calls that object stores make, in memory, with faults on demand.

Written after the S3 API reference; `OPENSTAGE_TEST_S3` (such as `s3://bucket?endpoint=http://127.0.0.1:9000`) runs the
same tests against a real server instead.
"""

import functools
import hashlib
import itertools
import os
import re
import uuid
from urllib.parse import parse_qs, quote, unquote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from openstage.storage.objects import ObjectStore, store_at

BUCKET = "tests"
_numbers = itertools.count()


def store_in(address: str) -> ObjectStore:
    """A store in a prefix of its own of the bucket at `address` or `OPENSTAGE_TEST_S3`."""
    url, _, query = os.environ.get("OPENSTAGE_TEST_S3", f"s3://{BUCKET}?endpoint={address}&region=us-east-1").partition(
        "?"
    )
    return store_at(f"{url.rstrip('/')}/{uuid.uuid4().hex}?{query}")


class S3:
    """The bucket and its faults.

    Attributes:
        objects: bytes by key.
        uploads: parts by number, of multipart uploads that are under way.
        largest_part: bytes of the largest body received.
        faults: status codes with which the next requests are answered instead.
        full: each body is refused for want of room.
        requests: method and query of each request.

    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.largest_part = 0
        self.faults: list[int] = []
        self.full = False
        self.requests: list[str] = []

    def app(self) -> Starlette:
        methods = ["GET", "HEAD", "PUT", "POST", "DELETE"]
        return Starlette(routes=[Route("/{path:path}", self.answer, methods=methods)])

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        query = parse_qs(request.url.query, keep_blank_values=True)
        self.requests.append(f"{request.method} {sorted(query)}")
        self.largest_part = max(self.largest_part, len(body))
        if self.faults:
            return error(self.faults.pop(0), "InternalError")
        bucket, _, key = unquote(request.url.path).lstrip("/").partition("/")
        if bucket != BUCKET:
            return error(404, "NoSuchBucket")
        if self.full and body:
            return error(507, "XMinioStorageFull")
        if "list-type" in query:
            return self._list(query.get("prefix", [""])[0])
        if "delete" in query:
            return self._delete_many(body)
        if "uploads" in query or "uploadId" in query:
            return self._multipart(request.method, key, query, body)
        return self._object(request, key, body)

    def _object(self, request: Request, key: str, body: bytes) -> Response:
        if request.method == "PUT":
            self.objects[key] = body
            return Response(headers={"etag": etag(body)})
        if request.method == "DELETE":
            self.objects.pop(key, None)
            return Response(status_code=204)
        if key not in self.objects:
            return error(404, "NoSuchKey")
        data = self.objects[key]
        headers = {
            "etag": etag(data),
            "last-modified": "Sat, 21 Nov 2026 10:00:00 GMT",
            "content-type": "binary/octet-stream",
        }
        if match := re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("range", "")):
            first, last = int(match[1]), min(int(match[2]), len(data) - 1)
            if first >= len(data):
                return error(416, "InvalidRange")
            headers["content-range"] = f"bytes {first}-{last}/{len(data)}"
            return Response(data[first : last + 1], 206, headers=headers)
        if request.method == "HEAD":
            return Response(headers={**headers, "content-length": str(len(data))})
        return Response(data, headers=headers)

    def _multipart(self, method: str, key: str, query: dict[str, list[str]], body: bytes) -> Response:
        if "uploads" in query:
            upload = f"upload-{next(_numbers)}"
            self.uploads[upload] = {}
            return xml(f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>")
        upload = query["uploadId"][0]
        if upload not in self.uploads:
            return error(404, "NoSuchUpload")
        if method == "PUT":
            self.uploads[upload][int(query["partNumber"][0])] = body
            return Response(headers={"etag": etag(body)})
        parts = self.uploads.pop(upload)
        if method == "DELETE":
            return Response(status_code=204)
        numbers = [
            int(each.text or "") for each in ElementTree.fromstring(body).iter() if each.tag.endswith("PartNumber")
        ]
        assert numbers == sorted(parts), "a part is missing"
        assert all(len(parts[number]) >= 5 * 1024**2 for number in numbers[:-1]), "EntityTooSmall"
        self.objects[key] = b"".join(parts[number] for number in numbers)
        result = etag(self.objects[key])
        return xml(f"<CompleteMultipartUploadResult><ETag>{escape(result)}</ETag></CompleteMultipartUploadResult>")

    def _list(self, prefix: str) -> Response:
        found = "".join(
            f"<Contents><Key>{quote(key)}</Key><LastModified>2026-11-21T10:00:00.000Z</LastModified>"
            f"<ETag>{escape(etag(data))}</ETag><Size>{len(data)}</Size></Contents>"
            for key, data in sorted(self.objects.items())
            if key.startswith(prefix)
        )
        return xml(f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>")

    def _delete_many(self, body: bytes) -> Response:
        gone = []
        for each in ElementTree.fromstring(body).iter():
            if each.tag.endswith("Key"):
                self.objects.pop(each.text or "", None)
                gone.append(f"<Deleted><Key>{escape(each.text or '')}</Key></Deleted>")
        return xml(f"<DeleteResult>{''.join(gone)}</DeleteResult>")


@functools.cache
def etag(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest()}"'


def xml(text: str, status: int = 200) -> Response:
    return Response(f'<?xml version="1.0" encoding="UTF-8"?>{text}', status, media_type="application/xml")


def error(status: int, code: str) -> Response:
    return xml(f"<Error><Code>{code}</Code><Message>{code}</Message></Error>", status)
