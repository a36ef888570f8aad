"""Reading what is imported: metadata as CSV or JSON lines, and folders of audio."""

import csv
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from openstage.catalogue.errors import BadSource
from openstage.catalogue.importing.rows import COLUMNS, BadRow, Row, parse_row

METADATA: Final = frozenset({".csv", ".jsonl", ".ndjson"})
AUDIO: Final = frozenset(
    f".{ending}"
    for ending in (
        *("mp3", "wav", "flac", "m4a", "aac", "ogg", "oga", "opus", "aif", "aiff", "wma", "ape", "alac", "caf", "mka"),
        *("webm", "mp4", "amr", "ac3", "wv"),
    )
)
_FINGERPRINTED: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that isn't imported: where it stands (`tracks.csv, row 12`), and why."""

    place: str
    reason: str


@dataclass(slots=True)
class Metadata:
    """A file of metadata that is being read.

    Attributes:
        path: of the file.
        read: bytes that have been read.
        size: bytes of it all.
        ignored: columns that mean nothing here.

    """

    path: Path
    read: int = 0
    size: int = 0
    ignored: set[str] = field(default_factory=set)

    def rows(self) -> Iterator[Row | Rejected]:
        """Yield its rows, numbered from 1.

        Raises:
            BadSource: it can't be read, isn't UTF-8, or has no header.

        """
        try:
            self.size = self.path.stat().st_size
            with self.path.open("rb") as raw:
                given = (
                    self._csv(self._lines(raw)) if self.path.suffix.lower() == ".csv" else self._json(self._lines(raw))
                )
                for number, each in enumerate(given, 1):
                    yield self._parsed(number, each)
        except OSError as error:
            raise BadSource(f"{self.path} can't be read: {error.strerror}.") from error

    def fingerprint(self) -> str:
        """Return what tells this file from another one at the same place.

        Raises:
            BadSource: it can't be read.

        """
        try:
            found = self.path.stat()
            with self.path.open("rb") as raw:
                beginning = hashlib.sha256(raw.read(_FINGERPRINTED)).hexdigest()
        except OSError as error:
            raise BadSource(f"{self.path} can't be read: {error.strerror}.") from error
        return f"{found.st_size}-{found.st_mtime_ns}-{beginning}"

    def _parsed(self, number: int, given: dict[str, Any] | BadRow) -> Row | Rejected:
        try:
            if isinstance(given, BadRow):
                raise given
            self.ignored |= given.keys() - COLUMNS.keys()
            return parse_row(number, given)
        except BadRow as reason:
            return Rejected(f"{self.path.name}, row {number}", str(reason))

    def _lines(self, raw: Any) -> Iterator[str]:
        for number, line in enumerate(raw, 1):
            self.read += len(line)
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise BadSource(f"{self.path} is not UTF-8 (line {number}): save it as UTF-8.") from error

    def _csv(self, lines: Iterator[str]) -> Iterator[dict[str, Any] | BadRow]:
        reader = csv.reader(lines)
        try:
            header = [name.strip().lower() for name in next(reader, [])]
            if not set(header) & COLUMNS.keys():
                raise BadSource(
                    f"{self.path} has no header: its first line should name columns ({', '.join(COLUMNS)})."
                )
            for cells in reader:
                if len(cells) > len(header):
                    yield BadRow(f"it has {len(cells)} cells, the header has {len(header)}")
                elif cells:
                    yield dict(zip(header, cells, strict=False))
        except csv.Error as error:
            raise BadSource(f"{self.path} is no CSV (line {reader.line_num}): {error}.") from error

    def _json(self, lines: Iterator[str]) -> Iterator[dict[str, Any] | BadRow]:
        for line in lines:
            if not line.strip():
                continue
            try:
                each = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield BadRow(f"it is no JSON: {error}")
                continue
            yield each if isinstance(each, dict) else BadRow("it is no JSON object")


@dataclass(frozen=True, slots=True)
class Source:
    """What a path holds: files of metadata, audio files, and the folder to which paths in them are relative."""

    folder: Path
    metadata: list[Path]
    audio: list[Path]

    @classmethod
    def at(cls, path: Path) -> "Source":
        """Look at a path.

        Raises:
            BadSource: there is nothing, or nothing that can be imported.

        """
        if path.is_dir():
            found = [Path(folder) / name for folder, _, names in os.walk(path) for name in names]
            files = sorted(
                file for file in found if not any(part.startswith(".") for part in file.relative_to(path).parts)
            )
            metadata = [file for file in files if file.suffix.lower() in METADATA]
            audio = [file for file in files if file.suffix.lower() in AUDIO]
            if not metadata and not audio:
                raise BadSource(f"{path} holds neither audio nor metadata ({', '.join(sorted(METADATA))}).")
            return cls(path, metadata, audio)
        if not path.is_file():
            raise BadSource(f"{path} doesn't exist.")
        if path.suffix.lower() in METADATA:
            return cls(path.parent, [path], [])
        if path.suffix.lower() in AUDIO:
            return cls(path.parent, [], [path])
        raise BadSource(f"{path} is neither audio nor metadata: its name should end in .csv, .jsonl or, say, .mp3.")

    def locate(self, name: str) -> Path | None:
        """Return the audio file that a row names, if it is there and inside the folder."""
        path = (self.folder / name).resolve()
        inside = path.is_relative_to(self.folder.resolve())
        return path if inside and path.is_file() else None
