"""The pictures above a player's seek bar: a WebVTT file that says which part of which sheet shows which moment.

Each cue (https://www.w3.org/TR/webvtt1/) holds the address of a sheet with a spatial media fragment
(https://www.w3.org/TR/media-frags/, 4.2): `….jpg#xywh=left,top,width,height` in pixels.
"""

from collections.abc import Callable

from openstage.delivery.models import Storyboard


def storyboard_vtt(storyboard: Storyboard, address: Callable[[int], str]) -> str:
    """Render the cues of all pictures.

    Args:
        storyboard: how the sheets are laid out.
        address: address of a sheet, by its number from 0.

    """
    on_a_sheet = storyboard.columns * storyboard.rows
    lines = ["WEBVTT"]
    for number in range(storyboard.tiles):
        begin = number * storyboard.interval_ms
        end = begin + storyboard.interval_ms
        if number == storyboard.tiles - 1:  # the last picture shows the rest, however short or long
            end = max(storyboard.duration_ms, begin + 1)
        sheet, place = divmod(number, on_a_sheet)
        row, column = divmod(place, storyboard.columns)
        left, top = column * storyboard.tile_width, row * storyboard.tile_height
        lines += [
            "",
            f"{_stamp(begin)} --> {_stamp(end)}",
            f"{address(sheet)}#xywh={left},{top},{storyboard.tile_width},{storyboard.tile_height}",
        ]
    return "\n".join(lines) + "\n"


def _stamp(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"
