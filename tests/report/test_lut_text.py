"""The error of a LUT, and the shares of colours that its inverse cannot restore."""

import numpy as np
import pytest

from lutkit.lut.algebra import Baked
from lutkit.lut.inverse import invert_lut
from lutkit.lut.model import Lut1D, Lut3D
from lutkit.report.lut_text import error_sentence


@pytest.mark.parametrize(
    ("errors", "sentence"),
    [
        ((0, 0, 0), "exact"),
        ((1e-9, 1e-8, 3e-5), "off by under 0.01 of 255"),
        (
            (1e-9, 0.004, 0.02),
            "off by under 0.01 of 255 on average, 1 or less on 99% of colours, 5.1 at most",
        ),
        ((0.1, 0.3, 0.5), "off by 26 of 255 on average, 76 or less on 99% of colours, 128 at most"),
    ],
)
def test_errors_are_told_in_codes(errors, sentence):
    assert error_sentence(Baked(Lut1D.identity(2), *errors)) == sentence


RISING = np.linspace(0, 1, 257)[:, None].repeat(3, axis=1)
TENT = 1 - np.abs(2 * RISING - 1)
CUBE = Lut3D.identity(33).table.astype(float)
GREY = (CUBE * [0.3, 0.6, 0.1]).sum(axis=-1, keepdims=True)
HALF_CODE = 0.5 / 255


@pytest.mark.parametrize(
    ("lut", "without_inverse", "lost"),
    [
        # Of a tent one stretch of two comes back, in three channels, or in one.
        (Lut1D(TENT), 0, 1 - (0.5 + HALF_CODE) ** 3),
        (Lut1D(np.concatenate([TENT[:, :1], RISING[:, 1:]], axis=1)), 0, 0.5 - HALF_CODE),
        (Lut1D(0.8 * TENT), 1 - (0.8 + HALF_CODE) ** 3, 1 - (0.5 + HALF_CODE) ** 3),
        (Lut1D(1 - RISING), 0, 0),
        (Lut3D(CUBE[..., [2, 1, 0]]), 0, 0),
        # A gain that clips: what lies above 2/3 comes back as 2/3.
        (Lut1D(np.minimum(1.5 * RISING, 1)), 0, 1 - (2 / 3 + HALF_CODE) ** 3),
        # A gain that does not: everything comes back, from beyond 1.
        (Lut1D(1.5 * RISING), 0, 0),
        (Lut1D(0.25 + 0.5 * RISING), 1 - (0.5 + 2 * HALF_CODE) ** 3, 0),
        # Saturation of 0.5 scales two of three dimensions: a quarter of all colours can come out.
        (Lut3D(GREY + 0.5 * (CUBE - GREY)), 0.75, 0),
        (Lut3D(GREY.repeat(3, axis=-1)), 1, 1),
    ],
)
def test_shares_are_those_of_closed_forms(lut, without_inverse, lost):
    inverse = invert_lut(lut)
    assert inverse.unreachable_share == pytest.approx(without_inverse, abs=0.01 if without_inverse else 0)
    assert inverse.lost_share == pytest.approx(lost, abs=0.01 if lost else 0)


def test_a_saturation_that_clips_loses_what_it_clips():
    """The share is compared with the share of colours outside the cube; cells 1/32 wide blur the border."""
    more = GREY + 1.5 * (CUBE - GREY)
    inverse = invert_lut(Lut3D(np.clip(more, 0, 1)))
    colors = np.random.default_rng(5).random((200_000, 3))
    grey = (colors * [0.3, 0.6, 0.1]).sum(axis=1, keepdims=True)
    exact = grey + 1.5 * (colors - grey)
    beyond = np.abs(exact - np.clip(exact, 0, 1)).max(axis=1)
    assert (beyond > 1.5 / 32).mean() < inverse.lost_share < (beyond > 0).mean()
    assert inverse.unreachable_share == 0
