"""A worker process's side of the local pool: take the job, then task after task, and answer each.

Owns what a worker does with signals, with errors and when its parent is gone. Must not know what a task
does. Imports little, for every worker process imports it first.
"""

import gc
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any, NoReturn

from lutkit.compiled import PROCESS
from lutkit.engine.stopping import Stopped, raise_stopped
from lutkit.errors import LutkitError

# So many new objects before garbage is looked for: a few hundred samples' worth, a megabyte or so.
_GARBAGE = 20_000


class WorkError(RuntimeError):
    """A fault in lutkit, not in what it was given: `{task}: {type}: {message}`; its cause is a `Trace`."""


class Trace(Exception):  # noqa: N818
    """The traceback of a worker process as text, to stand as the cause of what was raised here."""

    def __str__(self) -> str:
        return "\n" + str(self.args[0])


@dataclass(frozen=True)
class Failure:
    """The answer to a task that failed: what is to be raised, and the worker's traceback or ""."""

    error: LutkitError | OSError | WorkError
    trace: str = ""


@dataclass(frozen=True)
class Last:
    """In place of a task: there are no more, hand over what was kept."""

    def __str__(self) -> str:
        return "handing over what was done"


def serve(pipe: "Connection[Any, Any]") -> None:
    """Receive (work, last, job) and then tasks from `pipe`, and send a result or a `Failure` for each.

    In answer to `Last()` it sends what `last(job)` gives.

    Returns when the pipe is closed or SIGTERM comes; work in progress then sees `Stopped` and clears up
    after itself. When the parent dies, by whatever signal, the process ends at once.

    Args:
        pipe: the worker's end; SIGINT and SIGTERM are blocked until this function has set its handlers.
    """
    PROCESS.needs_blas = False
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(Stopped, EOFError, BrokenPipeError, ConnectionResetError):
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
            _answer_all(pipe)
        finally:
            # From here on the process only ends: no exception may come into that.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _stop(signal_number: int, frame: FrameType | None) -> NoReturn:
    # In a finalizer Python prints what is raised and goes on; the closed pipe then ends this process.
    sys.unraisablehook = lambda _: None
    raise_stopped(signal_number, frame)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _answer_all(pipe: "Connection[Any, Any]") -> None:
    try:
        work, last, job = pipe.recv()
    except Exception as error:
        # Whatever unpickling raises: a module that cannot be imported, a name that is not in it.
        pipe.send(failure_of(error, "starting a worker"))
        return
    # Modules and the job live as long as the process: collecting garbage need not walk them again and again.
    gc.freeze()
    gc.set_threshold(_GARBAGE)
    while True:
        task = pipe.recv()
        try:
            pipe.send(last(job) if isinstance(task, Last) else work(job, task))
        except Exception as error:
            # Nothing is swallowed: it is raised again in the parent, which alone can end the run.
            pipe.send(failure_of(error, str(task)))


def failure_of(error: Exception, task: str) -> Failure:
    """What the parent is to raise for an error that came while a worker was at `task`."""
    if isinstance(error, LutkitError):
        return Failure(error)
    trace = "".join(traceback.format_exception(error))
    if isinstance(error, OSError) and error.errno is not None:
        name = None if error.filename is None else str(error.filename)
        return Failure(OSError(error.errno, error.strerror, name), trace)
    if isinstance(error, MemoryError):
        return Failure(LutkitError("ran out of memory", where=task, remedy="use fewer workers"), trace)
    return Failure(WorkError(f"{task}: {type(error).__name__}: {error}"), trace)
