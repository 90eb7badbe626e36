"""The inspection of a LUT as two sentences, as rows of a table, or as one row for each LUT."""

from typing import TYPE_CHECKING

from lutkit.lut.collapse import COLLAPSED_SLOPE
from lutkit.lut.inspection import Inspection
from lutkit.lut.model import Rgb
from lutkit.lut.quality import (
    MAX_CLIPPED_SHARE,
    MAX_FOLD_SHARE,
    MAX_ROUND_TRIP_DB,
    MIN_ROUND_TRIP_DB,
    Verdict,
)
from lutkit.report.wording import share_text

if TYPE_CHECKING:  # used only in annotations, so it need not be loaded
    from lutkit.lutfiles.making import InvertResult

# A smaller drift is a rounding error.
_SEEN_DRIFT = 0.05

OVERVIEW_TITLES = (
    *("file", "verdict", "fold", "new clip", "round trip", "cube fold", "cube clip"),
    *("collapse", "delta E", "95%"),
    *("bend", "levels", "gap", "drift", "black", "white"),
)


def headline(inspection: Inspection) -> list[tuple[str, bool]]:
    """Return the most important measures as short texts, each with whether it passes the verdict's gate."""
    judged = inspection.judged
    fold, clip, back = _gates(judged)
    return [
        (f"folded {share_text(judged.fold_share)}", fold),
        (f"newly clipped {share_text(judged.clipped_share)}", clip),
        (f"round trip {judged.round_trip_db:.1f} dB", back),
        (f"collapsed {share_text(inspection.collapse_share)}", True),
        (f"delta E 2000 {inspection.mean_delta_e_2000:.1f}", True),
        (f"neutral drift {inspection.neutral_drift.chroma:.1f}", True),
    ]


def verdict_sentences(measured: "Inspection | InvertResult", photo: str = "") -> tuple[str, str]:
    """Return a sentence on the loss in photos with the verdict and its reasons, and one on the whole cube.

    Args:
        measured: the measures.
        photo: the name of the photo whose colours were measured; empty for natural colours.
    """
    judged, whole = measured.judged, measured.whole
    fold, clip, back = _gates(judged)
    reasons = {
        f"{MAX_CLIPPED_SHARE:.0%} or more is clipped": clip,
        f"{MAX_FOLD_SHARE:.1%} or more folds": fold,
        f"less than {MIN_ROUND_TRIP_DB:.0f} dB come back": back,
    }
    failed = [reason for reason, passes in reasons.items() if not passes]
    listed = " and ".join(filter(None, (", ".join(failed[:-1]), *failed[-1:])))
    why = f", because {listed}" if failed else ""
    of_photos = f"{photo or 'Photographs'}: {_losses(judged)}: {judged.label}{why}."
    holder, holds = (photo, "does") if photo else ("photographs", "do")
    # A swap of channels moves colours to other ends of the range, and loses nothing.
    if whole.label == "recoverable" or whole.round_trip_db >= MAX_ROUND_TRIP_DB:
        rest = "" if judged.label == "lossy" else "; little is lost anywhere"
    elif judged.label == "recoverable":
        rest = f"; colours that {holder} {holds} not have are lost there"
    else:
        rest = f"; {holder} {'has' if photo else 'have'} some of the colours that are lost there"
    return of_photos, f"The whole cube: {_losses(whole)}{rest}."


def _losses(of: Verdict) -> str:
    folds = f"{share_text(of.fold_share)} folds" if of.fold_share > 0 else "no folds"
    return f"{share_text(of.clipped_share)} newly clipped, {folds}, {of.round_trip_db:.1f} dB come back"


def inspection_rows(inspection: Inspection, judged_on: str) -> list[tuple[str, str, str]]:
    """Return the measures of one file as rows: name, value, explanation.

    Args:
        inspection: the measures.
        judged_on: whose colours clipping, round trip and delta E are measured on, such as `natural colours`.
    """
    judged, whole = inspection.judged, inspection.whole
    drift, banding = inspection.neutral_drift, inspection.banding
    fold, clip, back = ("passes" if passed else "FAILS" for passed in _gates(judged))
    at = f" at {drift.grey}" if drift.chroma >= _SEEN_DRIFT else ""
    red, green, blue = banding.levels
    rising = [name for name, rises in zip(("red", "green", "blue"), inspection.rising, strict=True) if rises]
    risers = "all" if len(rising) == 3 else ", ".join(rising) or "none"
    folds = f"{fold}, under {MAX_FOLD_SHARE:.1%}: of {judged_on}, turned over or merged"
    clips = f"{clip}, under {MAX_CLIPPED_SHARE:.0%}: of {judged_on}, newly at 0 or 255"
    backs = f"{back}, {MIN_ROUND_TRIP_DB:.0f} dB or more: saved at 8 bits, inverted"
    tail = f"mean of {judged_on}; {inspection.p95_delta_e_2000:.1f} at the 95th percentile"
    return [
        ("fold", share_text(judged.fold_share), folds),
        ("new clip", share_text(judged.clipped_share), clips),
        ("round trip", f"{judged.round_trip_db:.1f} dB", backs),
        ("cube fold", share_text(whole.fold_share), "of the whole cube of colours, turned over or merged"),
        ("cube clip", share_text(whole.clipped_share), "of the whole cube, newly at 0 or 255"),
        ("cube round trip", f"{whole.round_trip_db:.1f} dB", "what comes back of the whole cube"),
        ("collapse", share_text(inspection.collapse_share), f"of the domain: slope below {COLLAPSED_SLOPE}"),
        ("delta E 2000", f"{inspection.mean_delta_e_2000:.1f}", tail),
        (
            "2nd difference",
            f"{inspection.max_second_difference:.1f}",
            "the sharpest bend, in code values of 255",
        ),
        ("rising", risers, "channels that never fall as their input rises"),
        ("grey levels", f"{red} {green} {blue}", "of 256: what 8 bits keep of a grey ramp"),
        ("largest gap", f"{banding.largest_gap}", "code values between neighbouring greys"),
        ("neutral drift", f"{drift.chroma:.1f}{at}", "CIELAB chroma of the most coloured grey"),
        ("black", _triple(inspection.black), "what 0 0 0 becomes"),
        ("white", _triple(inspection.white), "what 1 1 1 becomes"),
    ]


def overview_row(file: str, inspection: Inspection) -> tuple[str, ...]:
    """Return the row of one file for `OVERVIEW_TITLES`; its grey levels are those of the worst channel."""
    judged = inspection.judged
    return (
        file,
        inspection.verdict,
        share_text(judged.fold_share),
        share_text(judged.clipped_share),
        f"{judged.round_trip_db:.1f}",
        share_text(inspection.whole.fold_share),
        share_text(inspection.whole.clipped_share),
        share_text(inspection.collapse_share),
        f"{inspection.mean_delta_e_2000:.1f}",
        f"{inspection.p95_delta_e_2000:.1f}",
        f"{inspection.max_second_difference:.1f}",
        f"{min(inspection.banding.levels)}",
        f"{inspection.banding.largest_gap}",
        f"{inspection.neutral_drift.chroma:.1f}",
        _hex(inspection.black),
        _hex(inspection.white),
    )


def _gates(judged: Verdict) -> tuple[bool, bool, bool]:
    return (
        judged.fold_share < MAX_FOLD_SHARE,
        judged.clipped_share < MAX_CLIPPED_SHARE,
        judged.round_trip_db >= MIN_ROUND_TRIP_DB,
    )


def _triple(color: Rgb) -> str:
    return " ".join(f"{value:.3f}" for value in color)


def _hex(color: Rgb) -> str:
    return "".join(f"{round(255 * min(max(value, 0.0), 1.0)):02x}" for value in color)
