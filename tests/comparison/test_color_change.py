"""A comparison's numbers are those that numpy, skimage and colour-science reckon from the same pixels."""

import colour
import numpy as np
import pytest
import skimage.color
from known_damage import cast, desaturated, noisy, photo, turned

from lutkit.comparison.blocks import block_means
from lutkit.comparison.color_change import SECTORS, color_change, pair_sums
from lutkit.errors import ArrayError

REFERENCE = photo("coffee")[:203, :187].copy()  # blocks at two sides are cut off
REFERENCE[:20, :30] = (12, 4, 7)  # too dark to have a saturation
OUTPUT = noisy(cast(turned(desaturated(REFERENCE, 0.7), 8), 4, -3), 0, 3)
CHANGE = color_change(pair_sums(REFERENCE, OUTPUT))


def polar(image):
    lab = skimage.color.rgb2lab(image).reshape(-1, 3)
    return lab, np.hypot(lab[:, 1], lab[:, 2]), np.degrees(np.arctan2(lab[:, 2], lab[:, 1])) % 360


def saturations():
    hsv = [skimage.color.rgb2hsv(image)[..., 1].reshape(-1) for image in (REFERENCE, OUTPUT)]
    lit = np.minimum(REFERENCE.max(axis=2), OUTPUT.max(axis=2)).reshape(-1) >= 16
    assert not lit.all()
    return [values[lit] for values in hsv]


def test_means_and_ratios():
    for image, found in ((REFERENCE, CHANGE.mean_before), (OUTPUT, CHANGE.mean_after)):
        lab, chroma, _ = polar(image)
        assert found[:4] == pytest.approx([*lab.mean(axis=0), chroma.mean()], abs=4e-3)
    before, after = saturations()
    assert (CHANGE.mean_before[4], CHANGE.mean_after[4]) == pytest.approx((before.mean(), after.mean()))
    assert CHANGE.saturation_ratio == pytest.approx(after.mean() / before.mean())
    assert CHANGE.saturation_slope == pytest.approx(np.polyfit(before, after, 1)[0])
    assert CHANGE.chroma_ratio == pytest.approx(
        polar(OUTPUT)[1].mean() / polar(REFERENCE)[1].mean(), abs=1e-4
    )
    assert CHANGE.pixels == 203 * 187


def test_delta_e():
    labs = [colour.XYZ_to_Lab(colour.sRGB_to_XYZ(image / 255)) for image in (REFERENCE, OUTPUT)]
    apart = colour.delta_E(*labs, method="CIE 2000")
    assert CHANGE.delta_e[0] == pytest.approx(apart.mean(), abs=4e-3)
    assert CHANGE.delta_e[1] == pytest.approx(np.percentile(apart, 95), abs=0.02)
    assert CHANGE.delta_e[1] > 1.15 * CHANGE.delta_e[0]


def test_hues_and_skin():
    (lab, chroma, hue), (_, became, to) = polar(REFERENCE), polar(OUTPUT)
    turn = (to - hue + 180) % 360 - 180
    found = {part.name: part for part in CHANGE.sectors}
    skin = (hue >= 30) & (hue <= 80) & (chroma >= 10) & (chroma <= 45) & (lab[:, 0] >= 20) & (lab[:, 0] <= 92)
    masks = {name: (chroma >= 8) & (hue // 45 == number) for number, name in enumerate(SECTORS)}
    hued = (chroma >= 8).sum()
    for name, mask in [*masks.items(), ("skin", skin)]:
        part = CHANGE.skin if name == "skin" else found.get(name)
        if mask.sum() < 300:
            continue
        assert part.share == pytest.approx(mask.sum() / hued, rel=4e-3)
        assert part.chroma_ratio == pytest.approx(became[mask].mean() / chroma[mask].mean(), rel=4e-3)
        weights = chroma[mask] * became[mask]
        vectors = weights * np.exp(1j * np.radians(turn[mask]))
        assert part.hue_shift == pytest.approx(np.degrees(np.angle(vectors.sum())), abs=0.1)
    assert sum((masks[name].sum() >= 300) for name in masks) >= 2
    assert sum(part.share for part in CHANGE.sectors) == pytest.approx(1)


@pytest.mark.parametrize(("spread", "colored"), [(0.8, False), (1.3, True)])
@pytest.mark.parametrize("axis", [1, 2])
def test_sets_of_one_hue_everywhere_have_no_colours_that_could_change(spread, colored, axis):
    """Blocks whose a or b has this spread, about a strong tint; the last blocks are smaller."""
    lab = np.full((83, 200, 3), (60.0, 9, 25))
    lab[..., axis] += np.where(np.arange(200) // 8 % 2, spread, -spread)
    image = np.clip(np.rint(255 * skimage.color.lab2rgb(lab)), 0, 255).astype(np.uint8)
    before, weight = block_means(image)
    plane = skimage.color.rgb2lab(before / 255)[:, 1:]
    found = np.average((plane - np.average(plane, axis=0, weights=weight)) ** 2, axis=0, weights=weight).sum()
    assert (found >= 1) == colored
    assert color_change(pair_sums(image, OUTPUT[:83].repeat(2, 1)[:, :200])).colored == colored


@pytest.mark.parametrize(("factor", "known"), [(0.15, False), (0.25, True)])
def test_nearly_grey_outputs_have_no_hues(factor, known):
    change = color_change(pair_sums(REFERENCE, desaturated(REFERENCE, factor)))
    part = max(change.sectors, key=lambda one: one.share)
    assert (part.hue_shift is not None) == known


def test_bias_and_gain_of_channels():
    output = np.clip(np.rint(REFERENCE * [0.9, 0.7, 0.5] + [3, 20, 41]), 0, 255).astype(np.uint8)
    change = color_change(pair_sums(REFERENCE, output))
    assert change.gain == pytest.approx((0.9, 0.7, 0.5), abs=0.01)
    assert change.bias == pytest.approx((3, 20, 41), abs=0.6)


def test_sums_of_pairs_add_to_those_of_both():
    halves = [pair_sums(REFERENCE[part], OUTPUT[part]) for part in (slice(0, 96), slice(96, None))]
    both = color_change(halves[0] + halves[1])
    assert both.delta_e == pytest.approx(CHANGE.delta_e)
    assert both.mean_after == pytest.approx(CHANGE.mean_after)
    assert both.colored
    assert both.bias == pytest.approx(CHANGE.bias)
    assert both.gain == pytest.approx(CHANGE.gain)


def test_sums_of_nothing_are_refused():
    one = pair_sums(REFERENCE, OUTPUT)
    with pytest.raises(ArrayError, match="no pairs"):
        color_change(type(one)(*(0 * getattr(one, name) for name in type(one).__dataclass_fields__)))
