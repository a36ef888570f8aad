"""What an audio file says of itself (ID3, Vorbis comments, MP4 atoms, …)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import mutagen

# Column: names that mutagen's easy interface has for it, the best first.
_NAMES: Final = {
    "title": ("title",),
    "artist": ("artist", "albumartist", "composer"),
    "description": ("description", "comment", "comments"),
    "genres": ("genre",),
    "moods": ("mood",),
    "bpm": ("bpm",),
    "key": ("initialkey",),
}


def read_tags(path: Path) -> dict[str, Any]:
    """Return what the tags of a file say, by column of an import; a title from its name if they have none."""
    found: dict[str, Any] = {"title": _title(path)}
    try:
        tags: Mapping[str, Any] = getattr(mutagen.File(path, easy=True), "tags", None) or {}
        for column, names in _NAMES.items():
            values = next((values for name in names if (values := _values(tags, name))), [])
            if values:
                found[column] = values if column in {"genres", "moods"} else values[0]
    except Exception:  # noqa: S110 - whatever a damaged tag raises: the file is judged by what it sounds like
        pass
    if "bpm" in found and not _plausible(str(found["bpm"])):
        del found["bpm"]
    return found


def _values(tags: Mapping[str, Any], name: str) -> list[str]:
    try:
        values = tags[name]
    except (KeyError, ValueError):
        return []
    each = values if isinstance(values, list | tuple) else [values]
    return [text for value in each if (text := str(value).strip().replace(";", ","))]


def _plausible(text: str) -> bool:
    """Programs write 0 where they don't know the tempo."""
    try:
        return 20 <= float(text) <= 400
    except ValueError:
        return False


def _title(path: Path) -> str:
    return path.stem.replace("_", " ").strip() or path.name
