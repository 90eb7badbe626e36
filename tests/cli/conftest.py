"""The command line within this process: quick, and with an engine that starts no workers."""

import sys
from dataclasses import dataclass

import pytest
from small_datasets import InProcess, make_photos

import lutkit.cli.synth_screen
import lutkit.pipeline.engine
from lutkit.cli import main


@dataclass(frozen=True)
class Ended:
    """What a command came to."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Thirty small photos."""
    return make_photos(tmp_path_factory.mktemp("photos") / "in")


@pytest.fixture
def lutkit_(monkeypatch, capsys, tmp_path):
    """Run `lutkit ARGUMENTS` here, in an empty folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for module in (lutkit.cli.synth_screen, lutkit.pipeline.engine):
        monkeypatch.setattr(module, "LocalEngine", lambda workers: InProcess())

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["lutkit", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Ended(int(ended.value.code or 0), captured.out, captured.err)

    return run
