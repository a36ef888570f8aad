"""Ask the kernel to begin writing what has been written, so that `fdatasync` at the end of a piece finds little to do.

Without it the kernel waits, and a piece of 64 MiB is durable 40 ms later than it could be: a third of what its MD5
takes.
"""

import ctypes
from typing import Final

WRITEBACK_BYTES: Final = 4 * 1024**2
"""Bytes worth a system call."""
_WRITE: Final = 2  # SYNC_FILE_RANGE_WRITE of linux/fs.h

# A hint that only Linux knows; elsewhere, and on file systems without it, nothing happens.
_sync_file_range = getattr(ctypes.CDLL(None), "sync_file_range", None)
if _sync_file_range is not None:
    _sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def begin_writeback(descriptor: int, start: int, end: int) -> None:
    """Begin to write bytes start…end of a file to its disk; returns at once and promises nothing."""
    if _sync_file_range is not None:
        _sync_file_range(descriptor, start, end - start, _WRITE)
