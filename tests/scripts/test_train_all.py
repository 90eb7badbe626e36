"""`scripts/train_all`: each of its commands is understood, and reads what the one before wrote."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from lutkit.cli.app import app

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
# Writes down its arguments, one command a line.
RECORDER = """#!/bin/sh
printf '%s' "$(basename "$0")" >> "$(dirname "$0")/said"
for argument in "$@"; do printf '\\t%s' "$argument" >> "$(dirname "$0")/said"; done
echo >> "$(dirname "$0")/said"
"""


@pytest.fixture
def commands(tmp_path):
    """The commands that the script runs, as lists of arguments."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / "photos").mkdir()
    shutil.copy(SCRIPTS / "train_all", tmp_path / "scripts")
    (tmp_path / "scripts/setup.sh").write_text(f"cd {tmp_path}\n")
    for name in ("lutkit", "python"):
        (tmp_path / ".venv/bin" / name).write_text(RECORDER)
        (tmp_path / ".venv/bin" / name).chmod(0o755)
    script = [tmp_path / "scripts/train_all", tmp_path / "photos", tmp_path / "out"]
    ended = subprocess.run(script, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return [line.split("\t") for line in (tmp_path / ".venv/bin/said").read_text().splitlines()]


def options_of(words):
    """The parsed options of a command of lutkit."""
    command = typer.main.get_command(app)
    while words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    return command.make_context("lutkit", words).params


def test_its_commands_are_understood_and_follow_each_other(commands, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    out = tmp_path / "out"
    programs = [words[0] if words[0] == "lutkit" else words[1] for words in commands]
    assert programs == [
        "lutkit", "scripts/train_vae.py", "lutkit", "lutkit", "lutkit", "scripts/balance_sheet.py",
    ]  # fmt: skip
    synth, encode, balancer, adaptive = (options_of(words[1:]) for words in commands if words[0] == "lutkit")
    assert (synth["images"], synth["out"]) == (str(tmp_path / "photos"), out / "pairs")
    assert (encode["source"], encode["vae"]) == (str(out / "pairs"), str(out / "vae"))
    assert (balancer["data"], balancer["vae"]) == (encode["out"], str(out / "vae"))
    assert (adaptive["data"], adaptive["minutes"]) == ([out / "pairs"], 5)
    import balance_sheet

    sheet = balance_sheet.options_of(commands[-1][2:])
    assert (sheet.data, sheet.sheet, sheet.vae) == (str(out / "pairs"), out / "sheet.png", str(out / "vae"))
    assert sheet.model == [str(adaptive["out"]), str(balancer["out"])]


def test_the_vae_s_options_are_those_of_its_script(commands, tmp_path, monkeypatch):
    pytest.importorskip("diffusers")
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import train_vae

    options = train_vae.options_of(commands[1][2:])
    assert (options.photos, options.out, options.minutes) == (
        str(tmp_path / "photos"),
        tmp_path / "out/vae",
        40,
    )
    sys.modules.pop("train_vae")
