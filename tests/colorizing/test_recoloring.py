"""New colours at full size: lightness is kept, colours end at edges, and everything is in gamut."""

import numpy as np
import pytest
import skimage.color
from hypothesis import given
from hypothesis import strategies as st

from lutkit.colorizing.recoloring import Recoloring
from lutkit.errors import ArrayError


def recolored(values, lightness, ab, **rows):
    found = Recoloring(np.asarray(lightness, np.float32), np.asarray(ab, np.float32))
    values = np.asarray(values, np.float32)
    return found.map_rows(values, **{"top": 0, "height": len(values), **rows})


def lab_of(values):
    return skimage.color.rgb2lab(np.asarray(values, np.float64))


def noise(seed, *shape):
    return np.random.default_rng(seed).random(shape)


@given(
    a=st.floats(-30, 30), b=st.floats(-30, 30), seed=st.integers(0, 50), rows=st.integers(1, 5),
    columns=st.integers(1, 5),
)  # fmt: skip
def test_lightness_stays_and_one_colour_everywhere_comes_out_exactly(a, b, seed, rows, columns):
    photo = 0.3 + 0.4 * noise(seed, 9, 13, 3)
    out = recolored(photo, 100 * noise(seed, rows, columns), np.full((rows, columns, 2), (a, b)))
    before, after = lab_of(photo), lab_of(out)
    assert np.abs(after[..., 0] - before[..., 0]).max() < 0.02
    in_gamut = ((out > 0.002) & (out < 0.998)).all(axis=2)
    assert np.abs(after[in_gamut][:, 1:] - (a, b)).max(initial=0) < 0.05


@given(seed=st.integers(0, 100), level=st.floats(0, 1))
def test_colours_out_of_gamut_lose_chroma_and_keep_lightness_and_hue(seed, level):
    ab = 240 * noise(seed, 1, 1, 2) - 120
    photo = np.full((2, 3, 3), level)
    out = recolored(photo, [[50]], ab)
    assert out.min() >= 0
    assert out.max() <= 1.0001
    before, after = lab_of(photo)[0, 0], lab_of(out)[0, 0]
    assert abs(after[0] - before[0]) < 0.1
    if np.hypot(*after[1:]) > 3:
        turn = np.arctan2(*after[1:]) - np.arctan2(*ab[0, 0])
        assert abs((turn + np.pi) % (2 * np.pi) - np.pi) < 0.02


def test_colours_end_where_lightness_has_an_edge():
    """The edge lies within a place: distance alone would blend the two colours over several places."""
    photo = np.full((40, 80, 3), 0.25)
    photo[:, 37:] = 0.75
    dark, light = (lab_of(photo[:1, column : column + 1])[0, 0, 0] for column in (0, 70))
    lightness = np.array([[dark, dark, dark, dark, light, light, light, light]])
    ab = np.array([[(20, -10)] * 4 + [(-15, 25)] * 4])
    out = lab_of(recolored(photo, lightness, ab))
    assert np.abs(out[:, :37, 1:] - (20, -10)).max() < 0.5
    assert np.abs(out[:, 37:, 1:] - (-15, 25)).max() < 0.5


def test_without_edges_colours_change_smoothly():
    photo = np.full((16, 160, 3), 0.5)
    ab = np.stack([np.linspace(-30, 30, 8), np.linspace(10, -10, 8)], 1)[None]
    out = lab_of(recolored(photo, np.full((1, 8), 53.4), ab))
    assert np.abs(np.diff(out[..., 1], axis=1)).max() < 1.5 * 60 / 140
    assert (np.diff(out[..., 1], axis=1)[:, 20:-20] > 0).all()


def test_strips_give_what_the_whole_gives():
    photo = noise(3, 31, 17, 3)
    lightness, ab = 100 * noise(4, 4, 3), 60 * noise(5, 4, 3, 2) - 30
    whole = recolored(photo, lightness, ab)
    parts = [
        recolored(photo[top : top + 7], lightness, ab, top=top, height=31) for top in range(0, len(photo), 7)
    ]
    assert np.array_equal(np.concatenate(parts), whole)


def test_values_beyond_white_and_black_stay_finite_and_neutral():
    photo = np.array([[[1.7, 1.7, 1.7], [-0.2, -0.2, -0.2]]])
    out = recolored(photo, [[100]], [[(30, 30)]])
    assert out[0, 0] == pytest.approx([1.7] * 3, abs=0.02)
    assert out[0, 1] == pytest.approx([0] * 3, abs=0.01)


@pytest.mark.parametrize(
    ("lightness", "ab"),
    [(np.zeros((2, 3)), np.zeros((3, 2, 2))), (np.zeros((0, 3)), np.zeros((0, 3, 2))),
     (np.full((1, 1), np.nan), np.zeros((1, 1, 2)))],
)  # fmt: skip
def test_impossible_colours_are_refused(lightness, ab):
    with pytest.raises(ArrayError, match="Recoloring"):
        Recoloring(lightness.astype(np.float32), ab.astype(np.float32))


def test_nan_is_refused():
    with pytest.raises(ArrayError, match="NaN"):
        recolored(np.full((1, 1, 3), np.nan), [[50]], [[(0, 0)]])
