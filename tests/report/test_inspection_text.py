"""The texts about an inspection: every measure, and whether it passes."""

import json
from pathlib import Path

import numpy as np
import pytest

from lutkit.lut.algebra import Baked
from lutkit.lut.inspection import Banding, Inspection, NeutralDrift, inspect
from lutkit.lut.model import Lut1D, Lut3D
from lutkit.lut.quality import Verdict
from lutkit.lutfiles.given import GivenLut
from lutkit.report.inspection_text import (
    OVERVIEW_TITLES,
    headline,
    inspection_rows,
    overview_row,
    verdict_sentences,
)
from lutkit.report.lut_check import inspect_result


def made(fold=0.0, clip=0.0, back=60.0, whole=(0.0, 0.0, 60.0)):
    return Inspection(
        judged=Verdict(fold, clip, back), whole=Verdict(*whole),
        collapse_share=0.123456789, max_second_difference=7.25,
        rising=(True, False, True),
        banding=Banding((201, 202, 203), 4), neutral_drift=NeutralDrift(12.34, 77),
        black=(-0.25, 0.0, 0.5), white=(1.0, 1.5, 0.2), mean_delta_e_2000=8.76, p95_delta_e_2000=14.32,
    )  # fmt: skip


def told_of(inspection):
    """The object that `lut check --json` prints."""
    given = GivenLut(Baked(Lut3D.identity(2)), Path("a.cube"))
    return inspect_result(given, inspection, "palette").to_dict()


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
    inspection = made(0.05, 0.5, whole=(0.125, 0.25, 33.5))
    rows = {name: f"{value}; {text}" for name, value, text in inspection_rows(inspection, "the photo")}
    for name, told in (
        ("fold", "5.00%"), ("new clip", "50.0%"), ("new clip", "of the photo"), ("round trip", "60.0 dB"),
        ("cube fold", "12.5%"), ("cube clip", "25.0%"), ("cube round trip", "33.5 dB"),
        ("fold", "of the photo"),
        ("collapse", "12.3%"), ("delta E 2000", "8.8"), ("delta E 2000", "14.3"), ("2nd difference", "7.2"),
        ("rising", "red, blue"), ("grey levels", "201 202 203"), ("largest gap", "4"),
        ("neutral drift", "12.3 at 77"), ("black", "-0.250 0.000 0.500"), ("white", "1.000 1.500 0.200"),
    ):  # fmt: skip
        assert told in rows[name]


def test_a_row_of_many_has_a_cell_for_each_title():
    inspection = made(whole=(0.125, 0.25, 33.5))
    row = dict(zip(OVERVIEW_TITLES, overview_row("a/look.cube", inspection), strict=True))
    assert (row["cube fold"], row["cube clip"]) == ("12.5%", "25.0%")
    assert row["file"] == "a/look.cube"
    assert (row["levels"], row["gap"], row["drift"], row["95%"]) == ("201", "4", "12.3", "14.3")
    assert (row["black"], row["white"]) == ("000080", "ffff33")


def test_json_holds_every_measure_and_the_verdict():
    told = json.loads(json.dumps(told_of(made(fold=0.5, whole=(0.25, 0.125, 33.5))), allow_nan=False))
    assert told == {
        "file": "a.cube", "verdict": "lossy", "judged_on": "palette", "fold_share": 0.5, "clipped_share": 0.0,
        "round_trip_db": 60.0, "whole_fold_share": 0.25, "whole_clipped_share": 0.125,
        "whole_round_trip_db": 33.5, "collapse_share": 0.123457, "mean_delta_e_2000": 8.76,
        "p95_delta_e_2000": 14.32, "max_second_difference_255": 7.25, "rising": [True, False, True],
        "grey_levels": [201, 202, 203], "largest_gap_255": 4, "neutral_drift": 12.34,
        "neutral_drift_grey_255": 77, "black": [-0.25, 0.0, 0.5], "white": [1.0, 1.5, 0.2],
    }  # fmt: skip


def test_a_real_one_is_json_too():
    lut = Lut1D(np.array([[0, 1e30, -1], [1, -1e30, 0.5]]))
    assert json.dumps(told_of(inspect(lut)), allow_nan=False)


# Two sentences: what photographs lose, and what the whole cube loses.


@pytest.mark.parametrize(
    ("inspection", "photographs", "whole"),
    [
        (
            made(back=58.9, whole=(0.136, 0.0, 33.3)),
            "Photographs: 0.00% newly clipped, no folds, 58.9 dB come back: recoverable.",
            "The whole cube: 0.00% newly clipped, 13.6% folds, 33.3 dB come back; colours that photographs do"
            " not have are lost there.",
        ),
        (
            made(whole=(0.0005, 0.019, 47.0)),
            "Photographs: 0.00% newly clipped, no folds, 60.0 dB come back: recoverable.",
            "The whole cube: 1.90% newly clipped, 0.05% folds, 47.0 dB come back; little is lost anywhere.",
        ),
        (
            made(clip=0.0625, back=42.7, whole=(0.0013, 0.0625, 39.4)),
            "Photographs: 6.25% newly clipped, no folds, 42.7 dB come back: lossy, because 2% or more is"
            " clipped.",
            "The whole cube: 6.25% newly clipped, 0.13% folds, 39.4 dB come back; photographs have some of"
            " the colours that are lost there.",
        ),
        (
            made(fold=1e-6, back=34.9, whole=(0.0, 0.0, 36.0)),
            "Photographs: 0.00% newly clipped, under 0.01% folds, 34.9 dB come back: lossy, because less than"
            " 35 dB come back.",
            "The whole cube: 0.00% newly clipped, no folds, 36.0 dB come back.",
        ),
        (
            made(fold=1.0, clip=0.02, back=21.5, whole=(0.9999, 0.03, 11.6)),
            "Photographs: 2.00% newly clipped, 100.0% folds, 21.5 dB come back: lossy, because 2% or more is"
            " clipped, 0.1% or more folds and less than 35 dB come back.",
            "The whole cube: 3.00% newly clipped, over 99.9% folds, 11.6 dB come back; photographs have some"
            " of the colours that are lost there.",
        ),
    ],
)
def test_two_sentences_tell_of_photographs_and_of_the_whole_cube(inspection, photographs, whole):
    assert verdict_sentences(inspection) == (photographs, whole)


def test_sentences_on_a_photo_bear_its_name():
    first, second = verdict_sentences(made(whole=(0.5, 0.0, 20.0)), "holiday.jpg")
    assert first == "holiday.jpg: 0.00% newly clipped, no folds, 60.0 dB come back: recoverable."
    assert second.endswith("; colours that holiday.jpg does not have are lost there.")
    second = verdict_sentences(made(back=20.0, whole=(0.5, 0.0, 20.0)), "holiday.jpg")[1]
    assert second.endswith("; holiday.jpg has some of the colours that are lost there.")


def test_sentences_on_real_luts_have_the_numbers_of_closed_forms():
    """Of 16 codes an axis, 17 k, a gain of 1.5 moves k = 10 to 14 newly to 255; 15 was there before."""
    rising = np.linspace(0, 1, 256)[:, None].repeat(3, axis=1)
    whole = verdict_sentences(inspect(Lut1D(np.minimum(1.5 * rising, 1))))[1]
    assert f"The whole cube: {1 - (11 / 16) ** 3:.1%} newly clipped, no folds" in whole
    swap = Lut3D(Lut3D.identity(17).table[..., [2, 1, 0]])
    # Red is newly at an end where blue was at one, and red was not; and the other way round.
    for mirror, newly in ((Lut1D(1 - rising), 0.0), (swap, 2 * 2 / 16 * 14 / 16)):
        clips = f"{newly:.1%}" if newly else "0.00%"
        assert verdict_sentences(inspect(mirror)) == (
            "Photographs: 0.00% newly clipped, no folds, 99.0 dB come back: recoverable.",
            f"The whole cube: {clips} newly clipped, no folds, 99.0 dB come back; little is lost anywhere.",
        )
    tent = verdict_sentences(inspect(Lut1D(1 - np.abs(2 * rising - 1))))
    assert "lossy, because " in tent[0]
    assert "The whole cube: 0.00% newly clipped, 50.0% folds" in tent[1]
