"""Colours on tensors: colour-science, the conversions of arrays and finite differences are the oracles."""

import colour
import numpy as np
import pytest
import torch
from published_colors import DIFFERENCE, FIRST, SECOND

from lutkit.color import difference as of_arrays
from lutkit.color import lab as lab_space
from lutkit.errors import ArrayError
from lutkit.lut.model import Lut3D
from lutkit.nn import color_losses
from lutkit.nn.color import lab_to_srgb, srgb_to_lab
from lutkit.nn.color_losses import (
    chroma_ratio,
    chroma_ratio_loss,
    delta_e_76,
    delta_e_2000,
    delta_e_2000_loss,
    lab_loss,
)
from lutkit.nn.lut import LutModule, apply_curves, apply_lut

HALVES = (torch.float16, torch.bfloat16)
RNG = np.random.default_rng(40)
CORNERS = np.array([[r, g, b] for r in (0, 1) for g in (0, 1) for b in (0, 1)], float)
COLOURS = np.concatenate(
    [RNG.random((992, 3)), CORNERS, RNG.random((600, 3)) * 0.03, RNG.random((400, 3)) * 2 - 0.5]
)
PAIR_LOSSES = [lab_loss, delta_e_2000_loss, chroma_ratio_loss]


def images_of(colors, dtype=torch.float64):
    """(n, 3) to (1, 3, 1, n)"""
    return torch.tensor(np.asarray(colors), dtype=torch.float64).T[None, :, None].to(dtype)


def colors_of(images):
    return images.detach().double()[0, :, 0].T.numpy()


def random_images(seed=0, shape=(2, 3, 3, 4), dtype=torch.float64):
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


# Conversions.


def test_lab_is_that_of_arrays_and_of_colour_science():
    ours = colors_of(srgb_to_lab(images_of(COLOURS)))
    np.testing.assert_allclose(ours, lab_space.srgb_to_lab(COLOURS), rtol=0, atol=1e-10)
    space = colour.RGB_COLOURSPACES["sRGB"].copy()
    space.use_derived_matrix_RGB_to_XYZ = True
    inside = ((COLOURS >= 0) & (COLOURS <= 1)).all(axis=1)
    xyz = colour.RGB_to_XYZ(COLOURS[inside], space, apply_cctf_decoding=True)
    np.testing.assert_allclose(ours[inside], colour.XYZ_to_Lab(xyz, space.whitepoint), rtol=0, atol=1e-6)


def test_srgb_is_that_of_arrays():
    lab = np.random.default_rng(41).uniform([0, -110, -110], [100, 110, 110], (2000, 3))
    ours = colors_of(lab_to_srgb(images_of(lab)))
    np.testing.assert_allclose(ours, lab_space.lab_to_srgb(lab), rtol=0, atol=1e-10)


def test_float32_is_as_good_as_float32_can_be():
    ours = srgb_to_lab(images_of(COLOURS, torch.float32))
    assert ours.dtype == torch.float32
    inside = ((COLOURS >= 0) & (COLOURS <= 1)).all(axis=1)
    expected = lab_space.srgb_to_lab(colors_of(images_of(COLOURS, torch.float32)))
    np.testing.assert_allclose(colors_of(ours)[inside], expected[inside], rtol=0, atol=2e-4)
    back = lab_to_srgb(ours)
    np.testing.assert_allclose(colors_of(back)[inside], COLOURS[inside], rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", HALVES)
def test_half_precision_is_computed_and_returned_in_float32(dtype):
    images = images_of(COLOURS, dtype)
    assert srgb_to_lab(images).dtype == lab_to_srgb(images).dtype == torch.float32
    assert torch.equal(srgb_to_lab(images), srgb_to_lab(images.float()))
    assert torch.equal(lab_to_srgb(images), lab_to_srgb(images.float()))


def test_codes_are_read_as_255ths():
    codes = torch.from_numpy(np.random.default_rng(3).integers(0, 256, (2, 3, 5, 6), np.uint8))
    expected = lab_space.codes_to_lab(np.ascontiguousarray(codes.permute(0, 2, 3, 1).numpy()))
    np.testing.assert_allclose(srgb_to_lab(codes).permute(0, 2, 3, 1).numpy(), expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize("dtype", [*HALVES, torch.float32, torch.float64, torch.uint8])
def test_greys_have_no_chroma_at_all(dtype):
    levels = torch.arange(256) if dtype == torch.uint8 else torch.linspace(-0.5, 1.5, 4097)
    lab = srgb_to_lab(levels.to(dtype).expand(1, 3, 1, -1))
    assert not lab[:, 1:].any()
    assert (lab[0, 0, 0].diff() >= 0).all()


@pytest.mark.parametrize("convert", [srgb_to_lab, lab_to_srgb])
def test_gradcheck_of_conversions(convert):
    images = random_images()
    images = (images * 1.6 - 0.3 if convert is srgb_to_lab else images * 120 - 20).requires_grad_()
    assert torch.autograd.gradcheck(convert, images)


@pytest.mark.parametrize("dtype", [*HALVES, torch.float32])
def test_gradients_are_finite_from_black_to_beyond_white(dtype):
    levels = torch.tensor([-1.0, -1e-30, -0.0, 0, 1e-40, 1e-7, 0.003, 0.0404, 0.0405, 0.5, 1, 2]).to(dtype)
    images = levels.expand(1, 3, 1, -1).clone().requires_grad_()
    for convert in (srgb_to_lab, lab_to_srgb, lambda x: lab_to_srgb(srgb_to_lab(x))):
        for channel in range(3):
            (found,) = torch.autograd.grad(convert(images)[:, channel].sum(), images)
            assert found.isfinite().all()
    (found,) = torch.autograd.grad(srgb_to_lab(images)[:, 0].sum(), images)
    assert (found.sum(1) > 0).all()  # at black too, lightness rises


# Differences.


def pairs_of_colors(count=3000, seed=42):
    """Colours far apart, close together, with a grey on either side, and both grey."""
    rng = np.random.default_rng(seed)
    first, second = (rng.uniform([0, -110, -110], [100, 110, 110], (count, 3)) for _ in range(2))
    third = count // 3
    second[:third] = first[:third] + rng.normal(0, 1, (third, 3))
    first[third : third + 200, 1:] = 0
    second[third + 100 : third + 300, 1:] = 0
    first[:100, 1:] *= 1e-3
    return first, second


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-7), (torch.float32, 4e-3)]
)  # processors round float32 roots and arc tangents otherwise
def test_delta_e_2000_is_that_of_colour_science(dtype, tolerance):
    first, second = pairs_of_colors()
    ours = delta_e_2000(images_of(first, dtype), images_of(second, dtype)).flatten().double().numpy()
    theirs = colour.difference.delta_E_CIE2000(first, second)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_34_published_pairs(dtype):
    pair = images_of(FIRST, dtype), images_of(SECOND, dtype)
    for one, other in (pair, pair[::-1]):
        found = delta_e_2000(one, other).flatten().double().numpy()
        np.testing.assert_allclose(found, DIFFERENCE, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-3)])
def test_many_random_pairs_are_those_of_arrays(dtype, tolerance):
    """Three in four random colours; the rest have opposite or nearly equal hues."""
    rng = np.random.default_rng(4)
    pair = rng.uniform([0, -110, -110], [100, 110, 110], (2, 200_000, 3)).astype(np.float32)
    pair[1, :40_000, 1:] = pair[0, :40_000, 1:] * -np.repeat(np.float32([1, 2, 3, 0.7]), 10_000)[:, None]
    pair[1, 40_000:50_000] = pair[0, 40_000:50_000] + 1e-3
    first, second = pair.astype(np.float64)
    found = delta_e_2000(images_of(first, dtype), images_of(second, dtype)).flatten().double().numpy()
    sure = of_arrays.delta_e_2000(first, second)
    # Of 0.7 and 3 times, rounded to float32, only float64 can tell on which side of opposite they lie.
    some = np.ones(len(sure), bool) if dtype == torch.float64 else np.arange(len(sure)) // 20_000 != 1
    np.testing.assert_allclose(found[some], sure[some], rtol=0, atol=tolerance)


def test_an_image_of_opposite_colours_differs_by_the_formula():
    lab = srgb_to_lab(random_images(3, (1, 3, 40, 50), torch.float32))
    turned = lab * torch.tensor([1.0, -1.0, -1.0]).view(1, 3, 1, 1)
    flat = [one.double().permute(0, 2, 3, 1).reshape(-1, 3).contiguous().numpy() for one in (lab, turned)]
    found = delta_e_2000(lab, turned).flatten().double().numpy()
    np.testing.assert_allclose(found, of_arrays.delta_e_2000(*flat), rtol=0, atol=1e-3)


@pytest.mark.parametrize("hue", [0.0, 45.0, 180.0, 275.0, 359.999])
def test_hues_on_both_sides_of_the_wrap(hue):
    turn = np.concatenate([np.linspace(-4, 4, 65), np.linspace(50, 175, 64), np.linspace(-175, -50, 64)])
    angles = np.radians(hue + turn)
    second = np.stack([np.full_like(angles, 55), 40 * np.cos(angles), 40 * np.sin(angles)], axis=-1)
    first = np.broadcast_to([50, 60 * np.cos(np.radians(hue)), 60 * np.sin(np.radians(hue))], second.shape)
    ours = delta_e_2000(images_of(first), images_of(second)).flatten().numpy()
    np.testing.assert_allclose(ours, colour.difference.delta_E_CIE2000(first, second), rtol=0, atol=1e-7)


def test_delta_e_76_is_that_of_colour_science():
    first, second = pairs_of_colors()
    ours = delta_e_76(images_of(first), images_of(second)).flatten().numpy()
    np.testing.assert_allclose(ours, colour.difference.delta_E_CIE1976(first, second), rtol=0, atol=1e-9)


def test_losses_are_means_over_pixels():
    one, other = random_images(), random_images(1)
    rows = [images.permute(0, 2, 3, 1).reshape(-1, 3).numpy() for images in (one, other)]
    labs = [lab_space.srgb_to_lab(row) for row in rows]
    for loss, difference in ((lab_loss, "CIE 1976"), (delta_e_2000_loss, "CIE 2000")):
        expected = colour.delta_E(*labs, method=difference).mean()
        assert loss(one, other).item() == pytest.approx(expected, abs=1e-8)


def test_the_ratio_of_chroma():
    target = random_images()
    grey = target.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    dull = grey + 0.5 * (target - grey)
    chroma = [np.hypot(*srgb_to_lab(x)[:, 1:].movedim(1, 0).numpy()).mean((1, 2)) for x in (dull, target)]
    expected = (chroma[0] + 1) / (chroma[1] + 1)
    found = chroma_ratio(dull, target)
    assert found.shape == (2,)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)
    assert (found < 0.8).all()
    assert chroma_ratio_loss(dull, target).item() == pytest.approx(-np.log(expected).mean())
    assert chroma_ratio_loss(target, dull).item() == pytest.approx(-np.log(expected).mean())
    assert chroma_ratio(grey, grey).tolist() == [1, 1]
    # Too dull and too vivid do not make up for each other.
    mixed = torch.stack([dull[0], target[1]]), torch.stack([target[0], dull[1]])
    assert chroma_ratio_loss(*mixed).item() == pytest.approx(-np.log(expected).mean())


# Gradients of losses.


@pytest.mark.parametrize("loss", PAIR_LOSSES)
def test_gradcheck_of_losses(loss):
    one, other = random_images(shape=(2, 3, 2, 3)), random_images(1, (2, 3, 2, 3))
    assert torch.autograd.gradcheck(loss, (one.requires_grad_(), other.requires_grad_()))


def test_gradcheck_of_differences_of_close_and_dull_colours():
    rng = np.random.default_rng(7)
    first = rng.uniform([20, -60, -60], [80, 60, 60], (30, 3))
    second = first + rng.normal(0, 2, (30, 3))
    first[:10, 1:], second[:10, 1:] = rng.normal(0, 2, (10, 2)), rng.normal(0, 30, (10, 2))
    pair = images_of(first).requires_grad_(), images_of(second).requires_grad_()
    assert torch.autograd.gradcheck(delta_e_2000, pair)
    assert torch.autograd.gradcheck(delta_e_76, pair)


SPECIAL = [
    (0, 0, 0), (1, 1, 1), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5000001), (0.2, 0.2, 0.2), (0, 0, 1), (1, 0, 0),
    (0, 1, 0), (1, 1, 0), (0.5, 0.50001, 0.5), (1e-8, 0, 0), (0, 0, 1e-30), (0.3, 0.3, 0.9), (0.9, 0.9, 0.3),
]  # fmt: skip


@pytest.mark.parametrize("loss", PAIR_LOSSES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_gradients_are_finite_between_any_two_of_greys_black_white_and_colours(loss, dtype):
    count = len(SPECIAL)
    first = images_of(np.repeat(SPECIAL, count, axis=0), dtype).requires_grad_()
    second = images_of(np.tile(SPECIAL, (count, 1)), dtype).requires_grad_()
    value = loss(first, second)
    assert value.isfinite()
    assert value.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    for found in torch.autograd.grad(value, (first, second)):
        assert found.dtype == dtype
        assert found.isfinite().all()


@pytest.mark.parametrize("chroma", [1e-20, 1e-7, 1.1e-6, 1e-4, 0.02, 0.101, 1])
def test_gradients_near_grey_are_small_whatever_the_other_colour(chroma):
    rng = np.random.default_rng(50)
    hue = rng.uniform(0, 2 * np.pi, 50_000)
    near = np.stack([np.full_like(hue, 50), chroma * np.cos(hue), chroma * np.sin(hue)], axis=-1)
    other = rng.uniform([0, -100, -100], [100, 100, 100], near.shape)
    pair = [images_of(colors, torch.float32).requires_grad_() for colors in (near, other)]
    for found in torch.autograd.grad(delta_e_2000(*pair).sum(), pair):
        assert found.norm(dim=1).max() < 100


@pytest.mark.parametrize("loss", [lab_loss, delta_e_2000_loss])
def test_equal_images_differ_by_nothing_and_pull_nowhere(loss):
    images = random_images(dtype=torch.float32).requires_grad_()
    value = loss(images, images.detach().clone())
    assert value == 0
    assert not torch.autograd.grad(value, images)[0].any()


@pytest.mark.parametrize("loss", [lab_loss, delta_e_2000_loss])
def test_a_grey_answer_is_pulled_toward_the_colour(loss):
    grey = images_of([(0.5, 0.5, 0.5)], torch.float32).requires_grad_()
    target = images_of([(0.8, 0.45, 0.3)], torch.float32)
    before = loss(grey, target)
    (found,) = torch.autograd.grad(before, grey)
    after = loss(grey - 1e-3 * found / found.norm(), target)
    assert after < before
    assert found[0, 0, 0, 0] < 0 < found[0, 2, 0, 0]  # more red, less blue


# NaN, infinities, and values far out of range.


def with_one(images, value, channels):
    spoilt = images.clone()
    spoilt[0, channels, 1, 2] = value
    return spoilt


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("channels", [[0], [1], [2], [0, 1, 2]])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_one_value_that_is_not_finite_makes_every_loss_so(value, channels, dtype):
    one, other = random_images(dtype=dtype), random_images(1, dtype=dtype)
    spoilt = with_one(one, value, channels)
    assert not srgb_to_lab(spoilt)[0, :, 1, 2].isfinite().any()
    for pair in ((spoilt, other), (other, spoilt), (spoilt, one), (spoilt, spoilt)):
        for loss in PAIR_LOSSES:
            assert not loss(*pair).isfinite()
        assert chroma_ratio(*pair).isfinite().tolist() == [False, True]  # the second image is sound
        for difference in (delta_e_76, delta_e_2000):
            found = difference(*map(srgb_to_lab, pair)).isfinite()
            assert not found[0, 1, 2]
            assert found.sum() == found.numel() - 1


@pytest.mark.parametrize("difference", [delta_e_76, delta_e_2000])
@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_one_value_of_lab_that_is_not_finite(value, channel, difference):
    lab = srgb_to_lab(random_images())
    for first in (lab, torch.zeros_like(lab)):
        spoilt = with_one(first, value, [channel])
        for pair in ((spoilt, lab), (lab, spoilt)):
            assert not difference(*pair)[0, 1, 2].isfinite()
    assert not lab_to_srgb(with_one(lab, value, [channel]))[0, :, 1, 2].isfinite().all()


@pytest.mark.parametrize("loss", PAIR_LOSSES)
def test_a_broken_network_is_not_perfect(loss):
    target = random_images(dtype=torch.float32)
    for value in (float("nan"), float("inf"), 1e20, -1e20):
        assert not loss(torch.full_like(target, value)[..., :2, :2], target[..., :2, :2]).isfinite()


FAR = (0, 1, 0.4, -5, 70, -70, 1e4, -1e4, 1e5, -1e5)


@pytest.mark.parametrize("loss", PAIR_LOSSES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_gradients_are_finite_far_out_of_range(loss, dtype):
    # Pixel by pixel, because a mean would hide which of them breaks, and half of a batch of such is refused.
    colors = torch.cartesian_prod(*[torch.tensor(FAR, dtype=torch.float64)] * 3).to(dtype)
    images = colors.view(-1, 3, 1, 1)
    mixed = images[torch.randperm(len(images), generator=torch.Generator().manual_seed(8))]
    plain = torch.tensor([0.8, 0.45, 0.3], dtype=dtype).view(1, 3, 1, 1).expand(images.shape)
    for pair in ((images, mixed), (images, plain), (plain, images), (images, images)):
        one, other = (part.clone().requires_grad_() for part in pair)
        value = loss(one, other)
        assert value.isfinite()
        for found in torch.autograd.grad(value, (one, other)):
            assert found.isfinite().all()


@pytest.mark.parametrize("scale", [70.0, 1e3, 1e4, 1e5])
def test_float32_agrees_with_arrays_on_differences_of_huge_colours(scale):
    rng = np.random.default_rng(9)
    first, second = (rng.uniform(-scale, scale, (500, 3)).astype(np.float32) for _ in range(2))
    labs = [lab_space.srgb_to_lab(colors.astype(np.float64)) for colors in (first, second)]
    found = delta_e_2000(*(images_of(lab, torch.float32) for lab in labs)).flatten().double().numpy()
    rounded = [lab.astype(np.float32).astype(np.float64) for lab in labs]
    np.testing.assert_allclose(found, of_arrays.delta_e_2000(*rounded), rtol=1e-4)


# What is refused.


@pytest.mark.parametrize("convert", [srgb_to_lab, lab_to_srgb])
@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.zeros(3, 4, 5), r"must be \(B, 3, H, W\), not \(3, 4, 5\)"),
        (torch.zeros(1, 4, 4, 5), r"must be \(B, 3, H, W\), not \(1, 4, 4, 5\)"),
        (torch.zeros(0, 3, 4, 5), r"must be \(B, 3, H, W\)"),
        (torch.zeros(1, 3, 4, 5).long(), "not torch.int64"),
        (np.zeros((1, 3, 4, 5)), "not ndarray"),
    ],
)
def test_what_is_no_image(convert, images, words):
    with pytest.raises(ArrayError, match=words) as caught:
        convert(images)
    assert str(caught.value).startswith(f"{convert.__name__}: ")


def test_codes_are_no_lab():
    codes = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    for refuse in (lab_to_srgb, lambda x: delta_e_76(x, x), lambda x: delta_e_2000(x, x)):
        with pytest.raises(ArrayError, match=r"float(s|ing)"):
            refuse(codes)


@pytest.mark.parametrize("loss", [*PAIR_LOSSES, chroma_ratio, delta_e_76, delta_e_2000])
def test_images_that_do_not_match(loss):
    images = random_images()
    with pytest.raises(
        ArrayError, match=r"\(2, 3, 3, 4\) on cpu and \(1, 3, 3, 4\) on cpu do not match; compare"
    ):
        loss(images, images[:1])
    with pytest.raises(ArrayError, match=r"the second image must be \(B, 3, H, W\)"):
        loss(images, images[:, :2])
    with pytest.raises(ArrayError, match="on meta"):
        loss(images, images.to("meta"))


def test_floats_of_codes_are_refused_by_layers_and_losses():
    codes = torch.rand(2, 3, 24, 40, generator=torch.Generator().manual_seed(1)) ** 2 * 255
    layer = LutModule(Lut3D.identity(3))
    table = layer.table_0
    for call in (
        lambda: layer(codes),
        lambda: apply_lut(codes, table),
        lambda: apply_curves(codes, torch.rand(5, 3)),
        lambda: srgb_to_lab(codes.half()),
        lambda: color_losses.lab_loss(codes, codes),
        lambda: color_losses.delta_e_2000_loss(codes / 255, codes),
        lambda: color_losses.chroma_ratio_loss(codes, codes / 255),
    ):
        with pytest.raises(ArrayError, match=r"half of the values are above 4; floats are 0\.\.1"):
            call()
    layer(codes / 255)
    layer(codes.to(torch.uint8))
    wide = LutModule(Lut3D(Lut3D.identity(3).table, (0, 0, 0), (255, 255, 255)))
    wide(codes)


def test_highlights_and_transforms_pass():
    images = torch.rand(2, 3, 24, 40, generator=torch.Generator().manual_seed(1))
    images[:, :, :10] *= 1000
    assert srgb_to_lab(images).isfinite().all()
    each = torch.func.vmap(lambda image: srgb_to_lab(image[None])[0])(images)
    assert torch.allclose(each, srgb_to_lab(images))
