"""Loops kept on disk: never those of another version of lutkit."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lutkit.compiled

CALLED = """
from lutkit.compiled import compiled

SHIFT = {shift}

@compiled
def step(x):
    return x + {by}
"""
CALLING = """
from lutkit.compiled import compiled
from lutkit.called import SHIFT, step

@compiled
def walk(x):
    return step(step(x)) + SHIFT
"""
USE = """
from lutkit.calling import walk
found = walk(10.0)
print(found, *(sum(count.values()) for count in getattr(walk.dispatcher, "stats", ((),))[1:]))
"""
HIDDEN = """
import numba.core.caching
numba.core.caching.IndexDataCacheFile.__init__ = lambda self, **_: None
"""


@pytest.fixture
def use(tmp_path):
    """Run a loop of a small package of that name, in a process of its own: (result, kept, compiled)."""
    package = tmp_path / "lutkit"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "calling.py").write_text(CALLING)
    shutil.copy(Path(lutkit.compiled.__file__), package)

    def run(by, shift, before="", beside="", **environment):
        (package / "called.py").write_text(CALLED.format(by=by, shift=shift))
        (package / "beside.py").write_text(beside)
        done = subprocess.run(
            [sys.executable, "-c", before + USE],
            env={**os.environ, "PYTHONPATH": str(tmp_path), **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        return tuple(float(word) for word in done.stdout.split())

    return run


def test_a_loop_is_kept_until_a_loop_or_a_number_in_another_file_changes(use):
    assert use(by=1, shift=0) == (12, 0, 1)
    assert use(by=1, shift=0) == (12, 1, 0)
    assert use(by=2, shift=0) == (14, 0, 1)
    assert use(by=2, shift=5) == (19, 0, 1)


def test_a_file_without_loops_that_changes_costs_nothing(use):
    assert use(by=1, shift=0) == (12, 0, 1)
    assert use(by=1, shift=0, beside="# Runs what is compiled.") == (12, 1, 0)


def test_loops_are_kept_until_what_compiles_them_changes(use, tmp_path):
    assert use(by=1, shift=0) == (12, 0, 1)
    with (tmp_path / "lutkit/compiled.py").open("a") as file:
        file.write("# changed")
    assert use(by=1, shift=0) == (12, 0, 1)


def test_where_numba_hides_what_it_keeps_all_is_compiled_each_time(use):
    assert use(by=1, shift=0, before=HIDDEN) == (12, 0, 1)
    assert use(by=2, shift=0, before=HIDDEN) == (14, 0, 1)


def test_without_compiling_functions_are_what_they_were(use):
    assert use(by=3, shift=1, NUMBA_DISABLE_JIT="1") == (17,)


RUNS_LATE = """
import sys
from lutkit.calling import walk
assert not {"numba", "llvmlite"} & set(sys.modules)
walk(10.0)
assert "numba" in sys.modules
"""


def test_numba_is_loaded_when_the_first_loop_runs(use):
    assert use(by=1, shift=0, before=RUNS_LATE) == (12, 0, 1)


TWO_THREADS = """
import threading
from lutkit.calling import walk
together, made = threading.Barrier(4), set()

def look():
    together.wait()
    made.add(id(walk.dispatcher))

threads = [threading.Thread(target=look) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(made) == 1
"""


def test_threads_that_come_together_share_one_loop(use):
    assert use(by=1, shift=0, before=TWO_THREADS) == (12, 0, 1)


WATCHED = """
import gc
from lutkit.compiled import PROCESS
said = []
PROCESS.on_compiling = lambda: said.append(gc.isenabled())
from lutkit.calling import walk
walk(10.0)
walk(1)
assert gc.isenabled()
assert said == {said}, said
"""


def test_compiling_is_told_once_and_only_where_something_is_compiled(use):
    assert use(by=1, shift=0, before=WATCHED.format(said=[False])) == (12, 0, 2)
    assert use(by=1, shift=0, before=WATCHED.format(said=[])) == (12, 2, 0)


ALONE = """
import sys
from lutkit.compiled import PROCESS
PROCESS.needs_blas = False
from lutkit.calling import walk
walk(10.0)
assert "scipy.linalg" not in sys.modules
import scipy.linalg.cython_blas
"""


def test_a_process_of_lutkit_s_own_does_not_load_scipy_s_blas_and_may_later(use):
    assert use(by=1, shift=0, before=ALONE) == (12, 0, 1)


LACKING = """
from lutkit.calling import walk
from lutkit.compiled import is_lacking
assert is_lacking(walk) is {lacking}
"""


def test_a_loop_is_lacking_until_it_is_kept_and_after_a_change(use):
    assert use(by=1, shift=0, before=LACKING.format(lacking=True)) == (12, 0, 1)
    assert use(by=1, shift=0, before=LACKING.format(lacking=False)) == (12, 1, 0)
    assert use(by=2, shift=0, before=LACKING.format(lacking=True)) == (14, 0, 1)


@pytest.mark.parametrize("other", [{"NUMBA_CPU_NAME": "generic"}, {"NUMBA_CPU_FEATURES": "+sse2"}])
def test_a_loop_kept_for_another_cpu_is_lacking(other, use):
    assert use(by=1, shift=0, **other) == (12, 0, 1)
    assert use(by=1, shift=0, before=LACKING.format(lacking=True)) == (12, 0, 1)
    assert use(by=1, shift=0, before=LACKING.format(lacking=False)) == (12, 1, 0)
    assert use(by=1, shift=0, before=LACKING.format(lacking=False), **other) == (12, 1, 0)


def test_where_nothing_can_be_kept_nothing_is_lacking(use):
    assert use(by=1, shift=0, before=HIDDEN + LACKING.format(lacking=False)) == (12, 0, 1)
