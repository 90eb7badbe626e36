"""Spots of every size up to 8 px are told at their true rate, by channel; clean copies have none."""

import numpy as np
import pytest
import scipy.ndimage
from known_damage import codes, edited_saturation, gains, gamma, jpeg, noisy, photo, resized
from measured_pairs import measured_pair

from lutkit.comparison.artefacts import own_artefacts, pair_artefacts
from lutkit.comparison.explanation import explain
from lutkit.comparison.findings import diagnose
from lutkit.comparison.speckle import Speckle
from lutkit.comparison.spots import find_spots

PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")
every_photo = pytest.mark.parametrize("reference", [photo(name) for name in PHOTOS], ids=PHOTOS)


def spotted(image, side, count, channels=(0, 1, 2), seed=0):
    """Squares on a grid, each 60 codes or more from what is there, in one direction a channel."""
    rng, found = np.random.default_rng(seed), image.copy()
    places = [(y, x) for y in range(8, image.shape[0] - 16, 18) for x in range(8, image.shape[1] - 16, 18)]
    for number in rng.permutation(len(places))[:count].tolist():
        y, x = places[number]
        part = found[y : y + side, x : x + side]
        for channel in channels:
            part[..., channel] = (
                rng.integers(195, 256) if part[..., channel].mean() < 128 else rng.integers(0, 60)
            )
    return found


def speckle(reference, output):
    return pair_artefacts(reference, output)[Speckle]


def in_a_million(count, image):
    return 1e6 * count / (image.shape[0] * image.shape[1])


@pytest.mark.parametrize("channels", [(0,), (2,), (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("side", range(1, 9))
def test_spots_are_told_by_size_and_channel_at_their_rate(side, channels):
    """Over four photos, in each only where it is calm."""
    rates, sizes = [], set()
    for seed, name in enumerate(PHOTOS):
        reference = photo(name)
        found = speckle(reference, spotted(reference, side, 120, channels, seed))
        rates.append(found.of_channels / in_a_million(120, reference))
        sizes.add(found.largest_px)
        assert found.per_million == pytest.approx(found.of_channels.max(), rel=0.2)
    expected = np.isin(np.arange(3), channels).astype(float)
    # Of large ones few places are calm enough, and each found stands for many.
    assert np.mean(rates, axis=0) == pytest.approx(expected, abs=0.2 if side <= 4 else 0.8)
    assert np.mean(rates, axis=0)[list(channels)].min() > 0.5
    assert side in sizes


@every_photo
def test_red_spots_are_told_as_red(reference):
    output = spotted(reference, 2, 60, (0,))
    pair = measured_pair("a", reference, output)
    (finding,) = diagnose(explain(pair.blocks), [pair])
    assert (finding.kind, finding.channels) == ("speckle", ("red",))
    assert Speckle.sentence(600.4, finding.channels, [pair.found[Speckle]]) == (
        "Speckle: 600 spots of up to 2 px in a million in red"
    )


def test_spots_of_one_channel_each_are_added_up():
    reference = photo("rocket")
    output = spotted(spotted(reference, 2, 40, (0,), 1), 2, 40, (2,), 2)
    found = speckle(reference, output)
    assert found.of_channels[1] == 0
    assert found.per_million > 1.3 * found.of_channels.max()
    assert found.most(found.faults(explained=False)) == found.per_million


@every_photo
@pytest.mark.parametrize("quality", [(95, 0), (95, 2)])
def test_spots_outlive_compression(reference, quality):
    found = speckle(reference, jpeg(spotted(reference, 3, 120), *quality))
    assert found.per_million > 0.4 * in_a_million(120, reference)


@every_photo
@pytest.mark.parametrize(
    "change",
    [
        lambda image: jpeg(image, 95, 0),
        lambda image: jpeg(image, 60, 2),
        lambda image: jpeg(image, 30, 2),
        lambda image: resized(image, 0.5),
        lambda image: edited_saturation(image, 1.6),
        lambda image: gamma(image, 0.6),
        lambda image: codes(128 + 1.6 * (image - 128.0)),
        lambda image: gains(image, 1.8, 1, 0.6),
        lambda image: noisy(noisy(image, 0, 20), 2, 20, 1),
        lambda image: codes(
            image + 1.2 * (image - scipy.ndimage.uniform_filter(image.astype(float), (5, 5, 0)))
        ),
    ],
    ids=["jpeg 95", "60", "30", "resized", "vivid", "gamma", "contrast", "cast", "noise", "sharpened"],
)
def test_clean_copies_and_changes_of_colour_have_none(reference, change):
    assert speckle(reference, change(reference)).spots <= 1


@pytest.mark.parametrize("side", [1, 4, 8])
def test_what_the_reference_has_is_none_of_the_output(side):
    reference = spotted(photo("coffee"), side, 120)
    assert speckle(reference, reference.copy()).spots == 0
    assert speckle(reference, edited_saturation(reference, 0.5)).spots == 0


def test_an_image_by_itself_has_its_own():
    reference = photo("astronaut")
    plain, dotted = (own_artefacts(image)[Speckle] for image in (reference, spotted(reference, 3, 120, (2,))))
    assert dotted.of_channels[2] - plain.of_channels[2] == pytest.approx(
        in_a_million(120, reference), rel=0.3
    )
    assert plain.per_million < 0.2 * dotted.per_million


def test_one_or_two_spots_are_no_fault_and_a_busy_picture_tells_nothing():
    reference = np.full((64, 64, 3), 120, np.uint8)
    for count in (2, 3):
        found = speckle(reference, spotted(reference, 2, count))
        assert found.spots == count
        assert found.per_million == pytest.approx(in_a_million(count, reference), rel=0.3)
        assert (found.faults(explained=False).max() > 0) == (count == 3)
    busy = np.random.default_rng(3).integers(0, 256, (64, 64, 3), np.uint8)
    assert np.isnan(speckle(busy, busy).per_million)
    assert np.isnan(Speckle.level([speckle(busy, busy)])).all()


def test_lines_and_spots_of_more_than_8_px_are_none():
    reference = np.full((96, 96, 3), 120, np.uint8)
    output = reference.copy()
    output[20:29, 20:29, 0] = 220
    output[50, 10:60] = 20
    output[70:78, 20:28, 0] = 220
    limits = np.full(3, 32.0)
    found = find_spots(reference, output, limits, np.zeros((2, 3, 256), bool), 2)
    assert np.argwhere(found.counts).tolist() == [[8, 1]]
