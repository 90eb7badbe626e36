"""The public names stay callable once every module has been imported: no room is named like one of them."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

IMPORT_ALL_THEN_CALL = """
import importlib, sys, types
from pathlib import Path

import numpy as np

for path in sorted(Path("lutkit").rglob("*.py")):
    if path.name not in ("__main__.py", "triton_cube.py"):  # one runs, the other needs a GPU's compiler
        importlib.import_module(".".join(path.with_suffix("").parts).removesuffix(".__init__"))

import lutkit

folder = Path(sys.argv[1])
photo = np.random.default_rng(0).integers(0, 256, (8, 9, 3), np.uint8)
look = lutkit.Lut3D.identity(5)
lutkit.write_lut(look, folder / "look.cube")
assert np.array_equal(lutkit.apply(photo, lutkit.read_lut(folder / "look.cube")), photo)
recipe = lutkit.sample_recipe(1, 2, settings=lutkit.DamageSettings(severity=(5, 9)))
assert lutkit.damage(photo, recipe).shape == photo.shape
assert lutkit.Recipe.from_json(recipe.to_json()) == recipe
assert len(lutkit.lut_library(folder)) == 1
try:
    lutkit.pairs(folder / "none")
except lutkit.LutkitError:
    pass
for name in set(lutkit.__all__) - {"__version__"}:
    assert callable(getattr(lutkit, name)) and not isinstance(getattr(lutkit, name), types.ModuleType), name
"""


def test_public_names_stay_callable_whatever_was_imported(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL_THEN_CALL, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
