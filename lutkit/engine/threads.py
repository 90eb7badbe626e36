"""Run tasks on threads of this process, for work outside Python's lock: decoding, compiled loops.

No new process has to load the package, and no data is sent. Must not know what a task does.
"""

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import Any

from lutkit.engine.engine import Job, Result, Task
from lutkit.engine.worker import Last, failure_of
from lutkit.errors import LutkitError


@dataclass(frozen=True)
class Threads:
    """Threads of this process that share one job; `work` must use a lock for data that it stores on the job.

    After Ctrl-C or an error, the running tasks are finished first. A crash of one thread ends the process.

    Args:
        threads: the number of threads, at least 1.
    Raises:
        LutkitError: if there is less than one thread.
    """

    threads: int

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise LutkitError(f"{self.threads} threads", remedy="ask for at least 1")

    def run(
        self,
        work: Callable[[Job, Task], Result],
        job: Job,
        tasks: Iterable[Task],
        last: Callable[[Job], Result] | None = None,
    ) -> Generator[Result, None, None]:
        """Call `work(job, task)` for every task on some thread; see `Engine.run`.

        `last` is called once, because there is one job, on the thread that takes the results.
        """
        waiting = iter(tasks)
        pool = ThreadPoolExecutor(self.threads)
        running: dict[Future[Result], Any] = {}

        def begin(count: int) -> None:
            running.update((pool.submit(work, job, task), task) for task in islice(waiting, count))

        task: object = ""
        try:
            begin(self.threads)
            some = bool(running)
            while running:
                done = sorted(wait(running, return_when=FIRST_COMPLETED).done, key=_has_failed)
                tasks_done = [running.pop(future) for future in done]
                if not _has_failed(done[-1]):
                    begin(len(done))
                # Results that arrived with an error are yielded before it is raised.
                for future, task in zip(done, tasks_done, strict=True):  # noqa: B007
                    yield future.result()
            if some and last is not None:
                task = Last()
                yield last(job)
        except (LutkitError, OSError):
            raise
        except Exception as error:
            raise failure_of(error, str(task)).error from error
        finally:
            pool.shutdown(cancel_futures=True)


def _has_failed(future: Future[Any]) -> bool:
    return future.exception() is not None
