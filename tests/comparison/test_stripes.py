"""Stripes are told by channel and size, of rows and of columns; clean and changed copies have none."""

import numpy as np
import pytest
from known_damage import edited_saturation, gains, jpeg, noisy, photo, resized, shifted, striped
from measured_pairs import measured_pair

from lutkit.comparison.artefacts import own_artefacts, pair_artefacts
from lutkit.comparison.explanation import explain
from lutkit.comparison.findings import diagnose
from lutkit.comparison.noise import Noise
from lutkit.comparison.stripes import Stripes

PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")
every_photo = pytest.mark.parametrize("reference", [photo(name) for name in PHOTOS], ids=PHOTOS)


def stripes(reference, output):
    return pair_artefacts(reference, output)[Stripes].codes


@every_photo
@pytest.mark.parametrize(
    ("channel", "period", "size", "down"), [(0, 2, 1, False), (1, 4, 2, True), (2, 16, 3, True)]
)
def test_stripes_of_one_channel(reference, channel, period, size, down):
    output = striped(reference, channel, period, size, down)
    assert stripes(reference, output) == pytest.approx(size * np.eye(3)[channel], abs=0.12 * size)


@every_photo
def test_the_mask_that_tells_noise_is_blind_to_them(reference):
    found = pair_artefacts(reference, striped(reference, 0, 2, 3))
    assert found[Noise].codes[0] < 0.2
    assert found[Stripes].codes[0] > 2.5


@every_photo
def test_they_are_a_finding_of_their_channel(reference):
    pair = measured_pair("a", reference, striped(reference, 0, 6, 3))
    (finding,) = diagnose(explain(pair.blocks), [pair])
    assert (finding.kind, finding.channels) == ("stripes", ("red",))
    assert finding.value == pytest.approx(3, abs=0.4)
    assert (
        Stripes.sentence(3.04, ("red",), [pair.found[Stripes]])
        == "Stripes: rows or columns 3.0 codes apart in red"
    )


@every_photo
def test_stripes_outlive_compression(reference):
    assert stripes(reference, jpeg(striped(reference, 2, 8, 4), 95, 0))[2] > 2


@every_photo
@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.copy(),
        lambda image: jpeg(image, 95, 0),
        lambda image: jpeg(image, 60, 2),
        lambda image: resized(image, 0.5),
        lambda image: shifted(image, 2, 1.5, 0),
        lambda image: noisy(noisy(image, 0, 20), 2, 20, 1),
        lambda image: edited_saturation(image, 1.6),
        lambda image: gains(image, 1.8, 1, 0.6),
    ],
    ids=["copy", "jpeg 95", "60", "resized", "moved", "noise", "vivid", "cast"],
)
def test_clean_copies_and_other_damage_have_none(reference, change):
    assert stripes(reference, change(reference)).max() < Stripes.limit


def test_what_the_reference_has_is_none_of_the_output_but_its_own():
    plain = photo("rocket")
    reference = striped(plain, 1, 4, 4)
    assert stripes(reference, reference.copy()).max() < 0.01
    own, without = (own_artefacts(image)[Stripes].codes[1] for image in (reference, plain))
    assert own - without > 2


def test_a_picture_too_small_tells_nothing():
    small = np.full((24, 24, 3), 90, np.uint8)
    assert np.isnan(stripes(small, small)).all()
    assert np.isnan(pair_artefacts(small, small)[Stripes].amounts()).all()
    assert pair_artefacts(small, small)[Stripes].faults(explained=False).tolist() == [0, 0, 0]
