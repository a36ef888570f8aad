"""Opening a hostile file, and getting frames out of it."""

import contextlib
from collections.abc import Iterator
from typing import Any

import av
import av.error

DECODED_PACKETS = 600  # a picture must come out of so many packets
BROKEN = (OSError, ValueError, av.error.FFmpegError)  # what PyAV raises for a damaged file


def open_file(order: dict[str, Any], file: Any = None) -> Any:
    """Open the file with nothing but the allowed demuxers, and no way to another file or host.

    Args:
        order: the task's.
        file: what is read in place of the file at the order's path.

    """
    options = {"format_whitelist": order["formats"], "protocol_whitelist": "file", "max_streams": "1000"}
    return av.open(file or f"file:{order['path']}", options=options, metadata_errors="replace")


def ready(stream: Any, order: dict[str, Any]) -> None:
    """Prepare a stream's decoder: refuse large pictures before any memory is taken for them, no threads."""
    stream.codec_context.options = {"max_pixels": str(order["max_pixels"])}
    stream.codec_context.thread_count = 1


def frames(container: Any, stream: Any, most: int = DECODED_PACKETS) -> Iterator[Any]:
    """Frames from where the container stands, out of at most so many packets; damaged ones are passed over."""
    try:
        for number, packet in enumerate(container.demux(stream)):
            with contextlib.suppress(*BROKEN):
                yield from packet.decode()
            if number > most:
                return
    except BROKEN:
        return


def first_frame(order: dict[str, Any], index: int) -> Any:
    """The first picture of a stream, decoded; None if nothing comes out."""
    container = open_file(order)
    stream = container.streams[index]
    ready(stream, order)
    return next(frames(container, stream), None)
