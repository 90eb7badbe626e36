"""The one way a loop is compiled: numba, GIL released, no fastmath, no parallel reduction.

Loops run on the thread that calls them; whoever wants more threads splits the work. So the bits of a
result never depend on a thread count. numba is loaded when the first loop runs: a command that needs none
starts without it.
"""

import gc
import hashlib
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache, update_wrapper
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    import numpy.typing as npt

P = ParamSpec("P")
R = TypeVar("R")
Array = TypeVar("Array", bound="npt.NDArray[Any]")

_PACKAGE = Path(__file__).parent
_BUILDING = threading.RLock()


class Loop:
    """A function that is compiled when it is first called, from Python or from another loop.

    Args:
        function: what is compiled; globals that it names are constants, modules, and loops.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        update_wrapper(self, function)
        self._function = function
        self._dispatcher: Any = None

    def __call__(self, *args: Any) -> Any:  # noqa: ANN401
        """Run it, compiled for the types of these arguments."""
        return (self._dispatcher or self.dispatcher)(*args)

    @property
    def dispatcher(self) -> Any:  # noqa: ANN401  (numba's types are not known statically)
        """What numba makes of the function, made once."""
        if self._dispatcher is None:
            with _BUILDING:
                if self._dispatcher is None:
                    self._dispatcher = _dispatcher(self._function)
        return self._dispatcher

    @property
    def _numba_type_(self) -> Any:  # noqa: ANN401
        # numba asks this of a global that it does not know, when it compiles a loop that calls this one.
        return self.dispatcher._numba_type_


class Instruction:
    """What numba calls an intrinsic: an instruction of our own for loops, not callable from Python.

    Args:
        emit: takes the typing context and the arguments' types, and returns their signature and what builds
            the code; see `numba.extending.intrinsic`.
    """

    def __init__(self, emit: Callable[..., Any]) -> None:
        self._emit = emit
        self._type: Any = None

    @property
    def _numba_type_(self) -> Any:  # noqa: ANN401
        with _BUILDING:
            if self._type is None:
                from numba.core.registry import cpu_target
                from numba.extending import intrinsic

                made, context = intrinsic(self._emit), cast("Any", cpu_target.typing_context)
                context.refresh()
                self._type = context.resolve_value_type(made)
            return self._type


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` on its first call, and keep the machine code on disk where that is possible.

    numba keeps it beside the source or in the user's cache folder and raises RuntimeError where neither
    can be written (a read-only install without a home); then every process compiles for itself.

    A loop's machine code holds the loops that it calls and the constants that it names, wherever those are
    written, and numba looks only at the file the loop itself stands in. So what is kept holds for as long as
    every file with loops is what it was: after an update of lutkit none is stale. Loops name nothing of
    lutkit's that is written elsewhere (tests/test_house.py).
    """
    return cast("Callable[P, R]", Loop(function))


def read_only(array: Array) -> Array:
    """A view of `array` that cannot be written.

    numba takes such an array for another type. Where a loop may get either, what it only reads is passed as
    such a view by all its callers, so that it is compiled once.
    """
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass
class Process:
    """What a process that is lutkit's alone, a command or a worker, may set before its first loop runs.

    Args:
        needs_blas: whether numba may look for scipy's BLAS, as users' own loops in the same process may want.
            Ours never call it, and loading it takes a fifth of the time that an apply takes to start.
        on_compiling: called once, when the first loop is compiled that was not kept on disk.
    """

    needs_blas: bool = True
    on_compiling: Callable[[], None] | None = None


PROCESS = Process()


def is_lacking(function: Callable[..., Any]) -> bool:
    """Whether a loop's machine code could be kept on disk and is not: it would be compiled."""
    kept = _kept(cast("Loop", function).dispatcher)
    try:
        return kept is not None and not kept._load_index()
    except Exception:  # whatever a damaged file makes numba raise, which compiles then
        return True


def tell_of_compiling() -> None:
    """Call `PROCESS.on_compiling`, once; for what has loops compiled by other processes."""
    told, PROCESS.on_compiling = PROCESS.on_compiling, None
    if told is not None:
        told()


def loops_run() -> bool:
    """Whether a loop has run in this process, or will start at once: numba is loaded."""
    return "numba" in sys.modules


@cache
def _load_numba() -> None:
    """Load numba and what it loads with the first loop, and watch what it compiles."""
    with _no_garbage_looked_for():
        from numba.core import event, registry

        name = "scipy.linalg.cython_blas"
        if not PROCESS.needs_blas and name not in sys.modules:
            # Of this one module Python says that it is not installed, as long as numba asks.
            sys.modules[name] = cast("Any", None)
            try:
                import_module("numba.np.arraymath")
            finally:
                del sys.modules[name]
        cast("Any", registry.cpu_target.target_context).refresh()

    class Watch(event.Listener):
        """Says when the first loop is compiled, and looks for no garbage as long as one is."""

        def __init__(self) -> None:
            self.depth = 0
            self.compiling = ExitStack()

        def on_start(self, event: Any) -> None:  # noqa: ANN401
            self.depth += 1
            if self.depth == 1:
                self.compiling.enter_context(_no_garbage_looked_for())
                tell_of_compiling()

        def on_end(self, event: Any) -> None:  # noqa: ANN401
            self.depth -= 1
            if self.depth == 0:
                self.compiling.close()

    event.register("numba:compile", Watch())


@contextmanager
def _no_garbage_looked_for() -> Generator[None]:
    """For loading and compiling: next to no garbage is found there, in much time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _dispatcher(function: Callable[..., Any]) -> Any:  # noqa: ANN401
    _load_numba()
    import numba

    # No second entry for callers in C, which there are none of.
    options: dict[str, Any] = {
        "nogil": True,
        "fastmath": False,
        "error_model": "numpy",
        "no_cfunc_wrapper": True,
    }
    plain = numba.njit(**options)(function)
    try:
        loop: Any = numba.njit(cache=True, **options)(function)
    except RuntimeError:
        return plain
    kept = _kept(loop)
    if kept is None:
        return plain
    kept._source_stamp = (kept._source_stamp, _loops_stamp())
    return loop


def _kept(loop: Any) -> Any:  # noqa: ANN401
    """What numba keeps of a loop on disk; None where it keeps nothing."""
    # numba has no public way to it. Where a later one hides it elsewhere, slow is better than stale.
    kept = getattr(getattr(loop, "_cache", None), "_cache_file", None)
    return kept if hasattr(kept, "_source_stamp") else None


@cache
def _loops_stamp() -> str:
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        text = path.read_bytes()
        if b"lutkit.compiled" in text:  # files with loops import it; this one names it here
            digest.update(text)
    return digest.hexdigest()
