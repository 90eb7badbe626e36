"""The worker's side of the local pool: receive the job, then task after task, and answer each.

Owns how a worker handles signals, errors and the death of its parent. Must not know what a task does. Imports
little, because every worker process imports it first.
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

# New objects before a garbage collection: the objects of a few hundred samples, about a megabyte.
_GARBAGE = 20_000


class WorkError(RuntimeError):
    """A bug in lutkit, not in its input: `{task}: {type}: {message}`; its cause is a `Trace`."""


class Trace(Exception):  # noqa: N818
    """The traceback of a worker process as text, used as the cause of the exception raised here."""

    def __str__(self) -> str:
        return "\n" + str(self.args[0])


@dataclass(frozen=True)
class Failure:
    """The answer for a failed task: the exception to raise, and the worker's traceback or ""."""

    error: LutkitError | OSError | WorkError
    trace: str = ""


@dataclass(frozen=True)
class Last:
    """A message in place of a task: there are no more tasks, so send the result of `last(job)`."""

    def __str__(self) -> str:
        return "handing over what was done"


def serve(pipe: "Connection[Any, Any]") -> None:
    """Receive (work, last, job) and then tasks from `pipe`, and send a result or a `Failure` for each.

    For `Last()` it sends the result of `last(job)`.

    The function returns when the pipe is closed or on SIGTERM; running work then gets `Stopped` and cleans
    up. If the parent dies, by whatever signal, the process ends at once.

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
            # From here on the process is ending: no exception may interrupt that.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _stop(signal_number: int, frame: FrameType | None) -> NoReturn:
    # In a finalizer Python prints the exception and continues; then the closed pipe ends this process.
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
        # Unpickling can raise anything, for instance if a module cannot be imported or lacks a name.
        pipe.send(failure_of(error, "starting a worker"))
        return
    # Modules and the job live as long as the process, so the garbage collector need not visit them again.
    gc.freeze()
    gc.set_threshold(_GARBAGE)
    while True:
        task = pipe.recv()
        try:
            pipe.send(last(job) if isinstance(task, Last) else work(job, task))
        except Exception as error:
            # Nothing is lost: the parent raises the exception again, because only it can end the run.
            pipe.send(failure_of(error, str(task)))


def failure_of(error: Exception, task: str) -> Failure:
    """Return what the parent must raise for an error that a worker had in `task`."""
    if isinstance(error, LutkitError):
        return Failure(error)
    trace = "".join(traceback.format_exception(error))
    if isinstance(error, OSError) and error.errno is not None:
        name = None if error.filename is None else str(error.filename)
        return Failure(OSError(error.errno, error.strerror, name), trace)
    if isinstance(error, MemoryError):
        return Failure(LutkitError("ran out of memory", where=task, remedy="use fewer workers"), trace)
    return Failure(WorkError(f"{task}: {type(error).__name__}: {error}"), trace)
