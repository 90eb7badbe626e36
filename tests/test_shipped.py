"""Shipped files are found in a checkout, and from a wheel far from it."""

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import lutkit.shipped as shipped_module
from lutkit.errors import SourceError
from lutkit.shipped import shipped_folder

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("luts", "manifests")

needs_hatchling = pytest.mark.skipif(
    importlib.util.find_spec("hatchling") is None, reason="building a wheel without a network takes hatchling"
)


@pytest.mark.parametrize("name", NAMES)
def test_an_editable_install_finds_the_files_of_the_repository(name):
    assert shipped_folder(name) == ROOT / name


def test_files_inside_the_package_come_first(tmp_path, monkeypatch):
    for place in ("package/_shipped/luts", "luts"):
        (tmp_path / place).mkdir(parents=True)
    monkeypatch.setattr(shipped_module, "_PACKAGE", tmp_path / "package")
    assert shipped_folder("luts") == tmp_path / "package/_shipped/luts"


def test_a_broken_installation_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped_module, "_PACKAGE", tmp_path / "package")
    with pytest.raises(SourceError, match="the shipped folder 'luts' is missing; install lutkit again"):
        shipped_folder("luts")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """What a wheel puts into site-packages; built from a copy, so that the checkout stays as it is."""
    work = tmp_path_factory.mktemp("wheel")
    for name in ("lutkit", *NAMES):
        shutil.copytree(ROOT / name, work / "src" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, work / "src")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(work)]
    subprocess.run(command, cwd=work / "src", check=True, capture_output=True)
    [wheel] = work.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(work / "site")
    shutil.rmtree(work / "src")
    return work / "site"


@needs_hatchling
def test_a_wheel_carries_every_shipped_file(installed):
    for name in NAMES:
        shipped = {p.name: p.read_bytes() for p in (installed / "lutkit/_shipped" / name).iterdir()}
        assert shipped == {p.name: p.read_bytes() for p in (ROOT / name).iterdir()}
    assert (installed / "lutkit/py.typed").exists()


@needs_hatchling
def test_the_wheel_finds_its_own_files_and_takes_its_default_manifest(installed, tmp_path):
    """No whole run: away from the checkout every loop would have to be compiled anew."""
    code = (
        "import lutkit; from lutkit.synthesis.manifest import read_manifest; from lutkit.shipped import *\n"
        "print(lutkit.__file__)\n"
        "print(shipped_folder('luts'))\n"
        "print(read_manifest(shipped_folder('manifests') / 'default.toml').images.source)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    found = [installed / "lutkit/__init__.py", installed / "lutkit/_shipped/luts", "sample"]
    assert (done.stdout.splitlines(), done.stderr) == ([str(line) for line in found], "")
