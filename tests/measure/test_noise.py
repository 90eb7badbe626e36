"""Noise is told by channel and size beside grain of every kind; what compression makes of grain is not."""

import numpy as np
import pytest
from known_damage import codes, jpeg, noisy, photo

from lutkit.measure.noise import added_noise, own_noise

PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")
every_photo = pytest.mark.parametrize("reference", [photo(name) for name in PHOTOS], ids=PHOTOS)
STILL = np.zeros(3, bool)


def grainy(image, shared, own, seed=5):
    """Grain that channels share, and of their own: as of a camera, whose green has least."""
    rng = np.random.default_rng(seed)
    return codes(image + rng.normal(0, shared, (*image.shape[:2], 1)) + rng.normal(0, own, image.shape))


def added(reference, output, moved=STILL):
    return added_noise(reference, output, moved)


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
