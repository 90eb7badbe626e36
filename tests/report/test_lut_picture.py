"""The picture of a LUT: each panel, its file, and that it does not change a caller's plots."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from lutkit import apply
from lutkit.color.lab import srgb_to_lab
from lutkit.color.palette import PALETTE_SRGB
from lutkit.errors import LutkitError
from lutkit.lut.inspection import inspect
from lutkit.lut.model import Lut1D, Lut3D, LutChain
from lutkit.report.lut_picture import (
    draw_curves,
    draw_gradients,
    draw_lattice,
    draw_lut,
    draw_natural_colors,
    draw_neutral_axis,
    picture_paths,
)
from lutkit.report.page import BAD, GOOD, PAPER, write_picture

RAMP = np.linspace(0, 1, 65)
CAST = Lut1D(np.stack([0.1 + 0.8 * RAMP, RAMP**1.5, 0.7 * RAMP], axis=1))
TURNED = Lut3D(0.2 + 0.5 * Lut3D.identity(5).table[..., [1, 2, 0]])
GREYS = np.repeat(np.linspace(0, 1, 256, dtype=np.float32)[:, None], 3, axis=1)


def drawn(draw, lut):
    axes = Figure().add_subplot()
    draw(axes, lut)
    return axes


def test_curves_are_what_greys_become():
    axes = drawn(draw_curves, CAST)
    lines = {line.get_label(): line for line in axes.lines}
    expected = apply(GREYS, CAST)
    for channel, name in enumerate(("red", "green", "blue")):
        np.testing.assert_allclose(lines[name].get_ydata(), 255 * expected[:, channel], atol=0.01)
        color = to_rgb(lines[name].get_color())
        assert color[channel] == max(color)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["red", "green", "blue"]


def test_curves_that_are_one_are_one_line_and_none_leaves_the_frame():
    axes = drawn(draw_curves, Lut1D(np.repeat(np.array([[-0.3], [1.4]]), 3, axis=1)))
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["red = green = blue"]
    low, high = axes.get_ylim()
    assert low < -0.3 * 255
    assert high > 1.4 * 255


@pytest.mark.parametrize("draw", [draw_curves, draw_lattice])
def test_values_far_off_leave_the_rest_in_sight(draw):
    axes = drawn(draw, Lut3D(1e6 * Lut3D.identity(3).table - 1e5))
    seen = 400 if draw is draw_curves else 3
    assert max(map(abs, (*axes.get_xlim(), *axes.get_ylim()))) < seen


def test_the_neutral_axis_stays_at_the_centre_or_goes_to_the_cast():
    still = drawn(draw_neutral_axis, Lut3D.identity(3)).collections[0].get_offsets()
    assert np.abs(still).max() < 1e-4
    axes = drawn(draw_neutral_axis, CAST)
    offsets, fills = axes.collections[0].get_offsets(), axes.collections[0].get_facecolors()
    # White has come out green and yellow, and the points are filled with the greys they stand for.
    assert offsets[-1, 0] < -10
    assert offsets[-1, 1] > 20
    assert (np.diff(fills[:, 0]) > 0).all()
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    assert (left < offsets[:, 0]).all()
    assert (offsets[:, 0] < right).all()
    assert (low < offsets[:, 1]).all()
    assert (offsets[:, 1] < high).all()


def corner(axes, colour):
    """Return the position of the segment whose colour is nearest to `colour`."""
    after = axes.collections[1]
    nearest = np.abs(after.get_colors()[:, :3] - colour).sum(axis=1).argmin()
    return np.mean(after.get_segments()[nearest], axis=0)


def test_the_lattice_stands_on_black_and_bears_its_own_colours():
    axes = drawn(draw_lattice, Lut3D.identity(2))
    black, white = corner(axes, (0, 0, 0)), corner(axes, (1, 1, 1))
    red, green, blue = (corner(axes, np.eye(3)[channel]) for channel in range(3))
    assert black[1] < min(red[1], green[1], blue[1]) < max(red[1], green[1], blue[1]) < white[1]
    assert green[0] < white[0] < red[0]
    # Turned channels give the same body, smaller: what is a colour's place bears that colour still.
    turned = drawn(draw_lattice, TURNED)
    np.testing.assert_allclose(corner(turned, (0.7, 0.2, 0.2)), 0.2 * white + 0.5 * red, atol=0.06)
    for shown in (axes, turned):
        (left, right), (low, high) = shown.get_xlim(), shown.get_ylim()
        points = np.concatenate([np.concatenate(lines.get_segments()) for lines in shown.collections])
        assert (left < points[:, 0]).all()
        assert (points[:, 0] < right).all()
        assert (low < points[:, 1]).all()
        assert (points[:, 1] < high).all()


def test_gradients_stand_before_above_after():
    sheet = np.asarray(drawn(draw_gradients, TURNED).images[0].get_array())
    paper = (np.abs(sheet - int(PAPER[1:3], 16) / 255) < 1e-9).all(axis=(1, 2))
    starts = [0, *(np.flatnonzero(np.diff(paper.astype(int)) == -1) + 1)]
    assert len(starts) == 3
    for start in starts:
        before, after = sheet[start], sheet[start + 12]
        expected = apply(before.astype(np.float32), TURNED)
        np.testing.assert_allclose(after, np.clip(expected, 0, 1), atol=1.01 / 255)
        assert not np.allclose(before, after, atol=0.1)
    assert (sheet[0, 0], sheet[0, -1])[0].max() == 0
    np.testing.assert_array_equal(np.rint(255 * sheet), 255 * sheet)


def test_every_natural_colour_stands_left_of_what_it_becomes():
    sheet = np.asarray(drawn(draw_natural_colors, TURNED).images[0].get_array())
    shown = []
    for row in range(4):
        for column in range(16):
            cell = sheet[row * 30 : row * 30 + 30, column * 30 : column * 30 + 30]
            before, after = cell[5, 5], cell[5, 20]
            expected = apply(before[None].astype(np.float32), TURNED)[0]
            np.testing.assert_allclose(after, np.clip(expected, 0, 1), atol=1e-5)
            shown.append(before)
    np.testing.assert_allclose(np.sort(shown, axis=0), np.sort(PALETTE_SRGB, axis=0))
    rows = np.reshape(shown, (4, 16, 3)).mean(axis=(1, 2))
    assert (np.diff(rows) > 0).all()
    lab = srgb_to_lab(np.reshape(shown, (4, 16, 3)))
    assert (np.diff(np.arctan2(lab[..., 2], lab[..., 1]), axis=1) >= 0).all()


@pytest.mark.parametrize("lut", [CAST, TURNED, LutChain((CAST, TURNED)), Lut3D.identity(2)])
def test_any_lut_has_a_picture_and_always_the_same(lut):
    picture = draw_lut(lut, inspect(lut), "look.cube")
    assert (picture.mode, picture.size) == ("RGB", (1400, 920))
    assert picture.tobytes() == draw_lut(lut, inspect(lut), "look.cube").tobytes()
    assert picture.tobytes() != draw_lut(lut, inspect(lut), "book.cube").tobytes()


def holds(picture, color, box):
    pixels = np.asarray(picture.crop(box)).astype(int)
    return bool((np.abs(pixels - 255 * np.array(to_rgb(color))).max(axis=2) < 3).any())


def test_the_verdict_and_what_fails_stand_out_in_colour():
    head, measures = (1100, 0, 1400, 65), (0, 70, 1000, 110)
    for lut, good in ((TURNED, True), (Lut3D(np.zeros((2, 2, 2, 3))), False)):
        picture = draw_lut(lut, inspect(lut), "x")
        assert (holds(picture, GOOD, head), holds(picture, BAD, head)) == (good, not good)
        assert holds(picture, BAD, measures) != good


@pytest.mark.parametrize("title", ["", "$\\frac$", "\u8272\u8abf.cube", "a\nb", "x" * 300, "%s {0}"])
def test_any_name_can_stand_above(title):
    picture = draw_lut(CAST, inspect(CAST), title)
    # Long names end before the verdict.
    assert not holds(picture.crop((1150, 25, 1180, 65)), "#e6e6e6", (0, 0, 30, 40))


def test_no_plotting_of_a_caller_is_touched():
    # Not `dict(rcParams)`: that makes matplotlib choose a backend.
    code = (
        "import sys, matplotlib; before = matplotlib.rcParams.copy()\n"
        "from lutkit.report.lut_picture import draw_lut; from lutkit.lut.inspection import inspect\n"
        "from lutkit.lut.model import Lut3D; lut = Lut3D.identity(2); draw_lut(lut, inspect(lut), 'x')\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert matplotlib.get_backend(auto_select=False) is None\n"
        "assert matplotlib.rcParams.copy() == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_one_lut_goes_to_a_file_or_into_a_folder(tmp_path):
    files = [Path("a/look.cube")]
    assert picture_paths(files, tmp_path / "new/out.PNG", overwrite=False) == [tmp_path / "new/out.PNG"]
    assert picture_paths(files, tmp_path, overwrite=False) == [tmp_path / "look.png"]
    with pytest.raises(LutkitError, match=r"name a file that ends in \.png"):
        picture_paths(files, tmp_path / "out.jpg", overwrite=False)


def test_several_go_into_a_folder_under_names_of_their_own(tmp_path):
    files = [Path(name) for name in ("a/look.cube", "b/look.cube", "look-2.cube", "c/look.csp", "x.y.cube")]
    names = ["look.png", "look-2.png", "look-2-2.png", "look-3.png", "x.y.png"]
    assert picture_paths(files, tmp_path / "new", overwrite=False) == [tmp_path / "new" / n for n in names]
    (tmp_path / "file").write_bytes(b"")
    for out in (tmp_path / "out.png", tmp_path / "file"):
        with pytest.raises(LutkitError, match="name a folder"):
            picture_paths(files, out, overwrite=True)


def test_pictures_that_are_there_stay_unless_told_and_luts_always(tmp_path):
    (tmp_path / "b.png").write_bytes(b"kept")
    files = [Path("a.cube"), Path("b.cube")]
    with pytest.raises(LutkitError, match=r"b\.png: exists already; give --overwrite"):
        picture_paths(files, tmp_path, overwrite=False)
    assert picture_paths(files, tmp_path, overwrite=True)[1] == tmp_path / "b.png"
    # A Hald image is a LUT and a PNG.
    for out in (tmp_path, tmp_path / "b.png"):
        with pytest.raises(LutkitError, match="is the LUT itself"):
            picture_paths([tmp_path / "b.png"], out, overwrite=True)


def test_a_picture_is_written_whole(tmp_path):
    picture = draw_lut(CAST, inspect(CAST), "x")
    write_picture(picture, tmp_path / "new/deep/x.png")
    with Image.open(tmp_path / "new/deep/x.png") as read:
        assert read.format == "PNG"
        assert read.tobytes() == picture.tobytes()
    assert [path.name for path in (tmp_path / "new/deep").iterdir()] == ["x.png"]
