"""`lutkit lut check`: the table, the list, images, and messages for files that cannot be read."""

import json

import numpy as np
import pytest
from PIL import Image

from lutkit.lut.inspection import inspect
from lutkit.lut.model import Lut1D, Lut3D
from lutkit.lutfiles.cube import write_cube

RAMP = np.linspace(0, 1, 65)
DIM = Lut1D(np.stack([0.1 + 0.8 * RAMP, RAMP**1.3, 0.7 * RAMP], axis=1).astype(np.float32))
BRIGHT = Lut1D(np.repeat(np.minimum(1.6 * RAMP, 1)[:, None], 3, axis=1).astype(np.float32))


@pytest.fixture
def luts(tmp_path):
    write_cube(DIM, tmp_path / "dim.cube")
    write_cube(BRIGHT, tmp_path / "bright.cube")
    write_cube(Lut3D.identity(3), tmp_path / "same.cube")
    (tmp_path / "broken.cube").write_text("LUT_3D_SIZE 2\n0 0 0\n1,0 0 0\n")
    return tmp_path


def test_one_file_is_explained(lutkit_, luts):
    ended = lutkit_("lut", "check", luts / "dim.cube")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0].strip() == f"{luts / 'dim.cube'}: recoverable"
    assert len(lines) == 18
    assert sum("passes" in line for line in lines) == 3
    assert lines[1].startswith("Photographs: 0.00% newly clipped, no folds, ")
    assert lines[1].endswith(" dB come back: recoverable.")
    assert lines[2].startswith("The whole cube: ")


def test_a_lossy_lut_is_no_error(lutkit_, luts):
    ended = lutkit_("lut", "check", luts / "bright.cube")
    assert ended.code == 0
    assert ended.out.splitlines()[0].strip().endswith(": lossy")
    assert "FAILS" in ended.out


def test_several_files_have_a_line_each_however_long_their_names(lutkit_, luts):
    longer = luts / ("long-" * 30 + ".cube")
    write_cube(DIM, longer)
    ended = lutkit_("lut", "check", luts / "dim.cube", luts / "bright.cube", longer)
    lines = ended.out.splitlines()
    assert len(lines) == 4
    assert lines[0].split()[:3] == ["file", "verdict", "fold"]
    for line, name, verdict in zip(
        lines[1:], (luts / "dim.cube", luts / "bright.cube", longer), ("recoverable", "lossy", "recoverable"),
        strict=True,
    ):  # fmt: skip
        assert line.split()[:2] == [str(name), verdict]
    assert "\N{HORIZONTAL ELLIPSIS}" not in ended.out


def test_json_is_a_list_with_an_object_a_file(lutkit_, luts):
    for names in (["dim.cube"], ["bright.cube", "dim.cube", "same.cube"]):
        ended = lutkit_("lut", "check", *(luts / name for name in names), "--json")
        assert ended.code == 0
        told = json.loads(ended.out)
        assert [entry["file"] for entry in told] == [str(luts / name) for name in names]
        assert all(entry["verdict"] in ("recoverable", "lossy") for entry in told)
        assert {entry["judged_on"] for entry in told} == {"palette"}
    assert told[0]["verdict"] == "lossy"
    assert told[1]["mean_delta_e_2000"] == pytest.approx(inspect(DIM).mean_delta_e_2000, rel=1e-4)


def test_a_photo_s_colours_decide_where_one_is_given(lutkit_, luts):
    shades = np.random.default_rng(150).integers(2, 140, (20, 30, 3), dtype=np.uint8)
    for name, pixels in (("dark", shades), ("light", 255 - shades)):
        Image.fromarray(pixels).save(luts / f"{name}.png")
    dark, light = (
        json.loads(lutkit_("lut", "check", luts / "bright.cube", "--photo", luts / name, "--json").out)[0]
        for name in ("dark.png", "light.png")
    )
    assert dark["clipped_share"] == 0
    assert light["clipped_share"] > 0.5
    assert dark["judged_on"] == str(luts / "dark.png")
    pixels = shades.reshape(-1, 3) / 255.0
    assert dark["mean_delta_e_2000"] == pytest.approx(inspect(BRIGHT, pixels).mean_delta_e_2000, rel=1e-5)
    said = lutkit_("lut", "check", luts / "bright.cube", "--photo", luts / "light.png").out.splitlines()
    assert said[1].startswith("light.png: ")
    assert "because 2% or more is clipped" in said[1]
    assert said[2].endswith("; light.png has some of the colours that are lost there.")
    assert "of the photo" in lutkit_("lut", "check", luts / "dim.cube", "--photo", luts / "dark.png").out


@pytest.mark.parametrize("name", ["none.cube", "broken.cube", "dim.mp3"])
@pytest.mark.parametrize("option", [[], ["--json"]])
def test_one_file_that_cannot_be_read_ends_in_one_line(lutkit_, luts, name, option):
    ended = lutkit_("lut", "check", luts / name, *option)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"lutkit: {luts / name}")
    assert ended.err.count("\n") == 1


def test_one_of_several_is_named_and_the_rest_go_on(lutkit_, luts):
    names = [luts / name for name in ("dim.cube", "broken.cube", "none.cube", "bright.cube")]
    ended = lutkit_("lut", "check", *names, "--plot", luts / "pictures")
    assert ended.code == 1
    assert [line.split(":")[1].strip() for line in ended.err.splitlines()] == [str(names[1]), str(names[2])]
    assert "recoverable" in ended.out
    assert "lossy" in ended.out
    assert f"2 pictures in {luts / 'pictures'}" in ended.out
    assert sorted(path.name for path in (luts / "pictures").iterdir()) == ["bright.png", "dim.png"]
    told = json.loads(lutkit_("lut", "check", *names, "--json").out)
    assert [entry["verdict"] for entry in told] == ["recoverable", None, None, "lossy"]
    assert "broken.cube:3" in told[1]["error"]


def test_pictures_of_one_and_of_several(lutkit_, luts):
    ended = lutkit_("lut", "check", luts / "dim.cube", "--plot", luts / "new/dim.png")
    assert ended.code == 0
    assert ended.out.splitlines()[-1] == f"Picture: {luts / 'new/dim.png'}"
    with Image.open(luts / "new/dim.png") as picture:
        assert picture.size == (1400, 920)
    ended = lutkit_("lut", "check", luts / "dim.cube", luts / "same.cube", "--plot", luts / "new", "--json")
    assert ended.code == 2
    assert "dim.png: exists already" in ended.err
    assert not (luts / "new/same.png").exists()
    ended = lutkit_(
        "lut", "check", luts / "dim.cube", luts / "same.cube", "--plot", luts / "new", "--overwrite", "--json"
    )
    assert ended.code == 0
    assert len(json.loads(ended.out)) == 2
    assert (luts / "new/same.png").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--photo", "none.jpg"], "none.jpg: cannot be read"),
        (["--photo", "dim.cube"], "not an image"),
        (["--plot", "out.jpg"], "name a file that ends in .png"),
    ],
)
def test_what_is_wrong_with_options_is_said_in_one_line(lutkit_, luts, monkeypatch, arguments, told):
    monkeypatch.chdir(luts)
    ended = lutkit_("lut", "check", "dim.cube", *arguments)
    assert ended.code == 2
    assert told in ended.err
    assert ended.err.count("\n") == 1


def test_no_file_is_a_mistake_of_usage(lutkit_):
    assert lutkit_("lut", "check").code == 2
