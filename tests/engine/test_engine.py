import itertools
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import engine_work
import pytest
from engine_work import Job

import lutkit.engine.engine as engine_module
from lutkit.engine.engine import InProcess, LocalEngine
from lutkit.engine.stopping import Stopped, stopping
from lutkit.engine.threads import Threads
from lutkit.engine.worker import WorkError
from lutkit.errors import ImageError, LutkitError


def wait_until(met, limit_s=60.0):
    """Wait until `met()`, and fail after a limit that only a hang reaches."""
    end = time.monotonic() + limit_s
    while not met():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def alive(pid):
    """Return whether a process with this number runs; a process that has ended does not count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture(autouse=True)
def _nothing_is_left_running():
    yield
    assert multiprocessing.active_children() == []


def test_workers_do_every_task_once_with_one_thread_each(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    results = list(LocalEngine(2).run(engine_work.surroundings, Job(tmp_path), iter(range(20))))
    assert sorted(result["task"] for result in results) == list(range(20))
    assert len({result["pid"] for result in results} - {os.getpid()}) == 2
    for result in results:
        assert result["threads"] == ["1"] * 4
        assert not result["numpy was loaded"]
        assert result["SIGINT"] == signal.SIG_IGN
        assert result["blocked"] == set()
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "NUMBA_NUM_THREADS" not in os.environ
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


def test_tasks_are_taken_only_as_workers_become_free_and_closing_stops_at_once(tmp_path):
    taken = []

    def tasks():
        for i in itertools.count():
            taken.append(i)
            yield "slow" if i == 1 else f"quick {i}"

    with closing(LocalEngine(2).run(engine_work.misbehave, Job(tmp_path), tasks())) as results:
        assert [next(results) for _ in range(3)] == ["quick 0", "quick 2", "quick 3"]
        assert len(taken) == 5
    assert not (tmp_path / "slow").exists()


def test_workers_end_in_good_order(tmp_path):
    list(LocalEngine(1).run(engine_work.misbehave, Job(tmp_path), ["at exit"]))
    assert (tmp_path / "ended").exists()


def test_a_worker_that_does_not_stop_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("lutkit.engine.engine._GRACE_S", 0.1)
    tasks = ["stubborn", "quick"]
    with closing(LocalEngine(2).run(engine_work.misbehave, Job(tmp_path), tasks)) as results:
        assert next(results) == "quick"
        wait_until((tmp_path / "begun").exists)
    assert not (tmp_path / "stubborn").exists()


def test_no_tasks_need_no_workers(tmp_path):
    assert list(LocalEngine(3).run(engine_work.misbehave, Job(tmp_path), [])) == []


PROCESSES = [LocalEngine(1), LocalEngine(2), LocalEngine(9)]
HERE = [InProcess(), Threads(1), Threads(3)]
ENGINES = pytest.mark.parametrize("engine", [*HERE, *PROCESSES])


@ENGINES
def test_what_a_worker_keeps_is_handed_over_once_after_its_last_task(tmp_path, engine):
    tasks = range(1, 8)
    results = list(engine.run(engine_work.keep, Job(tmp_path), tasks, engine_work.hand_over))
    kept = [result for result in results if isinstance(result, list)]
    assert sorted(result for result in results if isinstance(result, int)) == list(tasks)
    assert sorted(itertools.chain(*kept)) == list(tasks)
    assert all(kept)
    assert len(kept) == (1 if engine in HERE else min(engine.workers, 7))


@ENGINES
def test_without_tasks_nothing_is_handed_over(tmp_path, engine):
    assert list(engine.run(engine_work.keep, Job(tmp_path), [], engine_work.hand_over)) == []


@ENGINES
def test_an_error_while_handing_over_is_raised_and_named(tmp_path, engine):
    run = engine.run(engine_work.keep, Job(tmp_path), [1, -1], engine_work.hand_over)
    with pytest.raises(WorkError, match="handing over what was done: ValueError: below 0"):
        list(run)


@pytest.mark.parametrize(
    ("task", "kind", "what"),
    [
        ("error", ImageError, "a.jpg: truncated; drop it"),
        ("disk", OSError, "No space left"),
        ("memory", LutkitError, "memory: ran out of memory"),
        ("bug", WorkError, "bug: ZeroDivisionError: of seven"),
    ],
)
@pytest.mark.parametrize("engine", [InProcess(), Threads(1)])
def test_errors_in_this_process_are_those_of_workers(tmp_path, engine, task, kind, what):
    results = engine.run(engine_work.misbehave, Job(tmp_path), ["good", task, "never"])
    assert next(results) == "good"
    with pytest.raises(kind, match=what):
        next(results)
    assert [entry.name for entry in tmp_path.iterdir()] == ["good"]


def test_threads_work_at_once_take_tasks_as_they_become_free_and_share_one_job(tmp_path):
    """Two tasks wait for each other, which needs two threads."""
    both, taken = threading.Barrier(2, timeout=60), []

    def meet(job, task):
        if task < 2:
            both.wait()
        vars(job).setdefault("threads", set()).add(threading.current_thread())
        return task

    def tasks():
        for i in itertools.count():
            taken.append(i)
            yield i

    job = Job(tmp_path)
    with closing(Threads(2).run(meet, job, tasks())) as results:
        assert next(results) in (0, 1)
        assert len(taken) <= 4
    assert len(vars(job)["threads"]) == 2
    assert not any(thread.is_alive() for thread in vars(job)["threads"])


def test_threads_that_are_given_up_end_what_they_began_and_nothing_else(tmp_path):
    begun, threads = [], set()

    def work(job, task):
        begun.append(task)
        threads.add(threading.current_thread())
        if task == 1:
            raise ImageError("truncated")
        return task

    with pytest.raises(ImageError, match="truncated"):
        list(Threads(2).run(work, Job(tmp_path), range(99)))
    assert max(begun) < 9
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("workers", [0, -1])
def test_too_few_workers_are_refused(workers):
    with pytest.raises(LutkitError, match="workers; ask for at least 1"):
        LocalEngine(workers)
    with pytest.raises(LutkitError, match="threads; ask for at least 1"):
        Threads(workers)


def failing(folder, task):
    """Run one good task, then `task`, on one worker; check the good result and return the error."""
    got = []
    tasks = iter(["good", task, "never"])
    with pytest.raises(Exception) as raised:  # noqa: PT011, PT012
        for result in LocalEngine(1).run(engine_work.misbehave, Job(folder), tasks):
            got.append(result)  # noqa: PERF402
    assert got == ["good"]
    assert list(tasks) == ["never"]
    assert [entry.name for entry in folder.iterdir()] == ["good"]
    return raised.value


def test_a_lutkit_error_arrives_as_itself(tmp_path):
    error = failing(tmp_path, "error")
    assert type(error) is ImageError
    assert str(error) == "a.jpg: truncated; drop it"


def test_an_error_of_the_system_keeps_its_number_and_file(tmp_path):
    error = failing(tmp_path, "disk")
    assert isinstance(error, OSError)
    assert (error.errno, error.filename) == (28, "shards/a.tar")


@pytest.mark.parametrize(
    ("task", "message", "trace"),
    [
        ("bug", "bug: ZeroDivisionError: of seven", "engine_work.py"),
        ("unpicklable error", "unpicklable error: UnpicklableError: no way back", "engine_work.py"),
        ("unpicklable result", "unpicklable result: .*[Pp]ickle.*", "Traceback"),
    ],
)
def test_a_bug_arrives_with_its_traceback(tmp_path, task, message, trace):
    error = failing(tmp_path, task)
    assert type(error) is WorkError
    assert re.match(message, str(error))
    assert trace in str(error.__cause__)
    assert "misbehave" in str(error.__cause__) or task == "unpicklable result"


@pytest.mark.parametrize(
    ("task", "what"),
    [
        ("kill", "a worker process was killed by SIGKILL while it worked on kill; .*use fewer workers"),
        ("exit", r"a worker process ended unexpectedly \(exit code 3\) while it worked on exit; "),
        ("memory", "memory: ran out of memory; use fewer workers"),
    ],
)
def test_a_worker_that_dies_is_named_with_its_task(tmp_path, task, what):
    error = failing(tmp_path, task)
    assert type(error) is LutkitError
    with pytest.raises(LutkitError, match=what):
        raise error


def test_a_job_that_workers_cannot_load_is_an_error(tmp_path, monkeypatch):
    def nowhere(job, task):
        return task

    nowhere.__qualname__ = nowhere.__name__ = "nowhere"
    nowhere.__module__ = "engine_work"
    monkeypatch.setattr(engine_work, "nowhere", nowhere, raising=False)
    with pytest.raises(WorkError, match=r"starting a worker: AttributeError: .*nowhere"):
        list(LocalEngine(1).run(nowhere, Job(tmp_path), [1]))


@pytest.fixture
def program(tmp_path):
    """Start the test program in its own process group, with both workers half way through a file."""
    folder = tmp_path / "out"
    folder.mkdir()
    with subprocess.Popen(
        [sys.executable, "-W", "error", engine_work.__file__, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        pids = []
        try:
            begun = [folder / f"{task}.begun" for task in (1, 2)]
            wait_until(lambda: all(file.exists() and file.read_text() for file in begun))
            pids = [int(file.read_text()) for file in begun]
            yield process, folder, pids
        finally:
            for pid in (process.pid, *pids):
                if alive(pid):
                    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_is_clean(program, number, code):
    process, folder, pids = program
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        os.kill(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (code, "0\n", "")
    assert not any(alive(pid) for pid in pids)
    assert sorted(entry.name for entry in folder.iterdir()) == ["0.begun", "0.out", "1.begun", "2.begun"]


def test_workers_that_are_only_starting_ignore_ctrl_c_too(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-W", "error", engine_work.__file__, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "SLOW_START": str(tmp_path)},
    ) as process:
        wait_until(lambda: len(list(tmp_path.glob("*.starting"))) == 2)
        for marker in tmp_path.glob("*.starting"):
            os.kill(int(marker.stem), signal.SIGINT)
        wait_until((tmp_path / "2.begun").exists)
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")
    assert out in ("", "0\n")


def test_no_worker_outlives_a_killed_parent(program):
    process, folder, pids = program
    os.kill(process.pid, signal.SIGKILL)
    out, err = process.communicate(timeout=60)
    wait_until(lambda: not any(alive(pid) for pid in pids))
    assert (out, err) == ("0\n", "")
    assert not (folder / "1.out").exists()


def test_a_killed_worker_ends_the_program_with_its_name(program):
    process, _, pids = program
    os.kill(pids[1], signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert "killed by SIGKILL while it worked on 2" in err
    assert not alive(pids[0])


@pytest.mark.parametrize(
    "moment",
    [
        "import atexit; atexit.register(stop); tasks = []",
        "class Dies: __del__ = lambda self: stop()\ntasks = [Dies]",
    ],
    ids=["at exit", "in a finalizer"],
)
def test_a_worker_stopped_at_an_awkward_moment_prints_nothing(moment):
    code = (
        "import multiprocessing, os, signal; from lutkit.engine.worker import serve\n"
        "def stop(): os.kill(os.getpid(), signal.SIGTERM)\n"
        f"{moment}\n"
        "def work(job, task): task(); return 1\n"
        "ours, theirs = multiprocessing.Pipe()\n"
        "for message in ((work, None, None), *tasks): ours.send(message)\n"
        "ours.close()\n"
        "serve(theirs)"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_sigterm_becomes_an_exception_once_and_the_handler_is_restored():
    before = signal.getsignal(signal.SIGTERM)
    cleared_up = False
    with pytest.raises(Stopped) as raised, stopping():  # noqa: PT012
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
            cleared_up = True
    assert cleared_up
    assert raised.value.signal_number == signal.SIGTERM
    assert not isinstance(raised.value, Exception)
    assert signal.getsignal(signal.SIGTERM) == before


def test_engines_on_two_threads_leave_the_main_module_as_it_was(tmp_path, monkeypatch):
    """Each engine hides it while workers start; neither may restore the state that the other hid."""
    main, meet = sys.modules["__main__"], threading.Barrier(2, timeout=2)
    start = engine_module._start

    def slowly(count):
        with suppress(threading.BrokenBarrierError):
            meet.wait()
        return start(count)

    monkeypatch.setattr(engine_module, "_start", slowly)
    seen = [[], []]

    def run(number):
        seen[number] += (
            found["task"] for found in LocalEngine(1).run(engine_work.surroundings, Job(tmp_path), range(2))
        )

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sys.modules["__main__"] is main
    assert seen == [[0, 1], [0, 1]]
