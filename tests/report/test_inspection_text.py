"""What is said of an inspection: every measure, and whether it passes."""

import json

import numpy as np
import pytest

from lutkit.lut.inspection import Banding, Inspection, NeutralDrift, inspect
from lutkit.lut.model import Lut1D
from lutkit.lut.quality import Verdict
from lutkit.report.inspection_text import (
    OVERVIEW_TITLES,
    headline,
    inspection_json,
    inspection_rows,
    overview_row,
)


def made(fold=0.0, clip=0.0, back=60.0):
    return Inspection(
        judged=Verdict(fold, clip, back), collapse_share=0.123456789, max_second_difference=7.25,
        rising=(True, False, True),
        banding=Banding((201, 202, 203), 4), neutral_drift=NeutralDrift(12.34, 77),
        black=(-0.25, 0.0, 0.5), white=(1.0, 1.5, 0.2), mean_delta_e_2000=8.76, p95_delta_e_2000=14.32,
    )  # fmt: skip


CASES = [("fold", made(fold=0.001)), ("new clip", made(clip=0.02)), ("round trip", made(back=34.9))]


@pytest.mark.parametrize(("name", "inspection"), CASES)
def test_what_fails_is_said_to_and_nothing_else(name, inspection):
    rows = {row[0]: row[2] for row in inspection_rows(inspection, "the palette")}
    assert rows[name].startswith("FAILS")
    assert sum("FAILS" in text for text in rows.values()) == 1
    assert sum(text.startswith("passes") for text in rows.values()) == 2
    assert [passes for _, passes in headline(inspection)].count(False) == 1
    assert overview_row("x", inspection)[1] == "lossy"


def test_all_is_well_where_nothing_fails():
    assert not any("FAILS" in text for _, _, text in inspection_rows(made(), "the palette"))
    assert all(passes for _, passes in headline(made()))


def test_rows_tell_each_measure():
    rows = {name: f"{value}; {text}" for name, value, text in inspection_rows(made(0.05, 0.5), "the photo")}
    for name, told in (
        ("fold", "5.00%"), ("new clip", "50.0%"), ("new clip", "of the photo"), ("round trip", "60.0 dB"),
        ("collapse", "12.3%"), ("delta E 2000", "8.8"), ("delta E 2000", "14.3"), ("2nd difference", "7.2"),
        ("rising", "red, blue"), ("grey levels", "201 202 203"), ("largest gap", "4"),
        ("neutral drift", "12.3 at 77"), ("black", "-0.250 0.000 0.500"), ("white", "1.000 1.500 0.200"),
    ):  # fmt: skip
        assert told in rows[name]


def test_a_row_of_many_has_a_cell_for_each_title():
    row = dict(zip(OVERVIEW_TITLES, overview_row("a/look.cube", made()), strict=True))
    assert row["file"] == "a/look.cube"
    assert (row["levels"], row["gap"], row["drift"], row["95%"]) == ("201", "4", "12.3", "14.3")
    assert (row["black"], row["white"]) == ("000080", "ffff33")


def test_json_holds_every_measure_and_the_verdict():
    told = json.loads(json.dumps(inspection_json("a.cube", made(fold=0.5), "palette"), allow_nan=False))
    assert told == {
        "file": "a.cube", "verdict": "lossy", "judged_on": "palette", "fold_share": 0.5, "clipped_share": 0.0,
        "round_trip_db": 60.0, "collapse_share": 0.123457, "mean_delta_e_2000": 8.76,
        "p95_delta_e_2000": 14.32, "max_second_difference_255": 7.25, "rising": [True, False, True],
        "grey_levels": [201, 202, 203], "largest_gap_255": 4, "neutral_drift": 12.34,
        "neutral_drift_grey_255": 77, "black": [-0.25, 0.0, 0.5], "white": [1.0, 1.5, 0.2],
    }  # fmt: skip


def test_a_real_one_is_json_too():
    lut = Lut1D(np.array([[0, 1e30, -1], [1, -1e30, 0.5]]))
    assert json.dumps(inspection_json("a.cube", inspect(lut), "palette"), allow_nan=False)
