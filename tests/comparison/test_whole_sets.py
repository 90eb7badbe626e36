"""Sets of several images: what no one change explains, and networks that are washed out or dead."""

import numpy as np
import pytest
import skimage.color
from known_damage import cast, codes, desaturated, gains, photo
from measured_pairs import measured_pair

from lutkit.comparison.explanation import explain
from lutkit.comparison.findings import diagnose

PHOTOS = [photo(name)[y : y + 128, x : x + 128] for name in ("astronaut", "chelsea", "coffee", "rocket")
          for y, x in ((0, 0), (100, 150))]  # fmt: skip


def findings(outputs, references=PHOTOS):
    pairs = [
        measured_pair(f"p{i}", reference, output)
        for i, (reference, output) in enumerate(zip(references, outputs, strict=True))
    ]
    change = explain(np.concatenate([one.blocks for one in pairs]))
    return change, {one.kind: one for one in diagnose(change, pairs)}


def other_casts():
    angles = 2.4 * np.arange(len(PHOTOS))
    return [cast(image, 25 * np.cos(a), 25 * np.sin(a)) for image, a in zip(PHOTOS, angles, strict=True)]


def other_saturations():
    return [desaturated(image, (0.3, 1.7)[i % 2]) for i, image in enumerate(PHOTOS)]


@pytest.mark.parametrize(
    "outputs",
    [other_casts(), other_saturations()],
    ids=["casts", "gains"],
)
def test_what_no_one_change_explains_is_said_to_be_so(outputs):
    change, found = findings(outputs)
    assert found["unexplained"].value > 2.5
    left = []
    for number, image in enumerate(PHOTOS):
        blocks = measured_pair("", image, outputs[number]).blocks
        became = np.clip(change.fit(blocks[:, 0].astype(float)), 0, 255)
        lab = [skimage.color.rgb2lab(one[None] / 255)[0] for one in (became, blocks[:, 1])]
        left.append(np.linalg.norm(lab[0] - lab[1], axis=1).mean())
    assert found["unexplained"].value == pytest.approx(np.mean(left), rel=0.4)
    assert found["unexplained"].of >= found["unexplained"].value - 1
    assert set(found["unexplained"].worst) <= {f"p{i}" for i in range(len(PHOTOS))}
    assert not any(one.explained for one in found.values())


@pytest.mark.parametrize("order", [(2, 1, 0), (1, 0, 2), (0, 2, 1), (1, 2, 0), (2, 0, 1)])
def test_swapped_channels_are_that_and_nothing_else(order):
    change, found = findings([np.ascontiguousarray(image[..., order]) for image in PHOTOS])
    assert set(found) == {"channels"}
    assert found["channels"].channels == tuple(("red", "green", "blue")[c] for c in order)
    assert change.swapped == order


@pytest.mark.parametrize(
    "change",
    [
        lambda image: cast(image, 6, 12),
        lambda image: desaturated(image, 0.4),
        lambda image: gains(image, 1, 1, 0.5),
    ],
)
def test_one_change_of_all_images_is_explained(change):
    assert "unexplained" not in findings([change(image) for image in PHOTOS])[1]


def faded(image, factor, middle=128, lighter=0):
    return codes(middle + lighter + factor * (image - float(middle)))


@pytest.mark.parametrize(
    ("change", "kinds", "contrast"),
    [
        (lambda image: faded(image, 0.45), {"contrast"}, 0.45),
        (lambda image: faded(image, 0.4, lighter=60), {"contrast", "lightness"}, 0.4),
        (lambda image: 255 - image, {"contrast"}, -1),
        (lambda image: cast(faded(image, 0.45), 5, 8), {"contrast", "cast"}, 0.45),
        (lambda image: gains(image, 0.75, 0.75, 0.75), {"lightness"}, None),
        (lambda image: gains(image, 0.75, 0.7, 0.6), {"lightness", "cast"}, None),
    ],
)
def test_washed_out_networks_have_less_contrast(change, kinds, contrast):
    _, found = findings([change(image) for image in PHOTOS])
    colors = {"unexplained", "channels", "saturation", "hue", "cast", "lightness", "contrast"}
    assert kinds - {"lightness"} <= set(found) & colors <= kinds | {"lightness"}
    if contrast is not None:
        assert found["contrast"].value == pytest.approx(contrast, abs=0.12)
