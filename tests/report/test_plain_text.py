"""Text from users and files is always escaped before a terminal, whatever a command prints it with."""

import ast
import io
import json
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rich.table import Table
from small_datasets import LUTKIT

from lutkit.lut.model import Lut3D
from lutkit.lutfiles.cube import write_cube
from lutkit.report.console import PlainConsole
from lutkit.report.plain_text import plain

RED = "\x1b[31m"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("warm.cube", "warm.cube"),
        ("фото 写真 é\u00a0x", "фото 写真 é\u00a0x"),
        (f"{RED}x", "\\x1b[31mx"),
        ("a\nlutkit: all is well", "a\\x0alutkit: all is well"),
        ("\x9b31mx", "\\x9b31mx"),
        ("gnp.\u202eeb", "gnp.\\u202eeb"),
        ("\udcff.jpg", "\\xff.jpg"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("a\tb", "a\tb"),
    ],
)
def test_what_is_not_seen_is_written_out(text, shown):
    assert plain(text) == shown


@given(st.text(st.characters()))
def test_nothing_is_left_that_a_terminal_obeys(text):
    shown = plain(text)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in shown if c != "\t")
    assert plain(shown) == shown
    shown.encode()


def test_the_console_s_lines_tables_titles_and_heads_are_plain():
    out = io.StringIO()
    console = PlainConsole()
    console.file = out
    table = Table(title=f"title {RED}")
    table.add_column(f"head {RED}")
    table.add_row(f"cell {RED}")
    console.print(table)
    console.print(f"line {RED}", soft_wrap=True)
    console.print("\nblank lines\n")
    console.out(f"out {RED}")
    assert "\x1b" not in out.getvalue()
    assert out.getvalue().count("\\x1b[31m") == 5
    assert "\nblank lines\n\n" in out.getvalue()


def run(*arguments, cwd, **environment):
    given = {**os.environ, **environment}
    return subprocess.run(
        [*LUTKIT, *map(str, arguments)], cwd=cwd, env=given, capture_output=True, timeout=300, check=False
    )


def test_commands_show_titles_and_names_plainly(tmp_path):
    name = f"a{RED}.cube"
    write_cube(Lut3D(Lut3D.identity(3).table, title=f"t{RED}\x9b2J"), tmp_path / name)
    Image.new("RGB", (32, 32), (90, 120, 40)).save(tmp_path / f"p{RED}.png")
    (tmp_path / f"bad{RED}.png").write_bytes(b"none")
    (tmp_path / f"bad{RED}.cube").write_text(f"LUT_3D_SIZE 2\n{RED}\n")
    look = f"{tmp_path}/{name}"
    for arguments in (
        ("lut", "info", name),
        ("lut", "info", f"bad{RED}.cube"),
        ("lut", "check", name, look),
        ("lut", "convert", name, f"b{RED}.clf"),
        ("lut", "identity", "--size", 3, "-o", f"id{RED}.cube"),
        ("apply", ".", "--lut", name, "-o", f"out{RED}"),
        ("stats", "."),
        ("verify", f"none{RED}"),
        ("synth", "--n", 1, "--images", ".", "--out", f"d{RED}", "--size", 16),
        ("verify", f"d{RED}"),
    ):
        done = run(*arguments, cwd=tmp_path)
        assert b"\x1b" not in done.stdout + done.stderr, arguments
        assert b"\xc2\x9b" not in done.stdout + done.stderr, arguments
        assert b"Traceback" not in done.stderr, (arguments, done.stderr)
        assert b"[31m" in done.stdout + done.stderr, arguments


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_an_output_that_cannot_encode_a_title_shows_its_numbers(encoding, tmp_path):
    write_cube(Lut3D(Lut3D.identity(3).table, title="写真"), tmp_path / "文.cube")
    done = run("lut", "info", "文.cube", cwd=tmp_path, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\u5199\\u771f" in done.stdout
    assert b"\\u6587.cube" in done.stdout
    done = run("lut", "check", "文.cube", "文.cube", cwd=tmp_path, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    done = run("lut", "info", "文.cube", "--json", cwd=tmp_path, PYTHONIOENCODING=encoding)
    assert json.loads(done.stdout)["title"] == "写真"


def test_nobody_prints_by_another_way():
    """Only the modules that escape text use `print` and Rich's own consoles."""
    root = Path(__file__).parents[2] / "lutkit"
    found = set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                *("print", "Console", "sys.stdout.write", "sys.stderr.write", "typer.echo"),
            ):
                found.add(f"{path.relative_to(root)}: {ast.unparse(node)[:40]}")
    assert found == {
        "report/plain_text.py: print(f'lutkit: {plain(str(message))}', ",
        "report/plain_text.py: print(plain(text))",
        "cli/app.py: print(f'lutkit {__version__}')",
        # What a process of --devices printed: it has escaped its own messages.
        "latents/ranks.py: sys.stderr.write(text)",
    }
