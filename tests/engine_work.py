"""What the engine's tests run in worker processes, and the program that they stop by signals."""

import atexit
import multiprocessing
import os
import signal
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from lutkit.dataset.atomic import whole_file
from lutkit.dataset.records import Record, shard_name, shard_path, write_record
from lutkit.dataset.tars import Sample, write_shard
from lutkit.errors import ImageError

if __name__ == "__mp_main__" and "SLOW_START" in os.environ:
    # A worker that is only just starting: it has loaded nothing of ours yet.
    (Path(os.environ["SLOW_START"]) / f"{os.getpid()}.starting").touch()
    time.sleep(0.5)


@dataclass(frozen=True)
class Job:
    folder: Path


class UnpicklableError(Exception):
    def __init__(self, one, two):
        super().__init__("no way back")


def surroundings(job: Job, task: int):
    """The task, and what the worker finds around it."""
    names = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {
        "task": task,
        "pid": os.getpid(),
        "threads": [os.environ.get(name) for name in names],
        "numpy was loaded": "numpy" in sys.modules,
        "start": multiprocessing.get_start_method(allow_none=True),
        "SIGINT": signal.getsignal(signal.SIGINT),
        "blocked": signal.pthread_sigmask(signal.SIG_BLOCK, ()),
    }


def keep(job: Job, task: int):
    """Note the task on the worker's own job."""
    vars(job).setdefault("kept", []).append(task)
    return task


def hand_over(job: Job):
    """All the tasks that this worker noted."""
    kept = vars(job)["kept"]
    if min(kept) < 0:
        raise ValueError("below 0")
    return kept


def misbehave(job: Job, task: str):
    """Do what `task` says; what worked is noted in the job's folder."""
    if task == "error":
        raise ImageError("truncated", where="a.jpg", remedy="drop it")
    if task == "disk":
        raise OSError(28, "No space left on device", "shards/a.tar")
    if task == "bug":
        raise ZeroDivisionError("of seven")
    if task == "unpicklable error":
        raise UnpicklableError(1, 2)
    if task == "unpicklable result":
        return lambda: None
    if task == "memory":
        raise MemoryError
    if task == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "exit":
        os._exit(3)
    if task == "at exit":
        atexit.register((job.folder / "ended").touch)
    if task == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        (job.folder / "begun").touch()
        time.sleep(10)
    if task == "slow":
        time.sleep(60)
    (job.folder / task).touch()
    return task


def write_slowly(job: Job, task: int):
    """Write a file that takes a minute, and say so when it is half way."""
    with whole_file(job.folder / f"{task}.out") as file:
        file.write(b"half")
        (job.folder / f"{task}.begun").write_text(str(os.getpid()))
        time.sleep(0 if task == 0 else 60)
    return task


def fill(job: Job, task: int):
    """Make a finished shard of some 100 kB in the dataset folder."""
    name = shard_name("train", task)
    file = write_shard(shard_path(job.folder, name), [Sample(f"{task}", (("bin", bytes(100_000)),))])
    write_record(job.folder, Record(name, 1, file))
    return name


def main(folder: Path) -> int:
    """Run until stopped; exit as a command does."""
    from lutkit.engine.engine import LocalEngine
    from lutkit.engine.stopping import Stopped, stopping

    try:
        with stopping(), closing(LocalEngine(2).run(write_slowly, Job(folder), range(9))) as results:
            for result in results:
                print(result, flush=True)
    except KeyboardInterrupt:
        return 130
    except Stopped as stop:
        return 128 + stop.signal_number
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
