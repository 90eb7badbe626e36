"""Run the command line within this process, quickly, with an engine that starts no workers."""

import sys
from dataclasses import dataclass

import pytest

import lutkit.engine.engine
from lutkit.cli import main
from lutkit.engine.engine import InProcess, LocalEngine


@dataclass(frozen=True)
class Ended:
    """The result of a command."""

    code: int
    out: str
    err: str


@pytest.fixture
def lutkit_(monkeypatch, capsys, tmp_path):
    """Return a function that runs `lutkit ARGUMENTS` in this process, in an empty folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(lutkit.engine.engine, "LocalEngine", lambda workers: InProcess())

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["lutkit", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Ended(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def in_process():
    """An engine that runs tasks in this process, at once."""
    return InProcess()


@pytest.fixture
def lutkit_real_engine(lutkit_, monkeypatch):
    """The same with the check of the real engine, which raises an error for an invalid number of workers."""
    monkeypatch.setattr(lutkit.engine.engine, "LocalEngine", LocalEngine)
    return lutkit_
