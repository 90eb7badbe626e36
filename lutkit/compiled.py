"""The one way a loop is compiled: numba, GIL released, no fastmath, no parallel reduction.

Loops run on the thread that calls them; whoever wants more threads splits the work. So the bits of a
result never depend on a thread count.
"""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` on its first call, and keep the machine code on disk where that is possible.

    numba keeps it beside the source or in the user's cache folder and raises RuntimeError where neither
    can be written (a read-only install without a home); then every process compiles for itself.
    """
    options: dict[str, Any] = {"nogil": True, "fastmath": False, "error_model": "numpy"}
    try:
        return cast("Callable[P, R]", numba.njit(cache=True, **options)(function))
    except RuntimeError:
        return cast("Callable[P, R]", numba.njit(**options)(function))
