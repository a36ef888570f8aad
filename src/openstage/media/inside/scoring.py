"""Candidates for a work's picture: frames from all over the film, each with marks for how much there is to see."""

import contextlib
import itertools
import math
from typing import Any

import av

from .opening import BROKEN, frames, open_file, ready

WIDTH, HEIGHT = 64, 36  # pixels of the small grey picture that is judged
NEAR = 90  # packets that are decoded after a jump to a keyframe, to come closer to the moment


def result(order: dict[str, Any]) -> dict[str, Any]:
    """Candidates of stream `index`: frames near each of the `moments` (seconds after the beginning).

    A frame's `time` is in seconds after the beginning of the file; brightness and contrast are those of its pixels
    (0 … 255), detail is the mean step between neighbours.
    """
    container = open_file(order)
    stream = container.streams[order["index"]]
    ready(stream, order)
    start = (container.start_time or 0) / av.time_base
    found: dict[float, dict[str, float]] = {}
    for moment in order["moments"]:
        with contextlib.suppress(*BROKEN):
            container.seek(int((start + moment) * av.time_base))
        frame = None
        for frame in frames(container, stream, NEAR):
            if frame.time is not None and frame.time - start >= moment:
                break
        if frame is not None and frame.time is not None:
            time = max(0.0, frame.time - start)
            found.setdefault(round(time, 6), {"time": time, **marks(frame)})
    return {"candidates": list(found.values())}


def marks(frame: Any) -> dict[str, float]:
    """Brightness, contrast and detail of a frame."""
    small = frame.reformat(width=WIDTH, height=HEIGHT, format="gray")
    plane = small.planes[0]
    data, stride = bytes(plane), plane.line_size
    rows = [data[row * stride : row * stride + WIDTH] for row in range(HEIGHT)]
    pixels = b"".join(rows)
    mean = sum(pixels) / len(pixels)
    spread = math.sqrt(sum((pixel - mean) ** 2 for pixel in pixels) / len(pixels))
    across = sum(abs(a - b) for row in rows for a, b in itertools.pairwise(row))
    down = sum(abs(a - b) for above, below in itertools.pairwise(rows) for a, b in zip(above, below, strict=True))
    return {"brightness": mean, "contrast": spread, "detail": (across + down) / len(pixels)}
