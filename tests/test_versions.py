"""The versions that pyproject.toml allows are those that the constraints files name, from the oldest on."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
CORE = [Requirement(line) for line in PROJECT["dependencies"]]
ALL = CORE + [need for lines in EXTRAS.values() for need in map(Requirement, lines) if need.name != "lutkit"]


def pinned(name):
    lines = (ROOT / name).read_text().splitlines()
    parts = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(package): Version(version) for package, version in parts}


def bounds(need):
    """The versions that a requirement names, by operator."""
    return {one.operator: Version(one.version) for one in need.specifier}


@pytest.mark.parametrize("need", ALL, ids=str)
def test_every_range_has_two_ends_and_holds_what_the_tests_ran_with(need):
    assert set(bounds(need)) == {">=", "<"}
    assert need.specifier.contains(pinned("constraints.txt")[canonicalize_name(need.name)])


def test_the_oldest_versions_are_the_lower_ends():
    oldest = pinned("constraints-oldest.txt")
    assert set(oldest) == {canonicalize_name(need.name) for need in CORE}
    for need in CORE:
        version = oldest[canonicalize_name(need.name)]
        assert need.specifier.contains(version)
        # OpenImageIO's wheels have a fourth number.
        assert version.release[:3] == (*bounds(need)[">="].release, 0, 0)[:3]


def test_the_core_and_its_tests_need_no_torch():
    named = {Requirement(line).name for line in (*PROJECT["dependencies"], *EXTRAS["test-core"])}
    assert not named & {"torch", "webdataset", "diffusers", "safetensors", "datasets", "wids", "lutkit"}
    assert "scikit-image" not in {need.name for need in CORE}
