"""`lutkit apply` on the command line: its files, its output and its exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_datasets import assert_one_line, run_lutkit
from stored_photos import read_deep, samples, write_deep

from lutkit import apply
from lutkit.lut.model import Lut1D, Lut3D, LutChain
from lutkit.lutfiles.cube import write_cube

CURVES = Lut1D(np.linspace((0, 0.1, 0.2), (0.7, 1, 0.9), 33).astype(np.float32) ** 1.5)
TWIST = Lut3D(np.roll(Lut3D.identity(5).table, 1, axis=-1))


@pytest.fixture
def here(lutkit_):
    """Two LUTs and three photos in the folder where commands run."""
    write_cube(CURVES, "curves.cube")
    write_cube(TWIST, "twist.cube")
    Path("in/below").mkdir(parents=True)
    for i, name in enumerate(("in/a.png", "in/b.png", "in/below/c.png")):
        Image.fromarray(samples(np.uint8, 3, seed=i)).save(name)
    return Path.cwd()


def pixels_of(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_several_luts_go_in_order_and_strength_is_of_all(lutkit_, here):
    luts = ("--lut", "curves.cube", "--lut", "twist.cube")
    ended = lutkit_("apply", "in/a.png", *luts, "--strength", 0.25, "-o", "out.png")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "1 photo written to out.png.\n"
    wanted = apply(pixels_of("in/a.png"), LutChain([CURVES, TWIST]), strength=0.25)
    assert np.array_equal(pixels_of("out.png"), wanted)


def test_a_folder_is_mirrored_and_what_is_there_is_counted(lutkit_, here):
    command = ("apply", "in", "--lut", "curves.cube", "-o", "out")
    Path("in/d.heic").write_bytes(b"x")
    ended = lutkit_(*command)
    assert ended.code == 0
    assert "3 photos written to out." in ended.out
    assert "Skipped: 1 file of kinds that are not read (.heic)." in ended.out
    Path("out/b.png").unlink()
    ended = lutkit_(*command, "--workers", 2)
    assert "1 photo written to out, 2 kept, which were there already" in ended.out
    ended = lutkit_(*command, "--overwrite", "--json")
    found = json.loads(ended.out)
    assert (found["written"], found["kept"], found["failed"]) == (3, 0, 0)
    assert found["photos"][2]["output"] == "out/below/c.png"
    assert lutkit_(*command, "--quiet").out == ""


def test_a_photo_that_fails_is_named_and_the_rest_go_on(lutkit_, here):
    Path("in/aa.jpg").write_text("hello")
    ended = lutkit_("apply", "in", "--lut", "curves.cube", "-o", "out")
    assert ended.code == 1
    assert_one_line(ended.err, "in/aa.jpg", "not an image")
    assert "3 photos written to out, 1 failed." in ended.out
    ended = lutkit_("apply", "in", "--lut", "curves.cube", "-o", "out", "--json")
    assert json.loads(ended.out)["photos"][1]["error"] == "not an image"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"--lut": "broken.cube"}, ("broken.cube",)),
        ({"--lut": "missing.cube"}, ("missing.cube",)),
        ({"--strength": "1.5"}, ("--strength is 1.5", "0 to 1")),
        ({"--strength": "nan"}, ("--strength is nan", "0 to 1")),
        ({"--quality": "0"}, ("--quality is 0", "1 to 100")),
        ({"--profile": "drop"}, ("--profile", "convert or keep")),
        ({"--floats": "log"}, ("--floats", "linear or encoded")),
        ({"--workers": "0"}, ("at least 1",)),
        ({"-o": "in"}, ("would overwrite",)),
    ],
)
def test_a_wrong_word_stops_it_before_any_photo_is_touched(lutkit_, here, changes, words):
    Path("broken.cube").write_text("LUT_3D_SIZE 2\n0 0\n")
    options = {"--lut": "curves.cube", "-o": "out", **changes}
    ended = lutkit_("apply", "in", *(word for pair in options.items() for word in pair))
    assert (ended.code, ended.out) == (2, "")
    assert_one_line(ended.err, *words)
    assert not Path("out").exists()


def test_linear_light_and_values_as_they_are(lutkit_, here):
    pixels = samples(np.float32, 3)
    write_deep("a.exr", pixels, "float")
    for floats in ("linear", "encoded"):
        ended = lutkit_("apply", "a.exr", "--lut", "twist.cube", "--floats", floats, "-o", f"{floats}.exr")
        assert ended.code == 0
    # Turning channels round is the same in any encoding; the cube's straight lines are not.
    assert np.abs(read_deep("linear.exr")[0] - np.roll(pixels, 1, axis=-1)).max() < 1e-5
    assert np.array_equal(read_deep("encoded.exr")[0], apply(pixels, TWIST))


def test_photos_that_the_tool_is_started_for_in_a_process_of_its_own(here):
    ended = run_lutkit("apply", "in", "--lut", "curves.cube", "-o", "out", cwd=here)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "3 photos written to out.\n", "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_named(lutkit_, here):
    Path("out").mkdir(mode=0o500)
    ended = lutkit_("apply", "in/a.png", "--lut", "curves.cube", "-o", "out")
    assert ended.code == 1
    assert_one_line(ended.err, "out/a.png", "Permission denied")


def test_help_tells_the_policies_and_loads_nothing_heavy(lutkit_):
    ended = lutkit_("apply", "--help")
    assert ended.code == 0
    assert max(map(len, ended.out.splitlines())) <= 80
    for words in ("--profile keep", "linear light", "clamped", "CMYK is refused", "Examples:"):
        assert words in " ".join(ended.out.split())
    code = "import sys; sys.argv = ['lutkit', 'apply', '--help']\nfrom lutkit.cli import main\n"
    code += "try: main()\nexcept SystemExit: print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "numba", "PIL", "OpenImageIO", "PyOpenColorIO"} & set(done.stderr.split())


def test_openimageio_is_loaded_only_where_it_is_needed(here):
    code = "import sys; sys.argv = ['lutkit', 'apply', 'in', '--lut', 'curves.cube', '-o', 'out', '-q']\n"
    code += "from lutkit.cli import main\ntry: main()\nexcept SystemExit: pass\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=here)
    assert "PIL.Image" in done.stdout
    assert "OpenImageIO" not in done.stdout
    assert "torch" not in done.stdout.split()
