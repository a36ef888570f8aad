"""Copies of files that stay as sparse as they were."""

import errno
import os
from pathlib import Path

CHUNK = 64 * 1024**2


def copy(source: Path, target: Path) -> int:
    """Copy a file's data; its holes stay holes. The target's folder is made.

    Args:
        source: may grow or be removed meanwhile; what it held at the beginning is copied.
        target: replaced if it exists.

    Returns:
        Bytes of data that were copied, holes not counted.

    Raises:
        FileNotFoundError: there is no such source.
        OSError: the disk is full, or fails.

    """
    copied = 0
    descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        size = os.fstat(descriptor).st_size
        with target.open("wb") as out:
            os.ftruncate(out.fileno(), size)
            position = 0
            while (start := _next_data(descriptor, position)) is not None and start < size:
                end = min(os.lseek(descriptor, start, os.SEEK_HOLE), size)
                _copy_range(descriptor, out.fileno(), start, end)
                copied += end - start
                position = end
    finally:
        os.close(descriptor)
    return copied


def _next_data(descriptor: int, position: int) -> int | None:
    try:
        return os.lseek(descriptor, position, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:  # nothing but a hole up to the end
            return None
        raise


def _copy_range(source: int, target: int, start: int, end: int) -> None:
    position = start
    while position < end:
        try:
            # In the kernel; shares blocks where the file system can.
            count = os.copy_file_range(source, target, min(CHUNK, end - position), position, position)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
            count = os.pwrite(target, os.pread(source, min(1024**2, end - position), position), position)
        if count == 0:
            return  # the source has been cut short
        position += count
