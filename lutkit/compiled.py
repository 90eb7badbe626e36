"""The one way a loop is compiled: numba, GIL released, no fastmath, no parallel reduction.

Loops run on the thread that calls them; whoever wants more threads splits the work. So the bits of a
result never depend on a thread count.
"""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")

_PACKAGE = Path(__file__).parent


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` on its first call, and keep the machine code on disk where that is possible.

    numba keeps it beside the source or in the user's cache folder and raises RuntimeError where neither
    can be written (a read-only install without a home); then every process compiles for itself.

    A loop's machine code holds the loops that it calls and the constants that it names, wherever those are
    written, and numba looks only at the file the loop itself stands in. So what is kept holds for as long as
    every file with loops is what it was: after an update of lutkit none is stale. Loops name nothing of
    lutkit's that is written elsewhere (tests/test_house.py).
    """
    options: dict[str, Any] = {"nogil": True, "fastmath": False, "error_model": "numpy"}
    plain = cast("Callable[P, R]", numba.njit(**options)(function))
    try:
        loop: Any = numba.njit(cache=True, **options)(function)
    except RuntimeError:
        return plain
    # numba has no public way to it. Where a later one hides it elsewhere, slow is better than stale.
    kept: Any = getattr(getattr(loop, "_cache", None), "_cache_file", None)
    if not hasattr(kept, "_source_stamp"):
        return plain
    kept._source_stamp = (kept._source_stamp, _loops_stamp())
    return cast("Callable[P, R]", loop)


@cache
def _loops_stamp() -> str:
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        text = path.read_bytes()
        if b"lutkit.compiled" in text:  # files with loops import it; this one names it here
            digest.update(text)
    return digest.hexdigest()
