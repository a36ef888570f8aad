"""Small pictures from all over a film, for the place above a player's seek bar."""

from pathlib import Path

from msgspec import Struct

from openstage.media.models import MediaInfo
from openstage.settings import Settings


class Sheet(Struct, frozen=True, kw_only=True):
    """One JPEG file that holds many tiles; `path` is absolute, width and height in pixels."""

    number: int
    path: str
    width: int
    height: int
    byte_size: int


class Storyboard(Struct, frozen=True, kw_only=True):
    """Tiles on sheets, row by row, from left to right.

    Attributes:
        interval_ms: tile n shows the film at some moment from n to n + 1 intervals; the last one stands for the rest.
        tile_width: pixels; likewise tile_height.
        columns: tiles side by side on a sheet.
        rows: tiles below each other on a sheet.
        tiles: number of them; the places after the last one are black.
        sheets: numbered from 0, all of one size.

    """

    interval_ms: int
    tile_width: int
    tile_height: int
    columns: int
    rows: int
    tiles: int
    sheets: tuple[Sheet, ...]


async def make_storyboard(source: Path, info: MediaInfo, folder: Path, settings: Settings) -> Storyboard | None:
    """Make the sheets of a film.

    Args:
        source: the file that was probed; only read.
        info: what the probe found in it.
        folder: an existing folder; the caller's, who removes it afterwards. Written to is `folder/storyboard`.
        settings: which ffmpeg.

    Returns:
        The storyboard; None of sound without a picture, or if no picture can be decoded.

    Raises:
        TookTooLong: it took too long.
        ScratchFull: the disk is full.
        ToolKilled: somebody ended ffmpeg.
        ToolMissing: there is no ffmpeg here.

    """
    raise NotImplementedError
