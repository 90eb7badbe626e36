"""The one way in which loops are compiled: numba, with the GIL released, no fastmath, no parallel reduction.

Loops run on the thread that calls them; a caller that wants more threads divides the work. The bits of a
result therefore never depend on the number of threads. numba is loaded when the first loop runs, so that a
command that needs no loop starts without it.
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
        function: the function to compile; the globals that it names are constants, modules, and loops.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        update_wrapper(self, function)
        self._function = function
        self._dispatcher: Any = None

    def __call__(self, *args: Any) -> Any:  # noqa: ANN401
        """Run the function, compiled for the types of these arguments."""
        return (self._dispatcher or self.dispatcher)(*args)

    @property
    def dispatcher(self) -> Any:  # noqa: ANN401  (numba's types are not known statically)
        """The numba dispatcher of the function, made once."""
        if self._dispatcher is None:
            with _BUILDING:
                if self._dispatcher is None:
                    self._dispatcher = _dispatcher(self._function)
        return self._dispatcher

    @property
    def _numba_type_(self) -> Any:  # noqa: ANN401
        # numba looks for this attribute on a global that it does not know, when it compiles a loop that calls
        # this one.
        return self.dispatcher._numba_type_


class Instruction:
    """An instruction of our own for loops, which numba calls an intrinsic; it cannot be called from Python.

    Args:
        emit: takes the typing context and the types of the arguments, and returns their signature and a
            function that builds the code; see `numba.extending.intrinsic`.
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
    """Compile `function` on its first call, and keep the machine code on disk if possible.

    numba stores the code beside the source or in the user's cache folder. It raises RuntimeError if it can
    write to neither (a read-only install without a home folder); every process then compiles for itself.

    The machine code of a loop includes the loops that it calls and the constants that it names, in whatever
    file they are, but numba checks only the file of the loop itself. Stored code is therefore valid only
    while every file with loops is unchanged, so that no code is stale after an update of lutkit. Loops name
    nothing else from other files of lutkit (tests/test_house.py).
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
    """Settings of a process of lutkit's own (a command or a worker), made before its first loop runs.

    Args:
        needs_blas: whether numba may look for scipy's BLAS, which users' own loops in the same process may
            need. Our loops never call it, and loading it takes a fifth of the start-up time of an apply.
        on_compiling: called once, when the first loop is compiled that was not stored on disk.
    """

    needs_blas: bool = True
    on_compiling: Callable[[], None] | None = None


PROCESS = Process()


def is_lacking(function: Callable[..., Any]) -> bool:
    """Return whether a loop's machine code could be kept on disk and is not: it would be compiled.

    Machine code of another CPU, which numba keeps in the same file, does not count.
    """
    loop = cast("Loop", function).dispatcher
    kept = _kept(loop)
    if kept is None:
        return False
    try:
        # As numba looks it up, for any types of arguments: by CPU and its features, and the function's code.
        _, *ours = loop._cache._index_key((), loop.targetctx.codegen())
        return all(ours != key for _, *key in kept._load_index())
    except Exception:  # whatever a damaged file makes numba raise, which compiles then
        return True


def tell_of_compiling() -> None:
    """Call `PROCESS.on_compiling`, once; for what has loops compiled by other processes."""
    told, PROCESS.on_compiling = PROCESS.on_compiling, None
    if told is not None:
        told()


def loops_run() -> bool:
    """Return whether a loop has run in this process or can start at once, because numba is loaded."""
    return "numba" in sys.modules


@cache
def _load_numba() -> None:
    """Load numba and what it loads with the first loop, and watch what it compiles."""
    with _no_garbage_looked_for():
        from numba.core import event, registry

        name = "scipy.linalg.cython_blas"
        if not PROCESS.needs_blas and name not in sys.modules:
            # While numba asks for this one module, Python reports that it is not installed.
            sys.modules[name] = cast("Any", None)
            try:
                import_module("numba.np.arraymath")
            finally:
                del sys.modules[name]
        cast("Any", registry.cpu_target.target_context).refresh()

    class Watch(event.Listener):
        """Report the first compilation, and pause garbage collection while a loop is compiled."""

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
    """Return what numba stores of a loop on disk; None if it stores nothing."""
    # numba has no public way to this. If a later version hides it elsewhere, slow code is better than stale
    # code.
    kept = getattr(getattr(loop, "_cache", None), "_cache_file", None)
    return kept if hasattr(kept, "_source_stamp") else None


@cache
def _loops_stamp() -> str:
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        text = path.read_bytes()
        if b"lutkit.compiled" in text:  # files with loops import it, and this file names it here
            digest.update(text)
    return digest.hexdigest()
