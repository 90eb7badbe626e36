"""Engines: an engine gives tasks to workers and yields their results as they arrive.

Owns the local pool of processes. Must not know what a task does: neither shards nor images.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing import connection, resource_tracker
from multiprocessing.context import SpawnProcess
from time import monotonic
from types import ModuleType
from typing import Protocol, TypeVar, cast

from lutkit.engine.cpus import cpu_count
from lutkit.engine.worker import Failure, Last, Trace, failure_of, serve
from lutkit.errors import LutkitError

Job = TypeVar("Job")
Task = TypeVar("Task")
Result = TypeVar("Result")

# numba and the BLAS libraries read these when they are loaded, so they must be in the environment.
_ONE_THREAD = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_GRACE_S = 5.0
_NO_MORE = object()


class Engine(Protocol):
    """A runner of tasks: a pool of local processes, or a cluster."""

    def run(
        self,
        work: Callable[[Job, Task], Result],
        job: Job,
        tasks: Iterable[Task],
        last: Callable[[Job], Result] | None = None,
    ) -> Generator[Result, None, None]:
        """Call `work(job, task)` for every task on some worker, and yield the results in any order.

        Args:
            work: a function at a module's top level, which workers can import.
            job: the data that all tasks share; picklable, and sent to each worker once. A worker keeps its
                copy from task to task, including anything that `work` stores on it.
            tasks: small and picklable; `str(task)` names a task in errors. Tasks are taken as workers become
                free, never many in advance.
            last: called as `last(job)` once by each worker that had tasks, after all of them; its result is
                yielded too. Use it for results that are too large to return with each task.
        Returns:
            A generator; closing it (`contextlib.closing`) stops the workers.
        Raises:
            LutkitError: as `work` raised it, or if a worker died.
            OSError: as `work` raised it, with its errno.
            WorkError: if `work` raised anything else, which is a bug; its cause holds the traceback.
        """
        ...


@dataclass(frozen=True)
class LocalEngine:
    """Processes on this machine, started by spawn, with one numba and BLAS thread each.

    A single worker is also a separate process, so that any number of workers runs under the same conditions.
    Workers ignore Ctrl-C, which reaches the whole process group. They end when this process tells them to or
    dies, by whatever signal. On an error, running tasks are abandoned; results that arrived before are
    yielded first.

    Args:
        workers: the number of processes, at least 1; no more are started than there are tasks.
    Raises:
        LutkitError: if there is less than one worker.
    """

    workers: int

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise LutkitError(f"{self.workers} workers", remedy="ask for at least 1")

    def run(
        self,
        work: Callable[[Job, Task], Result],
        job: Job,
        tasks: Iterable[Task],
        last: Callable[[Job], Result] | None = None,
    ) -> Generator[Result, None, None]:
        """Call `work(job, task)` for every task in a worker process; see `Engine.run`."""
        waiting = iter(tasks)
        pool: list[_Worker] = []
        finished = False
        try:
            first = list(islice(waiting, self.workers))
            with _without_main(work, job):
                pool += _start(len(first))
            for worker, task in zip(pool, first, strict=True):
                worker.send((work, last, job))
                worker.give(task)
            busy: list[_Worker] = list(pool)
            while busy:
                heard = connection.wait([worker.pipe for worker in busy])
                ready: list[_Worker] = [worker for worker in busy if worker.pipe in heard]
                busy = [worker for worker in busy if worker not in ready]
                answers = [worker.answer() for worker in ready]
                failures = [answer for answer in answers if isinstance(answer, Failure)]
                if not failures:
                    busy += [worker for worker in ready if worker.go_on(waiting, last=last is not None)]
                yield from (cast("Result", a) for a in answers if not isinstance(a, Failure))
                for failure in failures:
                    raise failure.error from (Trace(failure.trace) if failure.trace else None)
            finished = True
        finally:
            _end(pool, at_once=not finished)


@dataclass(frozen=True)
class InProcess:
    """This process itself: nothing is started, and tasks run one after the other when results are requested.

    This is for a few tasks, for which starting processes would take longer than the work, and for a single
    worker whose work needs no separate process: Ctrl-C interrupts it immediately, and what kills it kills the
    caller.
    """

    def run(
        self,
        work: Callable[[Job, Task], Result],
        job: Job,
        tasks: Iterable[Task],
        last: Callable[[Job], Result] | None = None,
    ) -> Generator[Result, None, None]:
        """Call `work(job, task)` for every task in this process; see `Engine.run`."""
        task: object = ""
        some = False
        try:
            for task in tasks:
                some = True
                yield work(job, task)
            if some and last is not None:
                task = Last()
                yield last(job)
        except (LutkitError, OSError):
            raise
        except Exception as error:
            raise failure_of(error, str(task)).error from error


def wanted_workers(asked: int | None) -> int:
    """Return the requested number of workers, or one for each CPU that this process may use.

    Raises:
        LutkitError: if less than one is requested.
    """
    if asked is not None and (not isinstance(asked, int) or asked < 1):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise LutkitError(f"{asked!r} workers", remedy="ask for at least 1")
    return asked or cpu_count()


def local_engine(workers: int | None) -> Engine:
    """Return the engine for this machine and process.

    Args:
        workers: the number of processes; None means one for each CPU that this process may use.
    Returns:
        Worker processes; or this process itself, if it may start none, such as a worker of torch's
        `DataLoader`. The results are the same.
    Raises:
        LutkitError: if there is less than one worker.
    """
    count = wanted_workers(workers)
    return InProcess() if multiprocessing.current_process().daemon else LocalEngine(count)


class _Worker:
    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=serve, args=(theirs,), daemon=True)
        self.process.start()
        # Only the worker may hold its end, so that its death closes the pipe.
        theirs.close()
        self.task = ""
        self.handed_over = False

    def send(self, message: object) -> None:
        # If the worker is dead, that is noticed and reported when its answer is awaited.
        with suppress(BrokenPipeError, ConnectionResetError):
            self.pipe.send(message)

    def give(self, task: object) -> None:
        self.task = str(task)
        self.send(task)

    def go_on(self, waiting: Iterator[object], *, last: bool) -> bool:
        """Send the next task or, once after all tasks, `Last` if requested; return whether one was sent."""
        if self.handed_over:
            return False
        task = next(waiting, _NO_MORE)
        self.handed_over = task is _NO_MORE
        if task is not _NO_MORE:
            self.give(task)
        elif last:
            self.give(Last())
        return task is not _NO_MORE or last

    def answer(self) -> object:
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            self.process.join(_GRACE_S)
            return Failure(_death(self.process.exitcode, self.task))


def _death(exit_code: int | None, task: str) -> LutkitError:
    if exit_code is not None and exit_code < 0:
        return LutkitError(
            f"a worker process was killed by {signal.Signals(-exit_code).name} while it worked on {task}",
            remedy="if memory ran out, use fewer workers; the same command continues from what is finished",
        )
    return LutkitError(
        f"a worker process ended unexpectedly (exit code {exit_code}) while it worked on {task}",
        remedy="see what it printed above",
    )


def _start(count: int) -> list[_Worker]:
    # Otherwise the first worker would start the tracker, which would unblock the signals blocked here.
    resource_tracker.ensure_running()
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    # Workers inherit the mask, so no Ctrl-C can hit one before it ignores the signal.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        return [_Worker() for _ in range(count)]
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


_MAIN = (
    threading.Lock()
)  # held while `__main__` is hidden, because a second thread would restore the hidden state


@contextmanager
def _without_main(work: Callable[..., object], job: object) -> Generator[None]:
    """Hide this process's main script from new processes inside the block, unless it defines the work.

    A new process would run the script again. A script without `if __name__ == "__main__"` would then start
    workers of its own.
    """
    if "__main__" in (work.__module__, type(job).__module__):
        yield
        return
    with _MAIN:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


def _end(pool: list[_Worker], *, at_once: bool) -> None:
    for worker in pool:
        # An idle worker ends when its pipe is closed; a busy worker cleans up after SIGTERM.
        worker.pipe.close()
        if at_once:
            worker.process.terminate()
    deadline = monotonic() + _GRACE_S
    for worker in pool:
        worker.process.join(max(0.0, deadline - monotonic()))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.process.close()
