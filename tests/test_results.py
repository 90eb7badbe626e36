"""What public functions return, and how they behave in scripts, notebooks and workers of others."""

import dataclasses
import inspect
import json
import os
import re
import signal
import subprocess
import sys
import time
import typing
from pathlib import Path

import numpy as np
import pytest

import lutkit
from lutkit.engine.engine import InProcess, LocalEngine, local_engine
from lutkit.results import ASIDE, to_values

ROOT = Path(__file__).resolve().parents[1]
IDENTITY = lutkit.Lut3D.identity(3)
GREY = np.full((4, 4, 3), 128, np.uint8)


@dataclasses.dataclass(frozen=True)
class Inner:
    at: Path
    shares: dict


@dataclasses.dataclass(frozen=True)
class Outer:
    inner: tuple
    nothing: None
    array: object = dataclasses.field(metadata=ASIDE)


def test_a_result_s_dictionary_is_json_without_what_stands_aside():
    found = to_values(Outer((Inner(Path("a/b"), {"x": 1.5}), "text"), None, np.ones(3)))
    assert json.loads(json.dumps(found)) == {
        "inner": [{"at": "a/b", "shares": {"x": 1.5}}, "text"],
        "nothing": None,
    }


def test_results_are_frozen():
    look = lutkit.inspect_lut(lutkit.Lut3D.identity(3))
    with pytest.raises(dataclasses.FrozenInstanceError):
        look.verdict = "lossy"
    assert list(look.to_dict())[:3] == ["file", "verdict", "judged_on"]


def result_classes():
    """What public functions return that has a dictionary."""
    functions = [getattr(lutkit, name) for name in lutkit.__all__]
    hints = [inspect.signature(one).return_annotation for one in functions if inspect.isfunction(one)]
    kinds = {kind for hint in hints for kind in (hint, *typing.get_args(hint)) if hasattr(kind, "to_dict")}
    return sorted(kinds, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", result_classes(), ids=lambda kind: kind.__name__)
def test_every_field_of_a_result_is_documented(kind):
    assert len(result_classes()) == 22
    assert kind.__dataclass_params__.frozen
    documented = set(re.findall(r"^    (\w+):", inspect.getdoc(kind), re.MULTILINE))
    assert {field.name for field in dataclasses.fields(kind)} <= documented


def test_without_a_callback_nothing_is_printed_and_with_one_all_is_told(tmp_path, capfd):
    seen = []
    for on_progress in (None, seen.append):
        made = lutkit.synth("sample", tmp_path / "out", n=4, size=32, workers=1, on_progress=on_progress)
    counted = lutkit.count_colors(tmp_path / "out", workers=1)
    assert lutkit.verify(tmp_path / "out", workers=1).sound
    assert capfd.readouterr() == ("", "")
    assert (made.built, counted.pixels) == (0, 4 * 32 * 32)
    assert seen[0].notes[0].startswith("4 photos, about one pair each")
    assert (seen[-1].done, seen[-1].total) == (4, 4)
    assert "4 of 4 pairs are there already." in seen[-1].notes


SCRIPT = """
import sys, lutkit
made = lutkit.synth("sample", "out", n=4, size=32, workers=2, splits={"a": 1, "b": 1})
compared = lutkit.compare("out", "out", set_field="input")
print(made.n, lutkit.verify("out", workers=2).sound, compared.sets[0].pairs)
"""


def test_a_script_needs_no_main_guard(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    run = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert (run.returncode, run.stderr, run.stdout) == (0, "", "4 True 4\n")


STOPPED = """
import lutkit
def told(progress):
    print(progress.stage, flush=True)
try:
    lutkit.synth("sample", "out", n=100_000, size=256, workers=2, on_progress=told)
except KeyboardInterrupt:
    import multiprocessing
    print("stopped", len(multiprocessing.active_children()), flush=True)
"""


def test_ctrl_c_ends_workers_and_the_run_can_go_on(tmp_path):
    (tmp_path / "script.py").write_text(STOPPED)
    with subprocess.Popen(
        [sys.executable, "script.py"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        for line in process.stdout:
            if line == "pairs\n":
                break
        os.kill(process.pid, signal.SIGINT)  # as a notebook interrupts its kernel: not its children
        out, err = process.communicate(timeout=60)
    assert out.endswith("stopped 0\n")
    assert (process.returncode, err) == (0, "")
    deadline = time.monotonic() + 10
    while any((tmp_path / "out").rglob("*.tmp")) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert list((tmp_path / "out").rglob("*.tmp")) == []


def test_a_worker_of_others_starts_no_processes(monkeypatch):
    """A DataLoader's worker is a daemon, which may have no children."""
    import multiprocessing

    assert isinstance(local_engine(2), LocalEngine)
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    assert isinstance(local_engine(2), InProcess)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: lutkit.DamageSettings(families="lamp"),
            "families]: 'lamp' are no shares; give names",
        ),
        (lambda: lutkit.DamageSettings(families={"lamp": "1"}), "are no shares"),
        (lambda: lutkit.DamageSettings(severity=8), "severity is two numbers"),
        (
            lambda: lutkit.damage(np.full((2, 2, 3), 1.2, np.float32), lutkit.Recipe()),
            "floats are 0..1; clip",
        ),
        (lambda: lutkit.damage([[1]], lutkit.Recipe()), "an image is a numpy array, not list"),
        (lambda: lutkit.invert(3), "a LUT or the path of a LUT file is expected, not int"),
        (lambda: lutkit.compose(["a.cube"]), "one LUT, and nothing to follow it"),
        (lambda: lutkit.count_colors(np.zeros((2, 2, 3))), "an image is (..., 3) uint8"),
        (lambda: lutkit.synth(n="5"), "--n is a whole number, not '5'"),
        (
            lambda: lutkit.synth(splits=3),
            '--splits: 3 are no shares; give names and shares, as in {"train": 0.9, "val": 0.1}',
        ),
        (
            lambda: lutkit.synth(kinds=[1]),
            '--kinds: [1] are no shares; give names and shares, as in {"distort": 0',
        ),
        (
            lambda: lutkit.synth(families=3),
            '--families: 3 are no shares; give names and shares, as in {"illumi',
        ),
        (
            lambda: lutkit.Manifest(kinds=3),
            '[kinds]: 3 are no shares; give names and shares, as in {"distort": 0',
        ),
        (lambda: lutkit.Manifest(splits={"train": "x"}), "[splits]: {'train': 'x'} are no shares"),
        (lambda: lutkit.Manifest(images="photos"), "images is Images, not 'photos'"),
        (lambda: lutkit.Recipe().label(np.zeros((2, 2, 3))), "a label is of (H, W, 3) uint8"),
    ],
)
def test_wrong_types_are_said_in_one_line(call, words):
    with pytest.raises(lutkit.LutkitError) as caught:
        call()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_families_are_taken_as_a_mapping():
    settings = lutkit.DamageSettings(families={"lamp": 2, "exposure": 1.0})
    assert settings == lutkit.DamageSettings(families=(("lamp", 2.0), ("exposure", 1.0)))
    assert settings.families == (("lamp", 2.0), ("exposure", 1.0))
    assert lutkit.Manifest(splits={"a": 1, "b": 2}).splits == (("a", 1.0), ("b", 2.0))


def test_floats_may_pass_their_range_by_rounding():
    image = np.full((3, 4, 3), 1.001, np.float32)
    assert lutkit.damage(image, lutkit.sample_recipe(1, 2)).shape == image.shape


def test_a_recipe_s_label_and_severity_are_those_that_a_dataset_records(tmp_path):
    lutkit.synth("sample", tmp_path / "out", n=12, size=48, codec="png", mixed_light=0.5, workers=1)
    library = lutkit.lut_library()
    labels = set()
    for _, target, metadata in lutkit.pairs(tmp_path / "out"):
        recipe = lutkit.Recipe.from_json(metadata["recipe"])
        assert recipe.label(target, library) == metadata["label"]
        assert recipe.severity(library) == pytest.approx(metadata["severity"], rel=1e-5)
        layers = recipe.bake(library)
        assert sum(layer.mask is not None for layer in layers) == len(recipe.masks)
        labels.add(metadata["label"])
    assert labels == {"recoverable", "lossy"}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: lutkit.compare("in", []), "no outputs to compare"),
        (lambda: lutkit.apply_photos([], "out", lut=IDENTITY), "no photos"),
        (lambda: lutkit.apply_photos("a.png", "out", lut=IDENTITY, strength="full"), "--strength is 'full'"),
        (lambda: lutkit.compose(IDENTITY), "one LUT, and nothing to follow it"),
        (lambda: lutkit.compose(lutkit.LutChain((IDENTITY, IDENTITY))), "one LUT, and nothing to follow it"),
        (lambda: lutkit.resize(IDENTITY, size=5.5), "a table cannot have size 5.5"),
        (lambda: lutkit.count_colors(GREY, split="val"), "an image is always counted completely"),
        (lambda: lutkit.stats(GREY, size=4), "an image is always counted completely"),
        (lambda: lutkit.synth("sample", "out", workers="2"), "'2' workers"),
        (lambda: lutkit.sample_recipe("1", 2), "a seed must be 0 or above, not '1'"),
        (lambda: lutkit.damage(GREY, "{}"), "a recipe is a Recipe, not str"),
    ],
)
def test_what_means_nothing_is_one_line(call, said):
    with pytest.raises(lutkit.LutkitError, match=re.escape(said)) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_compose_takes_any_iterable():
    curve = lutkit.Lut1D([[0, 0, 0], [1, 0.5, 1]])
    assert lutkit.compose(lut for lut in (curve, curve)).lut.table.tolist() == [[0, 0, 0], [1, 0.25, 1]]
