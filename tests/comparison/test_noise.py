"""Noise is found by channel and size for every kind of grain; compressed grain is not noise."""

from types import SimpleNamespace

import numpy as np
import pytest
from known_damage import codes, jpeg, noisy, photo
from measured_pairs import measured_pair

from lutkit.comparison.noise import Noise, added_noise, own_noise
from lutkit.comparison.words import hidden_noise_lines

PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")
every_photo = pytest.mark.parametrize("reference", [photo(name) for name in PHOTOS], ids=PHOTOS)
STILL = np.zeros(3, bool)


def grainy(image, shared, own, seed=5):
    """Grain that channels share, and grain of their own, like a camera's, which is smallest in green."""
    rng = np.random.default_rng(seed)
    return codes(image + rng.normal(0, shared, (*image.shape[:2], 1)) + rng.normal(0, own, image.shape))


def added(reference, output, moved=STILL):
    """The reported noise; 0 if it is unknown."""
    return np.nan_to_num(added_noise(reference, output, moved))


@every_photo
def test_compression_of_grain_that_green_has_least_of_is_no_noise(reference):
    grain = grainy(reference, 3, (4, 2, 6))
    assert own_noise(grain)[1] < 0.6 * own_noise(grain)[2]
    for quality, subsampling in ((95, 0), (90, 0), (85, 2)):
        assert added(grain, jpeg(grain, quality, subsampling)).max() == 0


@every_photo
def test_noise_of_green_shows_beside_more_grain_of_others(reference):
    """More than half of green's grain, less than half of blue's."""
    grain = grainy(reference, 3, (4, 2, 6))
    assert added(grain, noisy(grain, 1, 3, 9)) == pytest.approx([0, 3, 0], abs=0.3)


@every_photo
@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize("sigma", [2, 4])
def test_noise_of_one_channel(reference, channel, sigma):
    assert added(reference, noisy(reference, channel, sigma)) == pytest.approx(
        sigma * np.eye(3)[channel], abs=0.2
    )


@every_photo
def test_noise_of_each_channel_by_itself(reference):
    output = noisy(noisy(noisy(reference, 0, 4, 1), 1, 6, 2), 2, 5, 3)
    assert added(reference, output) == pytest.approx([4, 6, 5], abs=0.35)


@every_photo
def test_noise_that_all_share_and_more_of_one(reference):
    shared = np.random.default_rng(4).normal(0, 5, (*reference.shape[:2], 1))
    output = noisy(codes(reference + shared), 2, 4)
    assert added(reference, output) == pytest.approx([5, 5, np.hypot(5, 4)], rel=0.1)


def textured(sigma, level=128.0, side=160):
    """Grain that all channels share, on a grey that grows lighter to the right."""
    grey = level + 0.1 * np.arange(side)[None, :, None] + np.zeros((side, 1, 3))
    return grainy(grey, sigma, 0)


@pytest.mark.parametrize(
    ("times", "moved", "told"),
    [
        (0.35, (), False),
        (0.8, (), True),
        (0.4, (2,), False),
        (0.55, (2,), False),  # of another channel out of place
        (0.85, (2,), True),
        (1.1, (1,), False),  # of its own detail, which is elsewhere
        (2.2, (1,), True),
    ],
)
def test_noise_of_a_channel_counts_from_a_share_of_the_grain(times, moved, told):
    reference = textured(6)
    where = np.isin(np.arange(3), moved)
    output = noisy(reference, 1, 6 * times)
    assert added(reference, output, where) == pytest.approx([0, 6 * times * told, 0], abs=0.5)
    assert np.isnan(added_noise(reference, output, where)).tolist() == [False, not told, False]


@pytest.mark.parametrize(("times", "told"), [(1.2, False), (2, True)])
def test_noise_that_all_share_counts_from_more_than_the_grain(times, told):
    reference = textured(6)
    noise = np.random.default_rng(9).normal(0, 6 * times, (*reference.shape[:2], 1))
    assert added(reference, codes(reference + noise)) == pytest.approx(6 * times * told, abs=0.8)
    assert np.isnan(added_noise(reference, codes(reference + noise), STILL)).tolist() == [not told] * 3


@pytest.mark.parametrize(("times", "told"), [(0.8, False), (1.7, True)])
def test_colours_grown_vivid_hide_as_much_as_their_grain(times, told):
    reference = grainy(textured(0), 0, (6, 6, 6))
    vivid = codes(128 + 1.5 * (reference - 128.0))
    assert added(reference, noisy(vivid, 0, 6 * times))[0] == pytest.approx(6 * times * told, rel=0.12)


@pytest.mark.parametrize(("times", "told"), [(1.2, False), (2, True)])
def test_noise_beside_an_empty_channel_counts_from_more_than_the_grain(times, told):
    reference = textured(6)
    reference[..., 2] = 0
    found = added_noise(reference, noisy(reference, 0, 6 * times), STILL)
    assert np.nan_to_num(found[:2]) == pytest.approx([6 * times * told, 0], abs=0.8)
    assert np.isnan(found).tolist() == [not told, False, True]


@pytest.mark.parametrize("end", [3, 252])
def test_noise_that_is_cut_off_at_an_end_is_not_looked_at(end):
    reference = textured(0, 150)
    reference[:120] = end
    assert added(reference, noisy(reference, 0, 6)) == pytest.approx([6, 0, 0], abs=0.4)
    assert own_noise(noisy(reference, 0, 6)) == pytest.approx([6, 0, 0], abs=0.4)


def test_noise_is_that_of_the_flattest_quarter():
    reference = textured(0)
    reference[:, :110] = grainy(reference[:, :110], 30, 0)
    assert own_noise(noisy(reference, 2, 5)) == pytest.approx([0, 0, 5], abs=0.4)


@pytest.mark.parametrize(("side", "known"), [((24, 26), False), ((28, 28), True), ((6, 200), False)])
def test_a_hundred_flat_pixels_are_needed(side, known):
    picture = np.random.default_rng(1).integers(90, 140, (*side, 3), np.uint8)
    assert np.isfinite(own_noise(picture)).tolist() == [known] * 3
    assert np.isfinite(added_noise(picture, picture, STILL)).tolist() == [known] * 3


@every_photo
@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_checkerboard_is_no_more_noise_than_it_deviates(reference, size):
    """The mask responds to it as to noise nearly four times as strong."""
    board = np.indices(reference.shape[:2]).sum(axis=0) % 2 * 2 - 1
    output = reference.astype(float)
    output[..., 0] += size * board
    assert added(reference, codes(output)) == pytest.approx([size, 0, 0], abs=0.25)
    grey = np.full((96, 96, 3), 120) + size * board[:96, :96, None]
    assert own_noise(codes(grey)) == pytest.approx([size] * 3, rel=0.06)


@every_photo
def test_noise_that_two_channels_share_is_noise_of_both(reference):
    """Noise that belongs neither to one channel alone nor to all three."""
    output = noisy(noisy(reference, 0, 6, 3), 2, 6, 3)
    assert added(reference, output) == pytest.approx([6, 0, 6], abs=0.5)


def test_a_copy_has_no_noise_and_that_is_known():
    for reference in (textured(6), textured(0), photo("coffee")):
        assert added_noise(reference, reference.copy(), STILL).tolist() == [0, 0, 0]


def test_a_set_whose_noise_is_hidden_says_so():
    grain = grainy(photo("coffee"), 3, (4, 2, 6))
    pairs = [measured_pair(f"{n}", grain, output) for n, output in enumerate([jpeg(grain, 95, 0)] * 2)]
    unknown = np.isnan(pairs[0].found[Noise].codes)
    names = [name for name, hidden in zip(("red", "green", "blue"), unknown, strict=True) if hidden]
    assert names
    assert hidden_noise_lines(SimpleNamespace(pairs=pairs)) == [
        f"Noise of {' and '.join(names)} is unknown in 2 of 2 images: it is no more than grain and"
        " compression may make, or there is no flat part to measure it in."
    ]
    clean = [measured_pair("a", grain, grain.copy())]
    assert hidden_noise_lines(SimpleNamespace(pairs=[*clean, *pairs[:1]])) == []
