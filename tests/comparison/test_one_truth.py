"""A set's row, JSON and answers agree; what means nothing is a dash and null."""

from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np
import pytest
import skimage.color
from measured_pairs import having, measured_pair, set_json
from PIL import Image

from lutkit.comparison import picture as compare_picture
from lutkit.comparison.color_change import color_change, pair_sums
from lutkit.comparison.explanation import explain
from lutkit.comparison.findings import diagnose
from lutkit.comparison.fringing import Fringing
from lutkit.comparison.picture import draw_comparison
from lutkit.comparison.run import SetMeasure
from lutkit.comparison.table import HEADS, artefact_levels, channel_rows, sector_rows, set_row
from lutkit.comparison.words import answers


def blotches(seed):
    """An image with as much detail as a photo."""
    some = np.random.default_rng(seed).integers(10, 246, (12, 14, 3), np.uint8)
    return np.asarray(Image.fromarray(some).resize((112, 96), Image.Resampling.BICUBIC))


REFERENCES = [blotches(seed) for seed in range(4)]


def compared(outputs, references=REFERENCES):
    both = list(zip(references, outputs, strict=True))
    pairs = [measured_pair(f"p{number}", *images) for number, images in enumerate(both)]
    sums = [pair_sums(*images) for images in both]
    simple = explain(np.concatenate([pair.blocks for pair in pairs]))
    return SetMeasure("x", color_change(reduce(add, sums)), simple, tuple(pairs), diagnose(simple, pairs), ())


def in_plane(image, factor, shift=0.0):
    lab = skimage.color.rgb2lab(image)
    plane = (lab[..., 1] + 1j * lab[..., 2]) * factor + shift
    found = skimage.color.lab2rgb(np.dstack([0.6 * lab[..., 0] + 20, plane.real, plane.imag]))
    return np.clip(np.rint(255 * found), 0, 255).astype(np.uint8)


CALM = [in_plane(image, 0.4) for image in REFERENCES]  # well inside sRGB


def cells(one):
    row = dict(zip(HEADS, set_row(one), strict=True))
    return [row[name] for name in ("gain", "turn", "cast a", "cast b")]


def numbers(one):
    found = set_json(one)
    return [found["chroma_gain"], found["hue_turn"], found["cast"]["a"], found["cast"]["b"]]


@pytest.mark.parametrize(
    ("factor", "shift", "kinds"),
    [
        (0.62, 0, {"saturation"}),
        (0.62, 4 - 7j, {"saturation", "cast"}),
        (np.exp(0.3j), 0, {"hue"}),
        (0.97, 0, set()),
    ],
)
def test_the_table_and_json_have_the_findings_numbers(factor, shift, kinds):
    one = compared([_recolored(image, factor, shift) for image in CALM], CALM)
    simple = one.explanation
    values = {finding.kind: finding.value for finding in one.findings}
    assert set(values) == kinds
    assert values.get("saturation", 1) == simple.gain
    assert cells(one) == [
        f"{simple.gain:.2f}",
        f"{simple.turn:+.1f}",
        *(f"{value:+.1f}" for value in simple.cast),
    ]
    assert numbers(one) == pytest.approx([simple.gain, simple.turn, *simple.cast], rel=1e-5)
    assert simple.gain == pytest.approx(abs(factor) if "saturation" in kinds else 1, abs=0.05)


def _recolored(image, factor, shift):
    lab = skimage.color.rgb2lab(image)
    plane = (lab[..., 1] + 1j * lab[..., 2]) * factor + shift
    found = skimage.color.lab2rgb(np.dstack([lab[..., 0], plane.real, plane.imag]))
    return np.clip(np.rint(255 * found), 0, 255).astype(np.uint8)


def test_nearly_grey_outputs_have_a_gain_and_no_turn():
    one = compared([_recolored(image, 0.1 * np.exp(1j), 0) for image in CALM], CALM)
    assert cells(one)[1] == "-"
    assert numbers(one)[1] is None
    assert float(cells(one)[0]) == pytest.approx(0.1, abs=0.06)
    assert {row[3] for row in sector_rows(one)} == {"-"}
    assert {part["hue_shift"] for part in set_json(one)["sectors"]} == {None}


def test_grey_references_have_a_cast_and_neither_gain_nor_turn():
    grey = [np.repeat(image[..., 1:2], 3, axis=2) for image in CALM]
    one = compared([_recolored(image, 1, 8 - 12j) for image in grey], grey)
    assert cells(one)[:2] == ["-", "-"]
    assert numbers(one)[:2] == [None, None]
    assert numbers(one)[2:] == pytest.approx([8, -12], abs=1)


NOTHING = {
    "dead": [np.full_like(image, (90, 140, 60)) for image in REFERENCES],
    "upside down": [np.ascontiguousarray(image[::-1, ::-1]) for image in REFERENCES],
    "casts of their own": [_recolored(image, 1, 30 * 1j**n) for n, image in enumerate(CALM)],
}


def panels_not_known(sets):
    panels = enumerate(draw_comparison(sets, None, "in").axes)
    return {n for n, axes in panels if "not known" in [text.get_text() for text in axes.texts]}


@pytest.mark.parametrize("kind", NOTHING)
def test_what_cannot_be_judged_has_no_numbers_in_row_json_and_picture(kind, monkeypatch):
    one = compared(NOTHING[kind], CALM)
    assert cells(one) == ["-"] * 4
    assert numbers(one) == [None] * 4
    if kind != "casts of their own":
        found = artefact_levels(one)
        assert found == {
            "fringing": (None,) * 3, "noise": (None,) * 3, "stripes": (None,), "speckle": (None,),
            "clipping": (None,),
        }  # fmt: skip
        assert set_row(one)[-5:] == ("- - -", "- - -", "-", "-", "-")
        assert sector_rows(one) == channel_rows(one) == set_json(one)["sectors"] == []
        assert set_json(one)["skin"] is None
        assert len(answers([one], None)) == 1
    assert {finding.kind for finding in one.findings}.isdisjoint({"saturation", "hue", "cast", "lightness"})
    unknown = {1} if kind == "casts of their own" else {1, 2, 3, 4, 5}
    assert draw_comparison([one], None, "in").width == 1400
    assert draw_comparison([one, compared(CALM, CALM)], None, "in").width == 1400
    monkeypatch.setattr(compare_picture, "render", lambda figure: figure)
    assert panels_not_known([one]) == unknown
    assert panels_not_known([one, compared(CALM, CALM)]) == set()


def test_the_answer_says_that_outputs_show_something_else_first_and_only():
    one = compared([*(image[::-1, ::-1].copy() for image in REFERENCES[:3]), REFERENCES[3]])
    (line,) = answers([one], None)
    worst = sorted(one.pairs, key=lambda pair: pair.likeness)[:3]
    assert line == (
        "Outputs do not look like their references: 3 of 4 show something else (least"
        f" alike: {', '.join(pair.key for pair in worst)}). Nothing else can be judged. Check whether"
        " names match, and whether outputs are flipped, rotated or cropped."
    )
    findings = set_json(one)["findings"]
    assert [(finding["kind"], finding["images"]) for finding in findings] == [("unlike", 3)]


@pytest.mark.parametrize(("placed", "known"), [(1, False), (2, True), (3, True)])
def test_medians_of_fewer_than_half_of_the_images_are_none(placed, known):
    one = compared(REFERENCES)
    pairs = [
        replace(
            pair,
            found=having(pair.found, Fringing(pair.found[Fringing].shifts * (1 if n < placed else np.nan))),
        )
        for n, pair in enumerate(one.pairs)
    ]
    some = replace(one, pairs=tuple(pairs))
    assert [value is not None for value in artefact_levels(some)["fringing"]] == [known] * 3
    row = dict(zip(HEADS, set_row(some), strict=True))
    assert (row["fringe r g b"] == "- - -") == (not known)
    assert row["noise r g b"] == "0.0 0.0 0.0"
