"""The adaptive LUT: the map it predicts, the map as a LUT, and its form on the hub."""

import numpy as np
import pytest
import torch
from colour import XYZ_to_Lab, delta_E, sRGB_to_XYZ
from small_models import gain_model, known_model, sensitive_model

import lutkit
from lutkit.balancing.adaptive_lut import AdaptiveLut, ColorMaps
from lutkit.errors import LutkitError

RNG = np.random.default_rng(5)


def as_images(values):
    return torch.from_numpy(values).permute(2, 0, 1)[None].float()


def test_at_first_it_changes_next_to_nothing_and_is_small():
    model = AdaptiveLut().eval()
    images = torch.rand(2, 3, 64, 64)
    assert sum(weights.numel() for weights in model.parameters()) <= 200_000
    with torch.no_grad():
        torch.testing.assert_close(model(images)(images), images, atol=0.01, rtol=0)


def test_a_map_is_curves_then_a_quadratic_matrix_plus_a_cube():
    curves = RNG.normal(0, 0.05, (9, 3))
    matrix = RNG.normal(0, 0.1, (9, 3))
    # An affine cube, which any interpolation reads exactly.
    slopes, start = RNG.normal(0, 0.1, (3, 3)), RNG.normal(0, 0.05, 3)
    axis = np.linspace(0, 1, 4)
    lattice = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)
    model = known_model(curves=curves, matrix=matrix, cube=lattice @ slopes + start, cube_size=4)
    colors = RNG.random((6, 7, 3))
    with torch.no_grad():
        found = model(torch.rand(1, 3, 64, 64))(as_images(colors))[0].permute(1, 2, 0).numpy()
    knots = np.linspace(0, 1, 9)
    bent = np.stack([np.interp(colors[..., c], knots, knots + curves[:, c]) for c in range(3)], -1)
    r, g, b = (bent[..., c] for c in range(3))
    terms = np.stack([r, g, b, r * r, g * g, b * b, r * g, r * b, g * b], -1)
    expected = terms @ (np.eye(9, 3) + matrix) + np.clip(bent, 0, 1) @ slopes + start
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_each_image_of_a_batch_has_its_own_map():
    model = sensitive_model()
    images = torch.stack([torch.rand(3, 64, 64) * scale for scale in (0.3, 0.6, 1.0)])
    with torch.no_grad():
        together = model(images)(images)
        for number in range(3):
            alone = model(images[number : number + 1])(images[number : number + 1])
            torch.testing.assert_close(together[number : number + 1], alone, atol=1e-5, rtol=1e-5)
    assert (together[0] - images[0]).abs().mean() > 0.01


@pytest.mark.parametrize("size", [17, 33])
def test_as_a_lut_a_map_does_the_same_within_a_code(size):
    curves = 0.1 * np.sin(np.linspace(0, 3, 9))[:, None] * np.array([1, -0.5, 0.3])
    model = known_model(curves=curves, matrix=RNG.normal(0, 0.03, (9, 3)))
    with torch.no_grad():
        maps = model(torch.rand(2, 3, 64, 64))
        image = RNG.random((50, 40, 3), np.float32)
        expected = maps.__class__(maps.curves[:1], maps.matrix[:1], maps.cubes[:1])(as_images(image))
    luts = maps.luts(size)
    assert [lut.sizes for lut in luts] == 2 * [(size, size, size)]
    found = lutkit.apply(image, luts[1])
    exact = expected[0].permute(1, 2, 0).numpy()
    inside = abs(exact - 0.5) < 0.5 - 1.2 / size  # at the ends the clamp bends between lattice points
    assert inside.mean() > 0.7
    assert abs(found - exact)[inside].max() < 1 / 255


def test_what_is_mapped_beyond_0_to_1_is_clamped_in_the_lut():
    (lut,) = gain_model(red=1.5, blue=-0.2)(torch.rand(1, 3, 64, 64)).luts(5)
    assert lut.table[4, 2, 4].tolist() == [1, 0.5, 0]


@pytest.mark.parametrize("size", [1, 10, -1])
def test_an_impossible_cube_is_refused(size):
    with pytest.raises(LutkitError, match=f"cube_size is {size}; choose 0, or 2 to 9"):
        AdaptiveLut(size)


def mean_change(threshold, *, gain=0.9):
    """How much a network that multiplies red changes a photo with a given threshold."""
    photo = np.random.default_rng(2).uniform(0.2, 0.8, (64, 64, 3)).astype(np.float32)
    maps = gain_model(red=gain, blue=1, threshold=threshold)(as_images(photo))
    changed = maps(as_images(photo))[0].permute(1, 2, 0).detach().numpy()
    return float(delta_E(*(XYZ_to_Lab(sRGB_to_XYZ(image)) for image in (photo, changed))).mean())


def test_a_threshold_drops_small_corrections_and_leaves_large_ones():
    small, large = mean_change(0, gain=0.97), mean_change(0, gain=0.5)
    assert (small < 1.2, large > 10) == (True, True)
    assert mean_change(2.5, gain=0.97) < 0.06 * small
    assert mean_change(2.5, gain=0.5) > 0.98 * large


def test_half_of_a_correction_at_the_threshold_is_made():
    # The network measures its change on some of the pixels.
    full = mean_change(0)
    np.testing.assert_allclose(mean_change(full), full / 2, rtol=0.1)


def test_in_training_corrections_are_made_in_full():
    model = gain_model(threshold=20)
    assert model(torch.rand(1, 3, 64, 64)).amounts is not None
    assert model.train()(torch.rand(1, 3, 64, 64)).amounts is None


def test_a_lut_has_the_threshold_s_share_of_the_change():
    photo = torch.rand(1, 3, 64, 64)
    maps = gain_model(red=0.5, threshold=6)(photo)
    share = float(maps.amounts.detach())
    assert 0.1 < share < 0.99
    np.testing.assert_allclose(maps.luts(2)[0].table[1, 1, 1, 0], 1 - 0.5 * share, atol=1e-6)


@pytest.mark.parametrize("pooling", ["statistics", "mean"])
def test_an_image_of_one_colour_gives_finite_gradients(pooling):
    # The slope of a standard deviation of 0 is not finite.
    model = AdaptiveLut(2, pooling=pooling)
    images = torch.full((2, 3, 64, 64), 0.4)
    model(images)(images).square().mean().backward()
    assert all(weights.grad.isfinite().all() for weights in model.parameters())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"threshold": -1}, "threshold is -1; choose from 0 to 20"),
     ({"threshold": float("nan")}, "threshold is nan"),
     ({"threshold": True}, "threshold is True"),
     ({"pooling": "max"}, "pooling is 'max'; choose statistics or mean")],
)  # fmt: skip
def test_an_impossible_argument_is_refused(arguments, message):
    with pytest.raises(LutkitError, match=message):
        AdaptiveLut(**arguments)


def test_models_travel_by_huggingface_hub_s_mixin(tmp_path):
    model = sensitive_model()
    model.save_pretrained(tmp_path / "model")
    again = AdaptiveLut.from_pretrained(tmp_path / "model")
    assert (again.cube_size, again.training) == (3, False)
    for name, weights in model.state_dict().items():
        assert torch.equal(weights, again.state_dict()[name]), name


def test_curves_and_matrix_get_gradients():
    model = AdaptiveLut(2)
    images = torch.rand(2, 3, 64, 64)
    maps = model(images)
    assert isinstance(maps, ColorMaps)
    maps(images).square().mean().backward()
    assert all(weights.grad is not None for weights in model.parameters())
    assert float(model.say[-1].weight.grad.abs().sum()) > 0
