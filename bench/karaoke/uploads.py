"""Recordings on their way in, several at once: none is lost, and memory stays flat."""

import contextlib
import hashlib
import json
import os
import secrets
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import imageio_ffmpeg

from bench.figures import Row, Section, Series, Target
from bench.http import Connection, Slice, together
from bench.karaoke.party import Party, accepted
from bench.karaoke.plan import Plan

PARALLEL: Final = 8
WAV_BYTES_PER_SECOND: Final = 44_100 * 2 * 2
GROWTH_LIMIT: Final = 10.0
"""MB that the idle server may have grown by, over all recordings."""
HELD_LIMIT: Final = 4.0
"""MB that an upload under way may cost: what is read at once, and no file."""
UPLOAD: Final = "/karaoke/file/v2/ugc_upload_by_file"


def make_recording(folder: Path, size: int) -> Path:
    """Synthesise a WAV of about so many bytes."""
    path = folder / "recording.wav"
    seconds = size / WAV_BYTES_PER_SECOND
    melody = "aevalsrc=exprs='0.3*sin(2*PI*220*pow(2,mod(floor(t*2),8)/12)*t)':sample_rate=44100:channel_layout=mono"
    command = [str(imageio_ffmpeg.get_ffmpeg_exe()), "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", melody]
    subprocess.run([*command, "-t", f"{seconds:.3f}", "-ac", "2", str(path)], check=True)
    return path


@dataclass
class Uploading:
    """The measurement."""

    plan: Plan
    party: Party
    file: Path
    say: Callable[[str], None]
    sent: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    peak: int = 0

    def run(self) -> Section:
        """Send all recordings; then look whether each is there."""
        count = self.plan.uploads
        server = self.party.server
        with self._content() as (content, digest):
            # Warms up: the first that come at once set how much memory the process keeps for its next buffers.
            together(PARALLEL, lambda _: self._send_alone(content, digest))
            together(PARALLEL, lambda _: self._send_alone(content, digest))
            self.seconds.clear()
            warm = len(self.sent)
            numbers, lock = iter(range(count)), threading.Lock()
            before = server.memory().server

            def sender(_: int) -> None:
                with server.connection() as connection:
                    while True:
                        with lock:
                            number = next(numbers, None)
                        if number is None:
                            return
                        self._send(connection, content, digest)

            self.say(f"{count} recordings, {PARALLEL} at once")
            with self._watched():
                seconds = together(PARALLEL, sender)
            after = server.memory().server
        return self._section(content.length, seconds, before, after, warm)

    def send_one(self) -> str:
        """Send one recording; gives its `ugc_id`."""
        with self._content() as (content, digest):
            self._send_alone(content, digest)
        return self.sent[-1]

    def _send_alone(self, content: Slice, digest: str) -> None:
        with self.party.server.connection() as connection:
            self._send(connection, content, digest)

    @contextlib.contextmanager
    def _content(self) -> Iterator[tuple[Slice, str]]:
        """Open the recording; gives it and its SHA-256."""
        digest = hashlib.sha256(self.file.read_bytes()).hexdigest()
        descriptor = os.open(self.file, os.O_RDONLY)
        try:
            yield Slice(descriptor, 0, os.fstat(descriptor).st_size), digest
        finally:
            os.close(descriptor)

    def _section(self, size: int, seconds: float, before: int, after: int, warm: int) -> Section:
        count = self.plan.uploads
        ordered = sorted(self.seconds)
        section = Section(f"{count} recordings of {size / 1e6:.1f} MB, {PARALLEL} at once")
        found = len(set(self.sent[warm:]) & set(self._listed()))
        growth, held = (after - before) / 1e6, (self.peak - before) / 1e6
        section.rows = [
            Row("answered, and listed afterwards", Series("", (float(found),)), target=Target(count)),
            Row("received", Series("MB/s", (count * size / seconds / 1e6,))),
            Row("one recording, median", Series("ms", (1000 * ordered[len(ordered) // 2],))),
            Row("one recording, slowest", Series("ms", (1000 * ordered[-1],))),
            Row("server, idle before", Series("MB", (before / 1e6,))),
            Row(
                "server, peak above that, for each upload under way",
                Series("MB", (held / PARALLEL,)),
                target=Target(HELD_LIMIT, sign="≤"),
            ),
            Row("server, idle afterwards above that", Series("MB", (growth,)), target=Target(GROWTH_LIMIT, sign="≤")),
        ]
        section.notes.append(
            f"Meanwhile the worker publishes them on the same {os.cpu_count()} cores. SHA-256 is given and compared."
        )
        return section

    def _send(self, connection: Connection, content: Slice, digest: str) -> None:
        headers = dict(self.party.user_headers)
        fields = {"song_name": "Benchmark", "file_size": content.length, "file_sha": digest}
        body = _form(content, fields, headers)
        began = time.perf_counter()
        reply = accepted(UPLOAD, connection.request("POST", UPLOAD, headers, body).body)
        self.seconds.append(time.perf_counter() - began)
        self.sent.append(reply["data"]["ugc_id"])

    def _listed(self) -> Iterator[str]:
        passback, more = "", True
        while more:
            body = {"num": 50, "passback": passback}
            page = self.party.post("/karaoke/user/v2/get_user_work", body, self.party.user_headers)["data"]
            yield from (ugc["ugc_id"] for ugc in page["ugcs"])
            passback, more = page["passback"], page["has_more"]

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        """Note the highest use of memory during the block."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.2):
                self.peak = max(self.peak, self.party.server.memory().server)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _form(content: Slice, fields: dict[str, Any], headers: dict[str, str]) -> Slice:
    boundary = "----openstage" + secrets.token_hex(12)
    headers["Content-Type"] = f"multipart/form-data; boundary={boundary}"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="data"\r\n\r\n{json.dumps(fields)}\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="ugc_file"; filename="recording.wav"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return Slice(content.descriptor, 0, content.length, head.encode(), f"\r\n--{boundary}--\r\n".encode())
