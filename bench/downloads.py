"""Ranged downloads of an mp4 through its signed address, against nginx serving the same file."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from bench.figures import Row, Section, Series, Target
from bench.http import Connection, LoadError, together
from bench.ours import Openstage
from bench.peers.nginx import Nginx
from bench.plan import MIB, Plan
from openstage.database.embedded import running_database
from openstage.media.tools import find_ffmpeg
from openstage.settings import Settings

TARGET = Target(0.35, "nginx")


def synthesise_clip(folder: Path) -> Path:
    """Make a clip of two seconds that is published quickly."""
    clip = folder / "clip.mp4"
    command = [
        str(find_ffmpeg(Settings())),
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=320x180:rate=25:duration=2",
    ]
    command += ["-f", "lavfi", "-i", "sine=frequency=440:duration=2", "-pix_fmt", "yuv420p", "-shortest", str(clip)]
    subprocess.run(command, check=True)
    return clip


def plant(ours: Openstage, file_id: str, source: Path, size: int) -> Path:
    """Let a published work's mp4 be a large file, and return that.

    Its bytes are no film, but delivery doesn't look into them; to encode one of this size would take the whole run.
    """
    key = f"works/{file_id}/bench/mp4/2.mp4"
    file = ours.data / "objects" / key
    file.parent.mkdir(parents=True)
    with source.open("rb") as original, file.open("wb") as copy:
        os.sendfile(copy.fileno(), original.fileno(), 0, size)
    settings = Settings(data=ours.data)
    with running_database(settings) as address, psycopg.connect(address) as connection:
        connection.execute(
            """
            update rendition set key = %s, byte_size = %s
            where kind = 'mp4' and quality = '2' and work_id = (select id from work where file_id = %s)
            """,
            (key, size, file_id),
        )
    return file


@dataclass
class Downloading:
    """The measurement."""

    plan: Plan
    ours: Openstage
    file_id: str
    nginx: Nginx
    file_name: str
    """Below nginx's `/files/`."""

    def run(self) -> Section:
        """Measure in rounds; for each size of range, ours and nginx take turns."""
        token = f"access_token={self.ours.token}&file_id={self.file_id}"
        addresses = self.ours.call(f"/api/file/urllist?{token}")["data"]["mp4"]
        own = urlsplit(addresses["2"]).path
        rates: dict[tuple[str, int], list[float]] = {}
        for _ in range(self.plan.rounds + 1):  # the first one warms up
            for length in self.plan.ranges:
                rates.setdefault(("ours", length), []).append(self._fetch(self.ours.port, own, length))
                theirs = self._fetch(self.nginx.port, f"/files/{self.file_name}", length)
                rates.setdefault(("nginx", length), []).append(theirs)
        section = Section("Ranged downloads of an mp4, one client")
        for length in self.plan.ranges:
            ours, nginx = (
                Series("MB/s", tuple(rate / 1e6 for rate in rates[name, length][1:])) for name in ("ours", "nginx")
            )
            what = f"ranges of {length // MIB} MiB"
            section.rows.append(Row(what, ours, {"nginx": ours.ratio_to(nginx)}, TARGET))
            section.rows.append(Row(f"nginx sendfile, {what}", nginx, ours=False))
        return section

    def _fetch(self, port: int, target: str, length: int) -> float:
        total = self.plan.download // length * length

        def fetch(_: int) -> None:
            with Connection(port) as connection:
                for start in range(0, total, length):
                    headers = {"Range": f"bytes={start}-{start + length - 1}"}
                    reply = connection.request("GET", target, headers, keep=False)
                    if reply.status != 206 or reply.received != length:
                        raise LoadError(
                            f"{target.rpartition('/')[2]}: {reply.status}, {reply.received} of {length} bytes"
                        )

        return total / together(1, fetch)
