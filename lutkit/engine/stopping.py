"""Ctrl-C and SIGTERM as exceptions, so that `finally` blocks run and nothing half done stays.

Owns signal handlers. Must not know what is being stopped.
"""

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


class Stopped(BaseException):
    """SIGTERM came. Like KeyboardInterrupt, no `except Exception` holds it up.

    Args:
        signal_number: which signal; a command ends with exit code 128 plus this.
    """

    def __init__(self, signal_number: int) -> None:
        self.signal_number = signal_number
        super().__init__(signal_number)


@contextmanager
def stopping() -> Generator[None]:
    """Within the block, SIGTERM raises `Stopped` in the main thread, once; Ctrl-C raises KeyboardInterrupt.

    A second SIGTERM is ignored, so that it does not interrupt the clearing up. The handlers from before
    are restored at the end. Outside the main thread, where Python allows no handlers, nothing changes.

    Raises:
        Stopped: SIGTERM came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, raise_stopped)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def raise_stopped(signal_number: int, _frame: FrameType | None) -> NoReturn:
    """Raise `Stopped`, and ignore this signal from now on: the handler that `stopping` sets.

    Raises:
        Stopped: always.
    """
    signal.signal(signal_number, signal.SIG_IGN)
    raise Stopped(signal_number)
