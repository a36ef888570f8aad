"""A recording as the form that the document wants: `data`, JSON text, and `ugc_file`, streamed."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from openstage.client.karaoke.models import Progress
from openstage.client.source import CHUNK, Source


def sha256_of(source: Source) -> str:
    """Read all of a file, piece by piece; gives its SHA-256 in hex."""
    digest = hashlib.sha256()
    for position in range(0, source.size, CHUNK):
        digest.update(source.read(position, min(CHUNK, source.size - position)))
    return digest.hexdigest()


class RecordingForm:
    """The body of `ugc_upload_by_file` (see `requests.Body`); holds no more than a chunk of the file in memory.

    Args:
        source: the file.
        data: fields of the part `data`.
        on_progress: hears how much of the file has gone out.

    """

    def __init__(self, source: Source, data: Mapping[str, Any], on_progress: Callable[[Progress], None] | None) -> None:
        self._source = source
        self._on_progress = on_progress
        self._sent = 0
        boundary = os.urandom(16).hex()
        self.content_type = f"multipart/form-data; boundary={boundary}"
        name = _quoted(Path(source.name).name or "recording")
        self._head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="data"\r\n'
            "Content-Type: application/json; charset=utf-8\r\n\r\n"
            f"{json.dumps(data, ensure_ascii=False)}\r\n"
            f'--{boundary}\r\nContent-Disposition: form-data; name="ugc_file"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()

    @property
    def length(self) -> int:
        """Number of bytes, framing included."""
        return len(self._head) + self._source.size + len(self._tail)

    def chunks(self) -> Iterator[bytes]:
        """Begin (anew) and give the bytes."""
        self._sent = 0
        yield self._head
        for position in range(0, self._source.size, CHUNK):
            yield self._source.read(position, min(CHUNK, self._source.size - position))
        yield self._tail

    def sent(self, count: int) -> None:
        """Report bytes that went out, without the framing."""
        self._sent += count
        if self._on_progress is not None:
            size = self._source.size
            self._on_progress(Progress(size, min(max(0, self._sent - len(self._head)), size)))


def _quoted(name: str) -> str:
    """Write a file's name as browsers do (WHATWG, multipart/form-data encoding algorithm)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
