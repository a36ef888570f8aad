"""The folder that `openstage demo music` imports: each piece as a file, and what is said of them as JSON lines."""

import json
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Final

from openstage.demo.music import Piece, aliased, pieces
from openstage.demo.music_sound import write_sound

METADATA: Final = "catalogue.jsonl"
ENDINGS: Final = (".mp3", ".flac", ".wav", ".mp3", ".mp3")
"""Forms of the files, in turn: originals come in all of them."""
OFFERS: Final = (
    ("社交媒体 Social media", "21.00"),
    ("全媒体 All media", "199.00"),
    ("影视 Film and television", "812.50"),
)
"""Under which all pieces are sold, and for how much."""


def write_catalogue(
    folder: Path, on_progress: Callable[[float], None] = lambda _: None, wanted: Sequence[Piece] | None = None
) -> Path:
    """Synthesise the pieces, as many at once as there are cores.

    Args:
        folder: where to.
        on_progress: hears the part that is done, from 0 to 1.
        wanted: these pieces; None: all.

    Returns:
        The file of metadata, which names the others.

    Raises:
        RuntimeError: ffmpeg failed; the message says why.

    """
    wanted = pieces() if wanted is None else wanted
    paths = [folder / file_name(number, piece) for number, piece in enumerate(wanted)]
    # Fresh processes: nothing of this one, threads least of all, is taken along.
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), multiprocessing.get_context("spawn")) as pool:
        running = [pool.submit(write_sound, piece, path) for piece, path in zip(wanted, paths, strict=True)]
        for done, future in enumerate(as_completed(running), 1):
            future.result()
            on_progress(done / len(running))
    metadata = folder / METADATA
    rows = (row(piece, path.name) for piece, path in zip(wanted, paths, strict=True))
    metadata.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in rows), "utf-8")
    return metadata


def file_name(number: int, piece: Piece) -> str:
    """Return the name of a piece's file: its title, in its own script."""
    return f"{piece.title.replace('/', '-')}{ENDINGS[number % len(ENDINGS)]}"


def row(piece: Piece, name: str) -> dict[str, Any]:
    """Return what the catalogue is told of a piece (docs/catalogue.md has the columns)."""
    told: dict[str, Any] = {
        "external_id": f"openstage-demo:{piece.title}",
        "file": name,
        "title": piece.title,
        "artist": piece.artist,
        "description": piece.description,
        "genres": aliased(piece.genres),
        "moods": aliased(piece.moods),
        "instruments": aliased(piece.instruments),
        "bpm": piece.bpm,
        "level": str(piece.level),
        "vhifun": piece.vhifun,
        "offers": [f"{offer}={price}" for offer, price in OFFERS],
    }
    return told if piece.heat is None else told | {"heat": piece.heat}
