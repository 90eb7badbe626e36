"""Blending LUTs with the identity."""

import numpy as np
import pytest

from lutkit.errors import LutError
from lutkit.lut.algebra import blend
from lutkit.lut.apply import apply
from lutkit.lut.jacobian import fold_share
from lutkit.lut.model import Lut1D, Lut3D, LutChain
from lutkit.lut.quality import judge_lut

RNG = np.random.default_rng(11)
CURVES = Lut1D(np.sort(RNG.random((9, 3)), axis=0), (-0.1, 0.0, 0.1), (1.0, 1.2, 0.9))
CUBE = Lut3D(Lut3D.identity(5).table[..., [1, 2, 0]] * 0.8 + 0.1, (0.0, -0.2, 0.0), (1.0, 1.0, 1.5))
IMAGE = RNG.random((8, 9, 3)).astype(np.float32)


@pytest.mark.parametrize("lut", [CURVES, CUBE], ids=["curves", "cube"])
@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_a_blend_is_what_apply_does_at_that_strength(lut, strength):
    # Where the input lies within the domain; beyond it the blend clamps, and apply blends with the image.
    low, high = np.array(lut.domain_min), np.array(lut.domain_max)
    image = np.clip(IMAGE, low, high).astype(np.float32)
    np.testing.assert_allclose(
        apply(image, blend(lut, strength)), apply(image, lut, strength=strength), atol=2e-6
    )


def test_a_chain_becomes_a_cube():
    chain = LutChain((Lut1D.identity(17), Lut3D(Lut3D.identity(9).table[..., ::-1].copy())))
    np.testing.assert_allclose(
        apply(IMAGE, blend(chain, 0.25)), apply(IMAGE, chain, strength=0.25), atol=1e-5
    )


def test_half_of_a_monochrome_can_be_undone():
    weights = np.array([0.25, 0.6, 0.15])
    grey = (Lut3D.identity(9).table * weights).sum(axis=-1, keepdims=True).repeat(3, axis=-1)
    assert judge_lut(Lut3D(grey)).label == "lossy"
    assert fold_share(blend(Lut3D(grey), 0.5)) == 0
    assert judge_lut(blend(Lut3D(grey), 0.5)).label == "recoverable"


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_strengths_beyond_reason_are_refused(strength):
    with pytest.raises(LutError, match=r"strength is 0\.\.1"):
        blend(CUBE, strength)
