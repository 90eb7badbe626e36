"""Small photos, small datasets, and how to run `lutkit` on them: what the tests of several rooms share."""

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
from PIL import Image

from lutkit.dataset.tars import read_samples
from lutkit.engine.engine import InProcess
from lutkit.synthesis.build import build_pairs, plan_synth
from lutkit.synthesis.manifest import Images, Manifest

SIZE_PX = 32


def textured(seed, width, height):
    """Pixels of a photo-like picture that no flip, turn or swap of channels leaves as it is."""
    rng = np.random.default_rng(seed)
    blotches = rng.integers(10, 246, (5, 7, 3), dtype=np.uint8)
    picture = np.asarray(Image.fromarray(blotches).resize((width, height), Image.Resampling.BICUBIC))
    grain = rng.integers(-6, 7, picture.shape)
    return np.clip(picture.astype(np.int64) + grain, 0, 255).astype(np.uint8)


def make_photos(folder, count=30):
    """Photos of 90 to 160 px, JPEG and PNG, some in a folder below, one turned by EXIF.

    With seed 0 and the default splits, 24 of 30 go to train, 4 to val and 2 to test.
    """
    (folder / "trip").mkdir(parents=True)
    rng = np.random.default_rng(7)
    for i in range(count):
        width, height = (int(side) for side in rng.integers(90, 161, 2))
        image = Image.fromarray(textured(i, width, height))
        path = folder / ("trip" if i % 5 == 0 else "") / f"beach-{i:02d}.{'jpg' if i % 2 else 'png'}"
        exif = Image.Exif()
        if i == 3:
            exif[0x0112] = 6
        image.save(path, exif=exif, **({"quality": 92} if i % 2 else {}))
    return folder


def manifest_of(photos, **changes):
    """A manifest over `photos`; `changes` are fields of `Manifest`."""
    return Manifest(**{"n": 300, "size_px": SIZE_PX, "images": Images(str(photos)), **changes})


def build(manifest, folder, engine=None):
    """Build a dataset, here in this process unless another engine is given."""
    return build_pairs(plan_synth(manifest), folder, engine or InProcess(), lambda _: None, lambda _: None)


def contents(folder, *parts):
    """The bytes of every file of a dataset folder, or of these parts of it, by path."""
    roots = [folder / part for part in parts] or [folder]
    files = [p for root in roots for p in ([root] if root.is_file() else sorted(root.rglob("*")))]
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files if p.is_file()}


def samples_of(folder):
    """Every sample of a dataset, its shards in order of their names: (key, members, its JSON)."""
    found = []
    for shard in sorted((folder / "shards").glob("*.tar")):
        with closing(read_samples(shard)) as samples:
            for sample in samples:
                members = dict(sample.members)
                found.append((sample.key, members, json.loads(members["json"])))
    return found


# The command line as a process of its own; -c, so that no installed script is needed.
LUTKIT = [sys.executable, "-c", "import sys; sys.argv[0] = 'lutkit'; from lutkit.cli import main; main()"]


def run_lutkit(*arguments, cwd: Path, before=None):
    """Run `lutkit ARGUMENTS` to its end; `before` runs in the process first."""
    command = [*LUTKIT, *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False, preexec_fn=before
    )


def assert_one_line(stderr, *words):
    """The message of a mistake: one line on stderr that names what it should, and no traceback."""
    lines = stderr.splitlines()
    assert len(lines) == 1, stderr
    assert lines[0].startswith("lutkit: ")
    assert "Traceback" not in stderr
    for word in words:
        assert word in lines[0], f"{word!r} is not in {lines[0]!r}"
