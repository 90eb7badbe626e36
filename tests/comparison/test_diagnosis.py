"""Known damage to natural photographs is diagnosed as exactly that, clean copies as nothing."""

import numpy as np
import pytest
import skimage.color
from known_damage import (
    cast,
    clipped,
    crushed,
    desaturated,
    edited_saturation,
    gains,
    gamma,
    jpeg,
    noisy,
    photo,
    resized,
    shifted,
    speckled,
    turned,
    under_light,
)
from measured_pairs import measured_pair

from lutkit.comparison.artefacts import own_artefacts, pair_artefacts
from lutkit.comparison.blocks import free_blocks
from lutkit.comparison.color_change import color_change, pair_sums
from lutkit.comparison.explanation import explain
from lutkit.comparison.findings import diagnose, own_levels, unplaced
from lutkit.comparison.fringing import Fringing
from lutkit.comparison.noise import Noise
from lutkit.comparison.speckle import Speckle
from lutkit.errors import ArrayError

PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")
every_photo = pytest.mark.parametrize("reference", [photo(name) for name in PHOTOS], ids=PHOTOS)


def measured(reference, output, key="a"):
    sums = pair_sums(reference, output)
    return sums, measured_pair(key, reference, output, sums.delta_e_sum)


def diagnosed(reference, output):
    sums, pair = measured(reference, output)
    change = color_change(sums)
    return change, {finding.kind: finding for finding in diagnose(explain(pair.blocks), [pair])}


def explained(reference, output):
    return explain(free_blocks(reference, output))


@every_photo
@pytest.mark.parametrize("factor", [0.0, 0.5, 0.8])
def test_desaturation(reference, factor):
    change, found = diagnosed(reference, desaturated(reference, factor))
    assert set(found) == {"saturation"}
    assert found["saturation"].value == pytest.approx(factor, abs=0.02)
    assert change.chroma_ratio == pytest.approx(factor, abs=0.03)


@every_photo
@pytest.mark.parametrize(("a", "b"), [(0, 4), (-3, -2)])
def test_a_cast(reference, a, b):
    found = diagnosed(reference, cast(reference, a, b))[1]
    assert set(found) == {"cast"}
    # Where colours leave sRGB they are cut off, and the cast with them.
    assert explained(reference, cast(reference, a, b)).cast == pytest.approx((a, b), abs=1.1)


@every_photo
def test_light_of_another_colour_is_a_cast(reference):
    gains = (1, 0.97, 0.82)
    _, found = diagnosed(reference, under_light(reference, *gains))
    assert set(found) == {"cast"}
    grey = np.repeat(reference[..., 1:2], 3, axis=2)
    became = skimage.color.rgb2lab(under_light(grey, *gains))[..., 1:].reshape(-1, 2).mean(axis=0)
    assert explained(reference, under_light(reference, *gains)).cast == pytest.approx(became, abs=1.5)


@every_photo
@pytest.mark.parametrize(
    ("channel", "right", "down"), [(2, 1.5, 0), (0, -0.4, 0.3), (1, 0, 2.25), (0, 6.5, -4.25)]
)
def test_a_channel_out_of_place(reference, channel, right, down):
    name = ("red", "green", "blue")[channel]
    output = shifted(reference, channel, right, down)
    _, found = diagnosed(reference, output)
    assert set(found) == {"fringing"}
    assert found["fringing"].channels == (name,)
    assert found["fringing"].value == pytest.approx(np.hypot(right, down), rel=0.02, abs=0.05)
    shifts = pair_artefacts(reference, output)[Fringing].shifts
    assert shifts[channel] == pytest.approx((right, down), rel=0.02, abs=0.05)
    assert np.abs(np.delete(shifts, channel, axis=0)).max() < 0.02


@every_photo
@pytest.mark.parametrize(("channel", "sigma"), [(0, 3), (2, 8)])
def test_noise_in_one_channel(reference, channel, sigma):
    _, found = diagnosed(reference, noisy(reference, channel, sigma))
    assert set(found) == {"noise"}
    assert found["noise"].channels == (("red", "green", "blue")[channel],)
    assert found["noise"].value == pytest.approx(sigma, rel=0.08)


@every_photo
def test_speckle(reference):
    _, found = diagnosed(reference, speckled(reference, 0.001))
    assert set(found) == {"speckle"}
    assert 100 < found["speckle"].value < 1100


def test_clipping():
    reference = photo("coffee")
    output = clipped(reference, 0)
    _, found = diagnosed(reference, output)
    assert found["clipping"].channels == ("red",)
    expected = ((output[..., 0] == 255) & (reference[..., 0] <= 239)).mean()
    assert expected > 0.05
    assert found["clipping"].value == pytest.approx(expected)


@every_photo
@pytest.mark.parametrize(("quality", "subsampling"), [(95, 0), (85, 2), (60, 2)])
def test_a_compressed_copy_is_diagnosed_as_nothing(reference, quality, subsampling):
    _, found = diagnosed(reference, jpeg(reference, quality, subsampling))
    assert found == {}


@every_photo
def test_a_copy_is_diagnosed_as_nothing(reference):
    change, found = diagnosed(reference, reference.copy())
    assert found == {}
    assert change.delta_e == (0, 0)
    assert change.gain == pytest.approx((1, 1, 1))


def test_what_the_reference_has_itself_does_not_count():
    reference = noisy(shifted(photo("chelsea"), 2, 1.5, 0), 0, 6)
    assert diagnosed(reference, reference.copy())[1] == {}
    assert set(diagnosed(reference, desaturated(reference, 0.5))[1]) == {"saturation"}


def test_two_faults_are_two_findings():
    reference = photo("astronaut")
    output = noisy(shifted(desaturated(reference, 0.7), 2, 1.5, 0), 0, 5)
    _, found = diagnosed(reference, output)
    assert set(found) == {"saturation", "fringing", "noise"}
    assert found["noise"].channels == ("red",)
    assert found["fringing"].channels == ("blue",)


def test_a_picture_off_as_a_whole_is_no_fringing():
    reference = photo("rocket")
    output = reference
    for channel in range(3):
        output = shifted(output, channel, -1.25, 0.5)
    _, found = diagnosed(reference, output)
    assert set(found) == {"shift"}
    assert found["shift"].value == pytest.approx(np.hypot(1.25, 0.5), abs=0.03)


@pytest.mark.parametrize("blue", ["flat", "too far"])
def test_a_channel_that_cannot_be_placed_hides_no_fault_of_the_others(blue):
    reference = photo("astronaut")
    output = shifted(reference, 0, 2, 0)
    if blue == "flat":
        output[..., 2] = 128
    else:
        output = shifted(output, 2, 12, 0)
    _, pair = measured(reference, output)
    assert np.isnan(pair.found[Fringing].shifts[2]).all()
    _, found = diagnosed(reference, output)
    assert found["fringing"].value == pytest.approx(2, abs=0.05)
    assert found["fringing"].channels == ("red",)
    assert "shift" not in found
    moved = reference
    for channel in (0, 1):
        moved = shifted(moved, channel, -1.25, 0.5)
    moved[..., 2] = 128
    _, found = diagnosed(reference, moved)
    assert found["shift"].value == pytest.approx(np.hypot(1.25, 0.5), abs=0.03)
    assert "fringing" not in found


def test_the_worst_images_are_named_and_one_in_thirty_is_rare():
    reference = photo("chelsea")
    pairs = [measured(reference, noisy(reference, 2, sigma), f"n{sigma}")[1] for sigma in (2, 9, 4, 6)]
    clean = measured(reference, reference, "clean")[1]
    change = explain(clean.blocks)
    (finding,) = diagnose(change, [*pairs, clean])
    assert finding.worst == ("n9", "n6", "n4")
    assert finding.images == 4
    (rare,) = diagnose(change, [pairs[0], *[clean] * 29])
    assert (rare.kind, rare.rare, rare.images, rare.worst) == ("noise", True, 1, ("n2",))
    assert not rare.is_fault
    assert finding.is_fault


def test_levels_tell_sets_apart():
    plain = [own_artefacts(photo(name)) for name in PHOTOS]
    worse = [own_artefacts(noisy(shifted(photo(name), 2, 1.5, 0), 0, 6)) for name in PHOTOS]
    before, after = own_levels(plain), own_levels(worse)
    assert after["noise"][0] > before["noise"][0] + 3
    assert after["noise"][1] == pytest.approx(before["noise"][1], abs=0.3)
    assert after["fringing"][2] - before["fringing"][2] == pytest.approx(1.5, abs=0.3)
    dotted = own_levels([own_artefacts(speckled(photo(name), 0.001)) for name in PHOTOS])
    assert dotted["speckle"][0] > before["speckle"][0] + 100
    shares = [[(photo(name)[..., c] == end).mean() for end in (0, 255)] for name in PHOTOS for c in range(3)]
    expected = np.max(shares, axis=1).reshape(len(PHOTOS), 3).mean(axis=0)
    assert before["clipping"] == pytest.approx(expected)


@every_photo
@pytest.mark.parametrize("factor", [0.6, 1.4])
def test_saturation_as_editors_change_it(reference, factor):
    _, found = diagnosed(reference, edited_saturation(reference, factor))
    assert unexplained(found) == {"saturation"}
    assert found["saturation"].value == pytest.approx(factor, abs=0.04)


@every_photo
def test_turned_hues(reference):
    _, found = diagnosed(reference, turned(reference, 12))
    assert unexplained(found) == {"hue"}
    assert found["hue"].value == pytest.approx(12, abs=1)


@every_photo
@pytest.mark.parametrize("power", [0.8, 1.25])
def test_a_gamma_is_lightness_alone(reference, power):
    _, found = diagnosed(reference, gamma(reference, power))
    assert set(found) == {"lightness"}
    assert (found["lightness"].value > 0) == (power < 1)


@every_photo
def test_contrast(reference):
    middle = reference.mean()
    output = np.clip(np.rint(middle + 0.8 * (reference.astype(float) - middle)), 0, 255).astype(np.uint8)
    _, found = diagnosed(reference, output)
    assert set(found) == {"contrast"}
    assert found["contrast"].value == pytest.approx(0.8, abs=0.05)


@every_photo
@pytest.mark.parametrize("saved", ["png", "jpeg"])
def test_a_strong_cast_is_a_cast_and_what_it_clips_its_consequence(reference, saved):
    output = gains(reference, 1.35, 1, 0.75)
    output = output if saved == "png" else jpeg(output, 95, 0)
    _, pair = measured(reference, output)
    findings = diagnose(explain(pair.blocks), [pair])
    assert [finding.kind for finding in findings if not finding.explained] == ["cast"]
    grey = np.repeat(pair.blocks[:, :1].mean(axis=2, keepdims=True), 3, axis=2)  # as light as it is
    became = skimage.color.rgb2lab(gains(grey, 1.35, 1, 0.75))[..., 1:].reshape(-1, 2).mean(axis=0)
    assert explain(pair.blocks).cast == pytest.approx(became, abs=1.5)
    newly = ((output[..., 0] == 255) & (reference[..., 0] <= 239)).mean()
    explained = [finding for finding in findings if finding.explained]
    assert [finding.channels for finding in explained] == ([("red",)] if newly > 0.02 else [])
    if explained:
        assert explained[0].value == pytest.approx(newly, rel=0.1)


@every_photo
def test_what_a_cast_clips_is_no_fringing(reference):
    assert pair_artefacts(reference, gains(reference, 1.8, 1, 0.7))[Fringing].amounts().max() < 0.03


def test_some_of_these_strong_casts_clip():
    shares = [(gains(photo(name), 1.35, 1, 0.75)[..., 0] == 255).mean() for name in PHOTOS]
    assert max(shares) > 0.05


def test_a_cast_and_a_channel_cut_off_beside_it_are_two():
    reference = photo("coffee")
    output = cast(reference, -3, -5)
    output[..., 0] = np.where(reference[..., 0] > 190, 255, output[..., 0])
    _, found = diagnosed(reference, output)
    assert set(found) == {"cast", "clipping"}
    assert not found["clipping"].explained


@every_photo
def test_crushed_shadows_are_clipping_alone(reference):
    output = crushed(reference, 48)
    _, found = diagnosed(reference, output)
    worth = ((output == 0) & (reference >= 16)).mean(axis=(0, 1)).max() > 0.02
    assert set(found) == ({"clipping"} if worth else set())


@every_photo
@pytest.mark.parametrize("factor", [0.5, 0.8])
def test_a_resized_copy_is_diagnosed_as_nothing(reference, factor):
    assert diagnosed(reference, resized(reference, factor))[1] == {}


def test_compression_of_grain_is_no_noise():
    grain = np.random.default_rng(3).normal(0, 7, (*photo("chelsea").shape[:2], 1))
    reference = np.clip(np.rint(photo("chelsea") + grain), 0, 255).astype(np.uint8)
    output = jpeg(reference, 95, 0)
    assert np.std(output.astype(float) - reference) > 2
    assert diagnosed(reference, output)[1] == {}


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        (lambda image: image, set()),
        (lambda image: edited_saturation(image, 1.3), {"saturation"}),
        (lambda image: shifted(image, 2, 1.5, 0), {"fringing"}),
    ],
    ids=["copy", "vivid", "moved"],
)
@every_photo
def test_compression_of_coloured_grain_is_no_noise(reference, change, kinds):
    shared = np.random.default_rng(3).normal(0, 6, (*reference.shape[:2], 1))
    own = np.random.default_rng(4).normal(0, 2.5, reference.shape)
    grainy = np.clip(np.rint(reference + shared + own), 0, 255).astype(np.uint8)
    found = unexplained(diagnosed(grainy, jpeg(change(grainy), 95, 0))[1])
    # A channel that has moved leaves straight edges of the photograph behind, which look like stripes.
    assert found - ({"stripes"} if kinds == {"fringing"} else set()) == kinds


def test_noise_that_all_channels_share_is_noise_of_all():
    reference = photo("astronaut")
    grain = np.random.default_rng(8).normal(0, 6, reference.shape[:2])
    output = np.clip(np.rint(reference + grain[..., None]), 0, 255).astype(np.uint8)
    _, found = diagnosed(reference, output)
    assert set(found) == {"noise"}
    assert found["noise"].channels == ("red", "green", "blue")
    assert found["noise"].value == pytest.approx(6, rel=0.1)


def test_noise_shows_where_most_of_a_picture_is_white():
    reference = photo("coffee").copy()
    reference[:, 70:] = 255
    _, found = diagnosed(reference, noisy(reference, 1, 5))
    assert set(found) == {"noise"}
    assert found["noise"].channels == ("green",)
    assert found["noise"].value == pytest.approx(5, rel=0.1)


def test_noise_shows_beside_a_texture_that_hides_it():
    reference = photo("rocket").copy()
    texture = np.random.default_rng(6).normal(0, 30, reference[:, 100:].shape)
    reference[:, :100] = 120
    reference[:, 100:] = np.clip(128 + texture, 0, 255).astype(np.uint8)
    _, found = diagnosed(reference, noisy(reference, 0, 4))
    assert set(found) == {"noise"}
    assert found["noise"].channels == ("red",)
    assert found["noise"].value == pytest.approx(4, rel=0.1)


def test_noise_shows_where_another_channel_is_empty():
    reference = photo("chelsea").copy()
    reference[..., 2] = 0
    output = noisy(reference, 0, 9)
    output[..., 2] = 0
    _, pair = measured(reference, output)
    assert pair.found[Noise].codes[0] == pytest.approx(9, rel=0.1)
    assert np.isnan(pair.found[Noise].codes[2])


def test_channels_that_cannot_be_placed_are_counted():
    reference = photo("astronaut")
    flat = reference.copy()
    flat[..., 2] = 128
    pairs = [measured(reference, output)[1] for output in (flat, flat, reference)]
    assert unplaced(pairs) == (0, 0, 2)


def test_bright_survivors_of_clipping_are_no_speckle():
    reference = np.full((64, 64, 3), 30, np.uint8)
    reference[::7, ::5] = 45
    output = crushed(reference, 40)
    assert pair_artefacts(reference, output)[Speckle].per_million == 0
    for ground in (reference, np.zeros_like(reference)):
        dots = ground.copy()
        dots[8::9, 8::9] = 120
        assert pair_artefacts(ground, dots)[Speckle].per_million > 1000


def unexplained(found):
    return {kind for kind, finding in found.items() if not finding.explained}


GREY = np.repeat(photo("chelsea")[..., 1:2], 3, axis=2)


def test_grey_photos_have_neither_hue_nor_chroma_to_change():
    change, found = diagnosed(GREY, GREY.copy())
    assert found == {}
    assert not change.colored
    assert change.chroma_ratio is change.saturation_ratio is None
    assert change.sectors == ()
    assert change.skin is None


def test_colour_laid_over_grey_is_a_cast():
    _, found = diagnosed(GREY, cast(GREY, 0, 6))
    assert set(found) == {"cast"}
    assert explained(GREY, cast(GREY, 0, 6)).cast == pytest.approx((0, 6), abs=0.7)


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 200, 3), (40, 40, 3)])
def test_flat_and_tiny_pictures_give_no_fault_and_no_warning(shape):
    flat = np.full(shape, 90, np.uint8)
    change, found = diagnosed(flat, flat.copy())
    assert found == {}
    assert np.isfinite(change.delta_e).all()


def test_pairs_are_of_one_size_and_kind():
    one = photo("coffee")
    for other in (one[:-1], one[..., 0], one / 255):
        with pytest.raises(ArrayError):
            pair_sums(one, other)
        with pytest.raises(ArrayError):
            pair_artefacts(one, other)
