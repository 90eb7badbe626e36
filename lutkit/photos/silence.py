"""Silence the warnings of decoders: notes and reasons tell the user about odd files.

Python's filters of warnings are the process's, and threads decode at once.
"""

import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager

_CHANGING = threading.Lock()
_filters = warnings.catch_warnings()
_inside = 0


@contextmanager
def warnings_ignored() -> Generator[None]:
    """Within the block no warning is shown or raised, on any thread.

    The first thread that comes in sets the filter, and the last that leaves takes it away: were each to put
    back what it had found, one that left early would bring the warnings back, and one that left late would
    silence the process for good.
    """
    global _filters, _inside
    with _CHANGING:
        if _inside == 0:
            _filters = warnings.catch_warnings()
            _filters.__enter__()
            warnings.simplefilter("ignore")
        _inside += 1
    try:
        yield
    finally:
        with _CHANGING:
            _inside -= 1
            if _inside == 0:
                _filters.__exit__(None, None, None)
