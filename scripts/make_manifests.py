"""Write the manifests that ship, one for each preset: `scripts/make_manifests.py [FOLDER]`.

Run it after a change of presets, of families or of a manifest's keys; a test checks that it was run.
"""

import sys
from pathlib import Path

from lutkit.distort.presets import PRESETS
from lutkit.synthesis.manifest_page import preset_page

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1] / "manifests"
for name in PRESETS:
    (folder / f"{name}.toml").write_text(preset_page(name), encoding="utf-8")
