"""Outputs of other references, flipped or rotated ones are found; outputs that keep the detail are not."""

import numpy as np
import pytest
from known_damage import (
    blurred,
    cast,
    codes,
    desaturated,
    edited_saturation,
    gamma,
    grey,
    jpeg,
    noisy,
    photo,
    scene,
    shifted,
)
from measured_pairs import measured_pair

from lutkit.comparison.blocks import block_means, block_sums
from lutkit.comparison.explanation import explain
from lutkit.comparison.findings import diagnose
from lutkit.comparison.likeness import LEAST_LIKENESS, likeness

SCENES = [scene(seed) for seed in range(7)]
CROPS = [photo(name)[:160, :160] for name in ("astronaut", "chelsea", "coffee", "rocket")]
NOWHERE = np.full(2, np.nan)


def noise_of_all(image):
    return noisy(noisy(noisy(image, 0, 12, 5), 1, 12, 6), 2, 12, 7)


KEPT = {
    "copy": lambda image: image,
    "grey": grey,
    "desaturated": lambda image: desaturated(image, 0.2),
    "cast": lambda image: cast(image, 25, -30),
    "blurred": lambda image: blurred(image, 3),
    "noisy": noise_of_all,
    "jpeg": lambda image: jpeg(image, 30, 2),
    "darker": lambda image: gamma(image, 2.2),
    "lighter": lambda image: gamma(image, 1 / 2.2),
    "inverted": lambda image: 255 - image,
    "swapped": lambda image: np.ascontiguousarray(image[..., ::-1]),
    "rotated channels": lambda image: np.ascontiguousarray(image[..., [1, 2, 0]]),
    "vivid": lambda image: edited_saturation(image, 2),
    "washed out": lambda image: codes(110 + 0.1 * image),
    "moved": lambda image: np.roll(image, (-5, 6), axis=(0, 1)),
    "channel moved": lambda image: shifted(image, 1, 6, 3),
}
LOST = {
    "upside down": lambda image: image[::-1],
    "mirrored": lambda image: image[:, ::-1],
    "turned": lambda image: np.rot90(image),
    "turned over": lambda image: image[::-1, ::-1],
    "cropped": lambda image: np.kron(image[40:120, 40:120], np.ones((2, 2, 1), np.uint8)),
    "noise": lambda image: np.random.default_rng(image[0, 0, 0]).integers(0, 256, image.shape, np.uint8),
}


def diagnosed(references, outputs):
    pairs = [measured_pair(f"p{i}", *both) for i, both in enumerate(zip(references, outputs, strict=True))]
    return pairs, diagnose(explain(np.concatenate([one.blocks for one in pairs])), pairs)


@pytest.mark.parametrize("kind", KEPT)
@pytest.mark.parametrize("references", [SCENES[:4], CROPS], ids=["scenes", "photos"])
def test_what_keeps_the_detail_looks_like_its_reference(references, kind):
    pairs, findings = diagnosed(references, [KEPT[kind](image) for image in references])
    assert "unlike" not in {finding.kind for finding in findings}
    assert min(one.likeness for one in pairs) > 2 * LEAST_LIKENESS


@pytest.mark.parametrize("kind", LOST)
@pytest.mark.parametrize("references", [SCENES, CROPS], ids=["scenes", "photos"])
def test_what_shows_something_else_is_told_so_and_nothing_else(references, kind):
    pairs, (finding,) = diagnosed(references, [LOST[kind](image) for image in references])
    assert finding.kind == "unlike"
    order = sorted(pairs, key=lambda one: one.likeness)
    assert finding.worst == tuple(one.key for one in order[:3])
    assert finding.images == sum(one.likeness < LEAST_LIKENESS for one in pairs)
    assert finding.value < LEAST_LIKENESS
    assert finding.is_alone
    assert finding.is_fault


def test_names_of_other_references_are_told():
    for references in (SCENES, CROPS):
        pairs, (finding,) = diagnosed(references, [*references[1:], references[0]])
        assert (finding.kind, finding.images) == ("unlike", len(pairs))


def test_more_than_half_of_a_set_have_to_show_something_else():
    for flipped in range(6):
        outputs = [*(image[::-1] for image in SCENES[:flipped]), *SCENES[flipped:6]]
        _, findings = diagnosed(SCENES[:6], outputs)
        assert [(one.kind, one.images) for one in findings if one.kind == "unlike"] == (
            [("unlike", flipped)] if flipped > 3 else []
        )


def test_likeness_is_what_least_squares_explains():
    reference, output = SCENES[0], noise_of_all(blurred(SCENES[0], 4))
    grids = [block_means(image)[0].reshape(20, 20, 3) for image in (reference, output)]
    steps = [np.concatenate([np.diff(g, axis=axis).reshape(-1, 3) for axis in (0, 1)]) for g in grids]
    bright = steps[1].sum(axis=1)
    rest = bright - steps[0] @ np.linalg.lstsq(steps[0], bright, rcond=None)[0]
    expected = 1 - (rest**2).sum() / (bright**2).sum()
    assert 0.5 < expected < 0.97
    assert likeness(reference, output, NOWHERE) == pytest.approx(expected, abs=5e-3)


@pytest.mark.parametrize("place", [(7, 2), (-6, 3), (5, -7), (-4, -8), (6.4, 2.6)])
def test_outputs_are_looked_at_where_they_lie(place):
    x, y = np.rint(place).astype(int)
    large = scene(9, 176, 176)
    reference, output = large[8:168, 8:168], large[8 - y : 168 - y, 8 - x : 168 - x]
    assert likeness(reference, output, np.array(place, float)) > 0.99
    assert likeness(reference, output, NOWHERE) < 0.5


def test_blocks_grow_with_pictures():
    """A copy moved by a quarter of a block stays one at any size."""
    large = np.kron(scene(3, 80, 128), np.ones((8, 8, 1), np.uint8))
    assert likeness(large, np.roll(large, 5, axis=1), NOWHERE) > 0.5
    assert likeness(large, blurred(large, 12), NOWHERE) > 0.7
    np.testing.assert_array_equal(block_sums(large[:100, :50], 20)[3], large[20:40, :20].sum(axis=(0, 1)))


@pytest.mark.parametrize(
    "output",
    [np.full_like(SCENES[0], 90), codes(100 + 0.005 * SCENES[0]), SCENES[0][:31, :160], SCENES[0][:9, :5]],
)
def test_flat_and_tiny_pictures_tell_nothing(output):
    reference = SCENES[0][: output.shape[0], : output.shape[1]]
    for one, two in ((reference, output), (output, reference)):
        assert np.isnan(likeness(one, two, NOWHERE))
    assert likeness(SCENES[0][:32, :32], SCENES[0][:32, :32], NOWHERE) > 0.99
