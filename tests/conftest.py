"""Fixtures that every test may use."""

import signal
from pathlib import Path

import pytest
from hypothesis import settings
from small_datasets import build, make_photos, manifest_of

from lutkit.distort.settings import DamageSettings

# A job that a shell starts in the background ignores Ctrl-C, and so would every process that a test starts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples on every machine: a commit that passed here passes in CI. `--hypothesis-profile explore`
# draws others.
settings.register_profile("lutkit", deadline=None, print_blob=True, derandomize=True)
settings.register_profile("explore", deadline=None, print_blob=True, derandomize=False, max_examples=1000)
settings.load_profile("lutkit")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photos and LUTs beside the checkout; the test is skipped where it is missing."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("no folder of real data beside the checkout")
    return folder


# Datasets that several tests read; none of them may be changed.


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Thirty small photos."""
    return make_photos(tmp_path_factory.mktemp("photos") / "in")


@pytest.fixture(scope="session")
def jpeg_700(photos, tmp_path_factory):
    """700 pairs as JPEG, made in this process: what everything else must equal."""
    folder = tmp_path_factory.mktemp("jpeg") / "700"
    build(manifest_of(photos, n=700), folder)
    return folder


@pytest.fixture(scope="session")
def png_300(photos, tmp_path_factory):
    """300 pairs as PNG, so that pixels can be compared to the bit; random crops, several splits."""
    folder = tmp_path_factory.mktemp("png") / "300"
    build(manifest_of(photos, codec="png", crop="random"), folder)
    return folder


@pytest.fixture
def cube_folder(tmp_path):
    """A folder with two small asymmetric looks, one of them in a folder below."""
    folder = tmp_path / "cubes"
    (folder / "more").mkdir(parents=True)
    rows = [(r, g, b) for b in (0, 1) for g in (0, 1) for r in (0, 1)]
    swirl = "\n".join(f"{0.9 * r + 0.05} {0.8 * g + 0.1 * r} {0.7 * b + 0.1 * g + 0.1}" for r, g, b in rows)
    tint = "\n".join(f"{r**0.8} {0.95 * g} {0.85 * b + 0.05 * r}" for r, g, b in rows)
    (folder / "swirl.cube").write_text(f"LUT_3D_SIZE 2\n{swirl}\n")
    (folder / "more/tint.cube").write_text(f"LUT_3D_SIZE 2\n{tint}\n")
    return folder


@pytest.fixture(scope="session")
def many_kinds(tmp_path_factory):
    """60 pairs of two kinds and both labels in two splits, as PNG: what a filter of samples takes some of."""
    folder = tmp_path_factory.mktemp("kinds")
    manifest = manifest_of(
        make_photos(folder / "in"),
        n=60,
        codec="png",
        kinds=(("distort", 2.0), ("enhance", 1.0)),
        splits=(("train", 0.7), ("val", 0.3)),
        damage=DamageSettings(lossy=0.5),
    )
    build(manifest, folder / "60")
    return folder / "60"
