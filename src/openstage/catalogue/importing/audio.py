"""A file of audio into the catalogue: probed, measured, previewed, stored; then its row."""

import asyncio
import hashlib
import mimetypes
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from openstage.catalogue.analysis.key import estimate_key
from openstage.catalogue.analysis.samples import read_samples
from openstage.catalogue.analysis.tempo import Samples, estimate_tempo
from openstage.database.engine import Connection
from openstage.database.text import storable
from openstage.media.errors import Unplayable
from openstage.media.preview import make_preview
from openstage.media.probe import probe
from openstage.media.sound import measure_sound
from openstage.media.waveform import to_png
from openstage.settings import Settings
from openstage.storage.objects import ObjectStore

_PIECE: Final = 1024**2
_TYPES: Final = {
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "mov": "audio/mp4",
    "aac": "audio/aac",
    "aiff": "audio/aiff",
    "matroska": "audio/x-matroska",
    "asf": "audio/x-ms-wma",
}
"""By ffmpeg's name of the container."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells whether a file has changed without reading it, and what it is once it has been read."""

    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> "Fingerprint":
        """Look at a file."""
        found = path.stat()
        return cls(found.st_size, found.st_mtime_ns)

    def __str__(self) -> str:
        return f"{self.size}-{self.modified_ns}"


class AudioFiles:
    """Makes what the catalogue needs of audio files."""

    def __init__(self, settings: Settings, store: ObjectStore) -> None:
        self._settings = settings
        self._store = store

    async def prepare(self, path: Path, sha256: str) -> dict[str, Any]:
        """Measure a file and store it with its preview and waveform.

        Args:
            path: the file; only read.
            sha256: of its bytes.

        Returns:
            The columns of `track_file`, but the track's number.

        Raises:
            Unplayable, TookTooLong: the file is the problem; the message says why.
            Unavailable: there is no room, or a tool or the store is away.

        """
        self._settings.scratch_folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._settings.scratch_folder, prefix=".catalogue-") as scratch:
            folder = Path(scratch)
            info = await probe(path, self._settings)
            if info.main_audio is None:
                raise Unplayable("There is no sound in the file.")
            loudness, waveform = await measure_sound(path, info, folder, self._settings)
            bpm, key = await asyncio.to_thread(_listen, await read_samples(path, info, folder, self._settings))
            seconds, rate = self._settings.preview_seconds, self._settings.preview_bit_rate
            preview = await make_preview(
                path, info, folder, self._settings, start=0.0, length=float(seconds), bit_rate=rate
            )
            # By what is in it: a second try, and a second track with the same file, come to the same objects.
            prefix = f"catalogue/{sha256[:2]}/{sha256}"
            keys = {
                "object_key": f"{prefix}/original{_suffix(path)}",
                "preview_key": f"{prefix}/preview-{seconds}-{rate // 1000}.mp3",
                "waveform_json_key": f"{prefix}/waveform.json",
                "waveform_png_key": f"{prefix}/waveform.png",
            }
            await self._store.put_file(keys["object_key"], path)
            await self._store.move_file(keys["preview_key"], Path(preview.path))
            await self._store.put(keys["waveform_json_key"], waveform.to_json())
            await self._store.put(keys["waveform_png_key"], await asyncio.to_thread(to_png, waveform))
        stored = await self._store.stat(keys["object_key"])
        if stored.size != info.byte_size:
            raise Unplayable("The file changed while it was read.")
        return {
            **keys,
            "sha256": sha256,
            "byte_size": stored.size,
            "content_type": _TYPES.get(info.container) or mimetypes.guess_type(path.name)[0] or "audio/mpeg",
            "file_name": storable(path.name.encode(errors="surrogateescape").decode(errors="replace")),
            "duration_ms": info.duration_ms,
            "measured_bpm": None if bpm is None else float(np.round(bpm, 2)),
            "measured_key": key,
            "loudness_lufs": loudness.integrated_lufs,
            "true_peak_dbtp": loudness.true_peak_dbtp,
        }


async def known_file(connection: Connection, external_id: str, sha256: str) -> bool:
    """Let a track be sold with a file that it had before, if it had one of these bytes; returns whether."""
    cursor = await connection.execute(
        """
        update track set file_id = file.id from track_file file
        where external_id = %s and file.track_id = track.id and sha256 = %s
        """,
        (external_id, sha256),
    )
    return cursor.rowcount > 0


async def enter_file(connection: Connection, external_id: str, file: dict[str, Any]) -> None:
    """Give a track a new file, inside a transaction; earlier ones stay for those who bought them."""
    await connection.execute(
        """
        insert into track_file (track_id, sha256, byte_size, content_type, file_name, object_key, duration_ms,
            measured_bpm, measured_key, loudness_lufs, true_peak_dbtp, preview_key, waveform_json_key, waveform_png_key)
        select id, %(sha256)s, %(byte_size)s, %(content_type)s, %(file_name)s, %(object_key)s, %(duration_ms)s,
            %(measured_bpm)s, %(measured_key)s, %(loudness_lufs)s, %(true_peak_dbtp)s, %(preview_key)s,
            %(waveform_json_key)s, %(waveform_png_key)s
        from track where external_id = %(external_id)s
        on conflict (track_id, sha256) do nothing
        """,
        file | {"external_id": external_id},
    )
    await known_file(connection, external_id, file["sha256"])


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, in bounded memory."""
    digest = hashlib.sha256()
    with path.open("rb") as raw:
        while piece := raw.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _listen(samples: Samples) -> tuple[float | None, str]:
    return estimate_tempo(samples), estimate_key(samples)


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,5}", suffix) else ""
