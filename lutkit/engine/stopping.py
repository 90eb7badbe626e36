"""Ctrl-C and SIGTERM as exceptions, so that `finally` blocks run and nothing unfinished remains.

Owns signal handlers. Must not know what work is stopped.
"""

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


class Stopped(BaseException):
    """Raised on SIGTERM. Like KeyboardInterrupt, it is not caught by `except Exception`.

    Args:
        signal_number: the signal; a command ends with exit code 128 plus this number.
    """

    def __init__(self, signal_number: int) -> None:
        self.signal_number = signal_number
        super().__init__(signal_number)


@contextmanager
def stopping() -> Generator[None]:
    """Inside the block, SIGTERM raises `Stopped` in the main thread, once; Ctrl-C raises KeyboardInterrupt.

    A second SIGTERM is ignored, so that it does not interrupt the cleanup. The earlier handlers are restored
    at the end. Outside the main thread, where Python allows no handlers, nothing changes.

    Raises:
        Stopped: on SIGTERM.
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
    """Raise `Stopped`, and ignore this signal from now on; `stopping` sets this handler.

    Raises:
        Stopped: always.
    """
    signal.signal(signal_number, signal.SIG_IGN)
    raise Stopped(signal_number)
