"""Whether the clock of a broadcast recording runs through: joined recordings each have their own."""

from typing import Any

from .opening import BROKEN, open_file
from .probing import Track


def result(order: dict[str, Any]) -> dict[str, Any]:
    """Read all packets of stream `index`: whether its clock jumps, and how long it lasts in seconds."""
    container = open_file(order)
    stream = container.streams[order["index"]]
    track = Track(jumpy=True)
    jumps = False
    try:
        for packet in container.demux(stream):
            before = track.shift
            track.add(packet)
            jumps = jumps or track.shift != before
    except BROKEN:
        pass  # damaged from here on: what came before counts
    return {"jumps": jumps, "seconds": (track.end or 0.0) - (track.first or 0.0)}
