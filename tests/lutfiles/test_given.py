"""A LUT or the path of its file: whatever takes one of them takes the other."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import lutkit
from lutkit.nn.lut import LutModule

LUT = lutkit.Lut3D(np.clip(lutkit.Lut3D.identity(4).table * [0.7, 0.8, 0.6] + [0.1, 0, 0.2], 0, 1))
PHOTO = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)


class OtherPath:
    """A path of another library."""

    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return str(self.path)


def apply_photos(lut):
    lutkit.apply_photos("photo.png", "graded.png", lut=lut, overwrite=True)
    return np.asarray(Image.open("graded.png"))


TAKERS = {
    "apply": lambda lut: lutkit.apply(PHOTO, lut),
    "apply_photos": apply_photos,
    "compose": lambda lut: lutkit.compose([lut, lut]).lut.table,
    "convert": lambda lut: lutkit.convert(lut, "other.spi3d", overwrite=True).lut.table,
    "inspect_lut": lambda lut: lutkit.inspect_lut(lut, plot="look.png", overwrite=True).mean_delta_e_2000,
    "invert": lambda lut: lutkit.invert(lut).lut.table,
    "lut_info": lambda lut: (lutkit.lut_info(lut).stages, lutkit.lut_info(lut).kind),
    "resize": lambda lut: lutkit.resize(lut, size=5).lut.table,
    "LutModule": lambda lut: LutModule(lut)(torch.from_numpy(PHOTO.transpose(2, 0, 1)[None].copy())).numpy(),
}


def test_all_functions_that_take_a_lut_are_here():
    named = {
        name
        for name in lutkit.__all__
        if inspect.isfunction(getattr(lutkit, name))
        and {"lut", "luts"} & set(inspect.signature(getattr(lutkit, name)).parameters)
    }
    # Writing a file as another file is `convert`; `pairs` takes a folder of LUTs.
    assert named - {"write_lut", "pairs"} == set(TAKERS) - {"LutModule"}


@pytest.mark.parametrize("name", TAKERS)
def test_a_lut_and_its_file_give_the_same(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PHOTO).save("photo.png")
    lutkit.write_lut(LUT, "look.cube")
    expected = TAKERS[name](LUT)
    for given in ("look.cube", Path("look.cube"), OtherPath(tmp_path / "look.cube")):
        np.testing.assert_equal(TAKERS[name](given), expected)
    with pytest.raises(lutkit.LutkitError, match="a LUT or the path of a LUT file is expected, not int"):
        TAKERS[name](3)
    with pytest.raises(lutkit.LutkitError, match=r"no\.cube"):
        TAKERS[name]("no.cube")


def test_a_lut_in_memory_has_no_file():
    found = lutkit.lut_info(LUT).to_dict()
    assert (found["file"], found["format"], found["max_error"], found["assumed"]) == (None, "", 0.0, "")
