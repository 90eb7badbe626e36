"""Every example runs: of the package, of each public function, and of the pages under docs/."""

import doctest
import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lutkit
import lutkit.engine.engine
from lutkit.engine.engine import InProcess

ROOT = Path(__file__).resolve().parents[1]
FUNCTIONS = sorted(
    name for name in lutkit.__all__ if name != "__version__" and inspect.isfunction(getattr(lutkit, name))
)
OF_LATENTS = {"encode_latents", "decode_latents", "read_latents", "train_balancer"}
METHODS = ("Recipe.bake", "Recipe.severity", "Recipe.label")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to work in, and workers that need no process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lutkit.engine.engine, "LocalEngine", lambda workers: InProcess())
    return tmp_path


def run_examples(text, name):
    test = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
    assert test.examples, f"{name} has no example"
    report = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    runner.run(test, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_public_function_has_an_example_that_runs(name, folder):
    if name in OF_LATENTS:
        pytest.importorskip("diffusers")
        from small_vaes import one_thread, save_vae

        with one_thread():
            save_vae(folder / "vae")
            run_examples(inspect.getdoc(getattr(lutkit, name)), name)
        return
    run_examples(inspect.getdoc(getattr(lutkit, name)), name)


@pytest.mark.parametrize("name", METHODS)
def test_what_a_recipe_can_do_has_examples(name, folder):
    run_examples(inspect.getdoc(getattr(lutkit.Recipe, name.partition(".")[2])), name)


def test_help_begins_with_ten_lines_that_run(folder):
    """With true workers, in a session without a file, as a notebook is."""
    text = inspect.getdoc(lutkit)
    lines = [line for line in text.splitlines() if line.startswith(">>> ")]
    assert len(lines) == 10
    assert text.index(">>> ") < 140
    code = "import doctest, lutkit; raise SystemExit(doctest.testmod(lutkit).failed)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_help_needs_no_torch():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'diffusers', 'webdataset')))\n"
        "import lutkit, pydoc; text = pydoc.plain(pydoc.render_doc(lutkit))\n"
        "print(*(name for name in lutkit._HOMES if name not in text))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (run.returncode, run.stderr, run.stdout.strip()) == (0, "", "")


def blocks(page):
    """The blocks of Python in a page, in order."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def test_every_block_of_the_page_on_python_runs(folder):
    found = blocks(ROOT / "docs/python.md")
    assert len(found) > 5
    if importlib.util.find_spec("diffusers") is None:
        found = [block for block in found if "latents" not in block]
    else:
        from small_vaes import save_vae

        save_vae(folder / "vae")
    names = {}
    for block in found:
        exec(compile(block, "docs/python.md", "exec"), names)
