"""A comparison as rows and as JSON: each number under its head."""

from dataclasses import replace

import numpy as np
import pytest
from measured_pairs import having, set_json

from lutkit.comparison.findings import Finding
from lutkit.comparison.fringing import Fringing
from lutkit.comparison.table import HEADS, channel_rows, sector_rows, set_row
from lutkit.dataset.records import Reject


def test_a_row_stands_under_its_heads(by_name):
    one = by_name["cast"]
    row = dict(zip(HEADS, set_row(replace(one, name="x")), strict=True))
    change = one.change
    assert (row["set"], row["pairs"]) == ("x", "2")
    assert (row["delta E"], row["95%"]) == (f"{change.delta_e[0]:.2f}", f"{change.delta_e[1]:.1f}")
    assert change.delta_e[1] > change.delta_e[0] > 3
    assert row["saturation"] == f"{change.saturation_ratio:.2f}"
    assert row["slope"] == f"{change.saturation_slope:.2f}"
    assert row["chroma"] == f"{change.chroma_ratio:.2f}"
    assert len({row[name] for name in ("saturation", "slope", "chroma", "gain")}) == 4
    assert [row["cast a"], row["cast b"]] == [f"{part:+.1f}" for part in one.explanation.cast]
    assert row["L"] == f"{change.mean_after[0] - change.mean_before[0]:+.1f}"
    assert float(row["L"]) > 0.2
    assert row["noise r g b"].count(".") == row["fringe r g b"].count(".") == 3


def test_artefacts_of_channels_stand_in_their_order(by_name):
    row = dict(zip(HEADS, set_row(by_name["right"]), strict=True))
    red, green, blue = map(float, row["fringe r g b"].split())
    assert max(red, green) < 0.3
    assert blue > 1.5
    rows = channel_rows(by_name["right"])
    assert [name for name, *_ in rows] == ["red", "green", "blue"]
    assert rows[2][4] == f"{blue:.2f}"
    cast = channel_rows(by_name["cast"])
    assert [float(gain) for _, _, gain, *_ in cast] == pytest.approx([1.1, 1, 0.8], abs=0.03)
    assert [float(bias) for _, bias, *_ in cast] == pytest.approx([0, 0, 0], abs=3)


def test_hues_then_skin_are_rows(by_name):
    one = by_name["half"]
    rows = sector_rows(one)
    assert len(rows) == len(one.change.sectors) + bool(one.change.skin)
    part = one.change.sectors[0]
    assert rows[0][:3] == (part.name, f"{part.share:.1%}", f"x{part.chroma_ratio:.2f}")
    skin = one.change.skin
    assert rows[-1] == (
        "skin", f"{skin.share:.1%}", f"x{skin.chroma_ratio:.2f}", f"{skin.hue_shift:+.1f}",
    )  # fmt: skip
    assert len(sector_rows(replace(one, change=replace(one.change, skin=None)))) == len(one.change.sectors)


def test_json_has_the_worst_first_and_findings_apart(by_name):
    one = by_name["cast"]
    findings = (Finding("cast", 9.0), Finding("clipping", 0.1, ("red",), 2, ("1",), explained=True),
                Finding("noise", 3.0, ("red",), 1, ("0",), rare=True),
                Finding("unexplained", 2.0, of=7.0, worst=("1",)))  # fmt: skip
    first, second = one.pairs
    pairs = (replace(first, delta_e=2.0), replace(second, delta_e=3.0), *(
        replace(first, key=key, delta_e=3.0) for key in ("b", "a")))  # fmt: skip
    found = set_json(replace(one, findings=findings, pairs=pairs, rejects=(Reject("c.png", "broken"),)))
    assert [pair["key"] for pair in found["worst_delta_e"]] == ["1", "a", "b"]
    assert found["worst_delta_e"][0]["mean"] == 3
    assert [one["kind"] for one in found["findings"]] == ["cast", "unexplained"]
    assert [one["kind"] for one in found["consequences"]] == ["clipping"]
    assert found["rare"] == [
        {"kind": "noise", "value": 3.0, "channels": ["red"], "images": 1, "worst": ["0"]}
    ]
    assert found["unexplained"] == {"left": 2.0, "of": 7.0, "worst": ["1"]}
    assert found["rejects"] == [{"path": "c.png", "reason": "broken"}]
    assert found["pairs"] == 4
    assert found["cast"] == dict(zip("ab", map(pytest.approx, one.explanation.cast), strict=True))
    assert found["mean_after"]["lightness"] > found["mean_before"]["lightness"]
    assert set(found["mean_after"]) == {"lightness", "a", "b", "chroma", "saturation"}


def test_what_is_not_known_is_null_and_a_dash(by_name):
    one = by_name["half"]
    gone = replace(one.change, saturation_ratio=None, saturation_slope=float("nan"), skin=None)
    row = dict(zip(HEADS, set_row(replace(one, change=replace(gone, saturation_slope=None))), strict=True))
    assert (row["saturation"], row["slope"]) == ("-", "-")
    found = set_json(replace(one, change=gone))
    assert (found["saturation_ratio"], found["saturation_slope"], found["skin"]) == (None, None, None)


def test_medians_are_over_the_images_where_a_channel_is_known(by_name):
    one = by_name["right"]
    lost = having(one.pairs[0].found, Fringing(np.full((3, 2), np.nan)))
    half = replace(one, pairs=(replace(one.pairs[0], found=lost), one.pairs[1]))
    blue = set_json(half)["artefacts"]
    assert blue["median_fringing_px"][2] == pytest.approx(one.pairs[1].found[Fringing].amounts()[2], rel=1e-5)
    assert blue["images_not_registered"] == [1, 1, 1]
