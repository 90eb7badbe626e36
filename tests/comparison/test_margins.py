"""Margins and half rules: what lies just on either side of them."""

import numpy as np
import pytest
from known_damage import gains, noisy, photo, scene
from measured_pairs import having

from lutkit.comparison.artefacts import own_artefacts, pair_artefacts
from lutkit.comparison.blocks import free_blocks, thinned
from lutkit.comparison.clipping import Clipping, newly_clipped, swept_to_ends
from lutkit.comparison.explanation import explain
from lutkit.comparison.findings import PairMeasure, diagnose
from lutkit.comparison.fringing import Fringing
from lutkit.comparison.noise import Noise
from lutkit.comparison.speckle import Speckle


@pytest.mark.parametrize(("noise", "counts"), [(0, True), (2.5, True), (3.5, False), (np.nan, True)])
@pytest.mark.parametrize("end", [0, 255])
def test_noise_that_reaches_an_end_is_no_clipping(noise, counts, end):
    """25 codes away: 16 plus three times the noise."""
    reference = np.full((64, 64, 3), abs(end - 25), np.uint8)
    output = reference.copy()
    output[:, :8, 1] = end
    levels = np.array([0, noise, 0])
    found, _ = newly_clipped(reference, output, levels, free_blocks(reference, output))
    expected = np.zeros((2, 3))
    expected[end // 255, 1] = counts / 8
    np.testing.assert_allclose(found, expected)


def test_noise_by_itself_is_no_speckle():
    reference = np.full((96, 96, 3), 128, np.uint8)
    output = noisy(reference, 1, 20)
    found = pair_artefacts(reference, output)
    assert found[Noise].codes[1] == pytest.approx(20, rel=0.1)
    assert found[Speckle].per_million == 0
    output[8::9, 8::9] = 250
    assert pair_artefacts(reference, output)[Speckle].per_million > 100
    grainy = own_artefacts(noisy(reference, 1, 20))
    assert grainy[Speckle].per_million == 0


def test_dark_survivors_of_blown_highlights_are_no_speckle():
    reference = np.full((64, 64, 3), 225, np.uint8)
    reference[::7, ::5] = 210
    output = np.where(reference > 215, 255, reference).astype(np.uint8)
    assert (np.abs(output[7, 5].astype(int) - output[7, 6]) >= 32).all()
    assert pair_artefacts(reference, output)[Speckle].per_million == 0
    few = np.full_like(reference, 200)
    dots = few.copy()
    dots[8::9, 8::9] = 255
    assert pair_artefacts(few, dots)[Speckle].per_million > 1000


def test_codes_are_swept_where_more_than_half_up_to_the_end_went_there():
    reference = np.zeros((10, 100, 3), np.uint8)
    reference[...] = np.arange(120, 220)[:, None]
    output = reference.copy()
    output[:6, 90:, 2] = 255  # six of ten of 210..219
    output[:4, :20, 0] = 0  # four of ten of 120..139
    output[:, :5, 1] = 3
    swept = swept_to_ends(reference, output)
    assert not swept[:, 0].any()
    # 120..124 went to 0: more than half of what lies below 129.
    assert np.flatnonzero(swept[0, 1]).tolist() == list(range(120, 129))
    # 210..219 did so by 6 in 10: 60 of the 110 from 209 on.
    assert np.flatnonzero(swept[1, 2]).tolist() == list(range(209, 220))
    assert not swept[1, 1].any()
    assert not swept[0, 2].any()


def dotted(image, channel, step=16):
    found = image.copy()
    found[10:-10:step, 10:-10:step, channel] = np.where(
        found[10:-10:step, 10:-10:step, channel] < 128, 250, 5
    )
    return found


def test_dots_of_a_channel_that_has_moved_are_none_of_the_output():
    """Three pixels off, the reference has itself what the output has here."""
    smooth = np.full((128, 128, 3), 100, np.uint8)
    smooth[30:90, 20:70] = (140, 120, 90)
    smooth[60:, 80:] = (90, 110, 130)
    reference = dotted(smooth, 2)
    output = np.dstack([reference[..., :2], np.roll(reference[..., 2:], 3, axis=1)])
    found = pair_artefacts(reference, output)
    assert found[Fringing].shifts[2] == pytest.approx((3, 0), abs=0.1)
    assert found[Speckle].per_million == 0
    more = reference.copy()
    more[10:-10:16, 13:-10:16, 2] = 250  # where all lies in its place a neighbour explains nothing
    assert pair_artefacts(reference, more)[Speckle].per_million > 1000


def test_channels_are_named_that_have_half_of_the_worst():
    reference = photo("chelsea")[:96, :96]
    found = pair_artefacts(reference, reference)
    blocks = thinned(free_blocks(reference, reference))
    for levels, names in (
        ((4, 1.6, 2.4), ("red", "blue")),
        ((1.9, 4, 2.1), ("green", "blue")),
        ((1.2, 0.9, 0), ("red",)),  # more than half, and below the limit
    ):
        noise = having(found, Noise(np.array(levels, float)))
        pair = PairMeasure("a", noise, found, 0.0, blocks, 1.0)
        (finding,) = diagnose(explain(blocks), [pair])
        assert finding.channels == names
        assert finding.value == max(levels)


def test_a_scene_by_itself_has_no_speckle():
    assert own_artefacts(scene(1))[Speckle].per_million < 100


def test_what_a_picture_has_of_its_own():
    dots = gains(photo("astronaut"), 0.9, 1, 1).copy()
    dots[40:300:20, 40:300:20] = (255, 0, 255)
    found = own_artefacts(dots)
    ends = [(dots == end).mean(axis=(0, 1)) for end in (0, 255)]
    np.testing.assert_allclose(found[Clipping].shares, ends)
    assert not np.allclose(found[Clipping].shares[0], found[Clipping].shares[1])
    assert 200 < found[Speckle].per_million < 1e6 * 169 / (320 * 320) + 50
    assert found[Fringing].shifts[1].tolist() == [0, 0]
    assert not found[Clipping].explained.any()
