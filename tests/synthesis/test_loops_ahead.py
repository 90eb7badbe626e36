"""Loops compiled ahead: both parts run, but only if compiled code is missing."""

import pytest

import lutkit.synthesis.loops_ahead as loops_ahead
from lutkit.compiled import PROCESS
from lutkit.engine.engine import InProcess


class Counting(InProcess):
    """An engine that records its tasks."""

    def __init__(self) -> None:
        object.__setattr__(self, "seen", [])

    def run(self, work, job, tasks, last=None):
        tasks = list(tasks)
        self.seen.extend(tasks)
        return super().run(work, job, tasks, last)


@pytest.mark.parametrize("lacking", [True, False])
def test_both_parts_run_where_loops_are_lacking_and_that_is_told(monkeypatch, lacking):
    told = []
    monkeypatch.setattr(loops_ahead, "is_lacking", lambda loop: lacking)
    monkeypatch.setattr(PROCESS, "on_compiling", lambda: told.append("compiling"))
    engine = Counting()
    loops_ahead.compile_ahead(engine)
    assert engine.seen == (["judge", "pair"] if lacking else [])
    assert told == (["compiling"] if lacking else [])
