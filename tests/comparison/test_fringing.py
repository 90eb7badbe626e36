"""Channels are located to hundredths of a pixel, in small images too, whatever happened to their colours."""

import numpy as np
import pytest
import scipy.ndimage
from known_damage import cast, codes, desaturated, jpeg, photo, scene, shifted

from lutkit.comparison.blocks import free_blocks
from lutkit.comparison.fringing import Fringing, channel_shifts


def moved(large, *shifts):
    """The middle of a scene, and the same with displaced channels; pixels that enter at a side are real."""
    height, width = large.shape[0] - 16, large.shape[1] - 16
    parts = [large[8 - y : 8 - y + height, 8 - x : 8 - x + width, c] for c, (x, y) in enumerate(shifts)]
    return large[8:-8, 8:-8], np.dstack(parts)


def found(reference, output):
    return channel_shifts(reference, output, free_blocks(reference, output))


@pytest.mark.parametrize("size", [(80, 88), (96, 80), (120, 160)])
@pytest.mark.parametrize(
    "shifts",
    [
        [(0, 0), (0, 0), (3, 0)],
        [(0, 0), (0, 0), (-3, 1)],
        [(3, -2), (0, 0), (0, 0)],
        [(2, 2), (2, 2), (2, 2)],
        [(1, 0), (0, -2), (-3, 0)],
    ],
)
def test_places_of_small_pictures(size, shifts):
    for seed in (2, 3):
        reference, output = moved(scene(seed, *size), *shifts)
        assert found(reference, output) == pytest.approx(np.array(shifts, float), abs=0.04)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: desaturated(image, 0.5),
        lambda image: cast(image, 10, -15),
        lambda image: 255 - image,
        lambda image: jpeg(image, 90, 0),
        lambda image: np.ascontiguousarray(image[..., [2, 0, 1]]),
    ],
    ids=["desaturated", "cast", "inverted", "jpeg", "swapped"],
)
def test_places_beside_other_colours(change):
    large = scene(6, 136, 136)
    reference, _ = moved(large, (0, 0), (0, 0), (0, 0))
    shifts = [(0, 0), (0, 0), (2, -3)]
    _, output = moved(change(large), *shifts)
    assert found(reference, output) == pytest.approx(np.array(shifts, float), abs=0.05)


def test_channels_that_few_blocks_tell_apart_are_their_own():
    """Grey except for one corner, which alone shows which channels an edge belongs to."""
    large = np.repeat(scene(4, 112, 112)[..., 1:2], 3, axis=2)
    large[:24, :24, 2] = 90
    reference, output = moved(large, (0, 0), (0, 0), (2, 1))
    assert found(reference, output)[2] == pytest.approx((2, 1), abs=0.04)


@pytest.mark.parametrize("size", [(32, 40), (36, 36)])
@pytest.mark.parametrize("shift", [(3, 0), (2, -2)])
def test_places_of_pictures_of_a_few_blocks(size, shift):
    for seed in (0, 1, 2):
        reference, output = moved(scene(seed, size[0] + 16, size[1] + 16), (0, 0), (0, 0), shift)
        assert found(reference, output) == pytest.approx(np.array([(0, 0), (0, 0), shift], float), abs=0.06)


@pytest.mark.parametrize(("size", "shift"), [((16, 200), (7, 0)), ((200, 16), (0, 7))])
def test_a_picture_without_room_to_move_channels_back_is_placed_as_it_is(size, shift):
    reference, output = moved(scene(2, size[0] + 16, size[1] + 16), (0, 0), (0, 0), shift)
    expected = np.array([(0, 0), (0, 0), shift], float)
    assert found(reference, output) == pytest.approx(expected, abs=0.4)


def enlarged(image, right, down, factor):
    """Scaled about its middle, with cubic interpolation, and moved."""
    middle = (np.array(image.shape[:2]) - 1) / 2
    offset = middle - middle / factor - np.array([down, right]) / factor
    planes = [
        scipy.ndimage.affine_transform(
            image[..., c].astype(float), np.full(2, 1 / factor), offset, mode="nearest"
        )
        for c in range(3)
    ]
    return codes(np.dstack(planes))


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
@pytest.mark.parametrize("shift", [(0, 0), (1.25, -0.5)])
def test_a_picture_slightly_enlarged_has_no_channel_out_of_place(name, shift):
    """Like 252 of 256 pixels: each channel's overall shift depends on where its edges are."""
    reference = photo(name)
    output = enlarged(reference, *shift, 256 / 252)
    shifts = Fringing(found(reference, output))
    assert shifts.amounts().max() < 0.15
    assert shifts.place() == pytest.approx(shift, abs=0.2)
    moved = np.dstack([shifted(output, 2, 0.8, 0)[..., 2], output[..., 1], output[..., 0]])[..., ::-1]
    assert Fringing(found(reference, np.ascontiguousarray(moved))).amounts()[2] == pytest.approx(
        0.8, abs=0.25
    )
