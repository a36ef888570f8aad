"""Candidates for a work's picture: frames from windows all over the film, each with marks for what there is to see."""

import contextlib
import itertools
import math
from typing import Any

import av

from .opening import BROKEN, frames, open_file, ready

AREA = 128 * 72  # pixels of the small picture that is judged, about
NEAR = 72  # packets that are decoded from a keyframe on, at most: a window's length
EVERY = 12  # of the frames before the moment, each so many-th is judged as well: one may be sharper
SHARPEST = 0.02  # share of the pixels at the strongest edges
LEVELS = 16  # the histogram's; neighbours count together


def result(order: dict[str, Any]) -> dict[str, Any]:
    """Candidates of stream `index`: frames near each of the `moments` (seconds after the beginning).

    A frame's `time` is in seconds after the beginning of the file; for its marks see `marks()`.
    """
    container = open_file(order)
    stream = container.streams[order["index"]]
    ready(stream, order)
    start = (container.start_time or 0) / av.time_base
    found: dict[float, dict[str, float]] = {}
    for moment in order["moments"]:
        with contextlib.suppress(*BROKEN):
            container.seek(int((start + moment) * av.time_base))
        for frame in window(frames(container, stream, NEAR), start + moment):
            time = max(0.0, frame.time - start)
            if round(time, 6) not in found:
                found[round(time, 6)] = {"time": time, **marks(frame)}
    return {"candidates": list(found.values())}


def window(decoded: Any, until: float) -> Any:
    """Of frames, those that are judged: each so many-th, and the first one at or after a moment, or the last one."""
    frame = None
    for number, frame in enumerate(frame for frame in decoded if frame.time is not None):
        if frame.time >= until:
            break
        if number % EVERY == 0:
            yield frame
    if frame is not None:
        yield frame


def marks(frame: Any) -> dict[str, float]:
    """What can be said of a frame.

    brightness and contrast are mean and deviation of its luma (0 … 255), detail is the mean step between neighbours,
    sharpness the step at its strongest edges, colour the deviation of its chroma, flat the share of its pixels that
    have about the same luma (1: one colour all over; the black of closing titles counts as well).
    """
    scale = math.sqrt(AREA / (frame.width * frame.height))
    width, height = (max(8, round(side * scale / 2) * 2) for side in (frame.width, frame.height))
    small = frame.reformat(width=width, height=height, format="yuv420p")
    rows = plane_rows(small.planes[0], width, height)
    pixels = b"".join(rows)
    mean, spread = statistics(pixels)
    across = [abs(a - b) for row in rows for a, b in itertools.pairwise(row)]
    down = [abs(a - b) for above, below in itertools.pairwise(rows) for a, b in zip(above, below, strict=True)]
    steps = sorted(across + down, reverse=True)
    strongest = steps[: max(1, round(len(steps) * SHARPEST))]
    chroma = [statistics(b"".join(plane_rows(small.planes[at], width // 2, height // 2)))[1] for at in (1, 2)]
    return {
        "brightness": mean,
        "contrast": spread,
        "detail": 2 * sum(steps) / len(steps),
        "sharpness": sum(strongest) / len(strongest),
        "colour": math.hypot(*chroma),
        "flat": flat_share(pixels),
    }


def plane_rows(plane: Any, width: int, height: int) -> list[bytes]:
    """The rows of a plane without what pads them."""
    data, stride = bytes(plane), plane.line_size
    return [data[row * stride : row * stride + width] for row in range(height)]


def statistics(values: bytes) -> tuple[float, float]:
    """Mean and standard deviation."""
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))


def flat_share(pixels: bytes) -> float:
    """Share of the pixels in the two neighbouring levels of the histogram that hold most."""
    counts = [0] * (LEVELS + 1)
    for pixel in pixels:
        counts[pixel * LEVELS // 256] += 1
    return max(a + b for a, b in itertools.pairwise(counts)) / len(pixels)
