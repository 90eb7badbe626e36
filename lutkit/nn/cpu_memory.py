"""Memory that a process keeps: on a CPU, a VAE asks for and frees hundreds of megabytes in every layer.

By default glibc gives large blocks back to the system at once, which then clears each page anew: some third
of the time that a bfloat16 encoder takes.
"""

import ctypes
import sys

# From malloc.h.
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
_KEPT_BYTES = 1 << 30


def keep_freed_memory() -> None:
    """Keep what is freed, up to a gigabyte, for the blocks that come next; nothing happens without glibc.

    It holds for the main thread, whose heap alone can grow so far, and to the end of the process.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_TRIM_THRESHOLD, 2 * _KEPT_BYTES - 1)
