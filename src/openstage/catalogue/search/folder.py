"""How the index lies on the disk, so that one process writes it and any number read it.

    search/lock            held by the process that writes
    search/current         name of the generation in use; replaced whole
    search/progress        how far the making of a new one has come; there only while one is made
    search/<generation>/   one index; `followed.json` in it: of what, and up to which transaction snapshot

A generation that is no longer current is removed at once: those who still read it keep its files open.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from openstage.catalogue.search.schema import CONTENT, SCHEMA


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """What an index holds.

    Attributes:
        schema: fields it has; likewise `content`: what is in them.
        epoch: of the catalogue whose transaction numbers the snapshot counts.
        snapshot: `pg_current_snapshot()`: all that was visible to it is in the index.

    """

    schema: int = SCHEMA
    content: int = CONTENT
    epoch: str
    snapshot: str

    @property
    def up_to_date(self) -> bool:
        """Whether this program would make it the same way."""
        return (self.schema, self.content) == (SCHEMA, CONTENT)


class Progress(msgspec.Struct, frozen=True):
    """How many tracks of how many are in the index that is being made."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class IndexFolder:
    """The folder of a server's search index."""

    path: Path

    def current(self) -> Path | None:
        """Return the folder of the generation in use, if there is one."""
        try:
            name = (self.path / "current").read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
        folder = self.path / name
        return folder if name and "/" not in name and (folder / "followed.json").is_file() else None

    def followed(self, generation: Path) -> Followed | None:
        """Return what a generation holds; None if it can't be read."""
        try:
            return msgspec.json.decode((generation / "followed.json").read_bytes(), type=Followed)
        except (OSError, msgspec.DecodeError):
            return None

    def note(self, generation: Path, followed: Followed) -> None:
        """Write down what a generation holds."""
        _replace(generation / "followed.json", msgspec.json.encode(followed))

    def new_generation(self) -> Path:
        """Make the folder of a new index."""
        folder = self.path / f"{SCHEMA}.{CONTENT}-{secrets.token_hex(4)}"
        folder.mkdir(parents=True)
        return folder

    def switch(self, generation: Path) -> None:
        """Let everybody use a generation, and remove all others."""
        _replace(self.path / "current", f"{generation.name}\n".encode())
        self.clear(keep=generation)

    def clear(self, *, keep: Path | None) -> None:
        """Remove all generations but one."""
        for folder in self.path.iterdir():
            if folder.is_dir() and folder != keep:
                shutil.rmtree(folder, ignore_errors=True)

    def progress(self) -> Progress | None:
        """Return how far the making of a new index has come, if one is being made."""
        try:
            return msgspec.json.decode((self.path / "progress").read_bytes(), type=Progress)
        except (OSError, msgspec.DecodeError):
            return None

    def tell_progress(self, progress: Progress | None) -> None:
        """Write down how far the making of a new index has come; None: it is over."""
        if progress is None:
            (self.path / "progress").unlink(missing_ok=True)
        else:
            _replace(self.path / "progress", msgspec.json.encode(progress))

    def mark(self) -> tuple[str, int]:
        """Return what changes whenever there is something new to read."""
        generation = self.current()
        if generation is None:
            return "", 0
        try:
            return generation.name, os.stat(generation / "meta.json").st_mtime_ns  # noqa: PTH116 - called often
        except OSError:
            return "", 0

    @contextlib.contextmanager
    def lock(self) -> Iterator[bool]:
        """Hold the right to write for the length of the block; False if another process has it."""
        self.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
        finally:
            os.close(descriptor)


def _replace(path: Path, data: bytes) -> None:
    scratch = path.with_name(f".{path.name}")
    scratch.write_bytes(data)
    scratch.replace(path)
