"""What is wrong with the colours of a set, and whether that is the whole of it.

Owns the limits. Knows no artefacts but where they hide colours.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lutkit.comparison.artefacts import Artefacts
from lutkit.comparison.color_fits import identity, lab_of
from lutkit.comparison.explanation import STRAIGHT, Explanation, left_by
from lutkit.comparison.finding import CHANNELS, Finding, PairMeasure

# Of colours, for the whole set: what is worth saying of a change that `explain` finds to be needed.
MAX_CHROMA_GAIN_CHANGE = 0.08
MAX_HUE_TURN = 5.0  # degrees
MAX_CAST = 2.0  # units of a and b
MAX_LIGHTNESS_CHANGE = 2.0
LEAST_SPREAD = 1.0  # of an image's colours, units of Lab
MAX_CONTRAST_CHANGE = 0.08
_LEAST_BROUGHT, _MOST_BROUGHT = 0.5, 2.0  # no light alone takes more contrast, or gives it
# What no change explains, as a mean difference (CIE 1976), and as a share of what there is: sets of one
# change left at most 1.6; a cast of its own for every image, or names of other references, 8 to 24.
MAX_LEFT = 2.5
MAX_LEFT_SHARE = 0.25
_MOST_LEFT_SHARE = 0.5  # what leaves more than it explains is no description of the set
# Where an image's detail is elsewhere or covered, means of blocks tell nothing of a change of its colours.
_MOVED_PX, _COVERED_CODES = 1.0, 10.0
LEAST_GAIN_WITH_HUE = 0.2  # what is nearly grey has no hue to have turned

_WORST = 3

Codes: TypeAlias = npt.NDArray[np.float32]


def unexplained_colors(change: Explanation, pairs: Sequence[PairMeasure]) -> list[Finding]:
    """Of images whose detail lies where it was."""
    some = [pair for pair in pairs if not _has_other_detail(pair.found)]
    left = [left_by(change.fit, pair.blocks) for pair in some]
    apart = [left_by(identity, pair.blocks) for pair in some]
    mean, of = (float(np.mean(values)) if some else 0.0 for values in (left, apart))
    if mean <= max(MAX_LEFT, MAX_LEFT_SHARE * of):
        return []
    order = sorted(range(len(some)), key=lambda i: (-left[i], some[i].key))
    return [Finding("unexplained", mean, worst=tuple(some[i].key for i in order[:_WORST]), of=of)]


def _has_other_detail(found: Artefacts) -> bool:
    moved = np.nan_to_num(np.hypot(*found.shifts.T)).max() > _MOVED_PX
    return bool(moved or np.nan_to_num(found.noise).max() > _COVERED_CODES)


def flat_outputs(pairs: Sequence[PairMeasure]) -> list[Finding]:
    """Of a network that is dead: no output has more than one colour, and references have."""
    before, after = (_spread([pair.blocks[:, side] for pair in pairs]) for side in (0, 1))
    return [Finding("flat", after)] if after < LEAST_SPREAD <= before else []


def _spread(codes: Sequence[Codes]) -> float:
    """Standard deviation of L, a and b together, of an image's blocks from their mean."""
    labs = [lab_of(one.astype(np.float64)) for one in codes]
    if sum(map(len, labs)) < 2 * len(labs):
        labs = [np.concatenate(labs)]  # too few of an image: from that of all
    apart = np.concatenate([lab - lab.mean(axis=0) for lab in labs])
    return float(np.sqrt((apart * apart).sum(axis=1).mean()))


def is_described(findings: Sequence[Finding]) -> bool:
    """Whether the simplest change says something of the set: not where it leaves most of the difference."""
    return not any(
        one.is_alone or (one.kind == "unexplained" and one.value > _MOST_LEFT_SHARE * one.of)
        for one in findings
    )


def color_findings(change: Explanation) -> list[Finding]:
    """What of the change is worth saying."""
    found: list[Finding] = []
    if change.swapped != STRAIGHT:
        found.append(Finding("channels", 1.0, tuple(CHANNELS[c] for c in change.swapped)))
    if abs(change.gain - 1) > MAX_CHROMA_GAIN_CHANGE:
        found.append(Finding("saturation", change.gain))
    if change.gain >= LEAST_GAIN_WITH_HUE and abs(change.turn) > MAX_HUE_TURN:
        found.append(Finding("hue", change.turn))
    cast = float(np.hypot(*change.cast))
    if cast > MAX_CAST:
        found.append(Finding("cast", cast))
    if abs(change.lightness) > MAX_LIGHTNESS_CHANGE:
        found.append(Finding("lightness", change.lightness))
    if _is_contrast_of_its_own(change):
        found.append(Finding("contrast", change.contrast))
    return found


def _is_contrast_of_its_own(change: Explanation) -> bool:
    """Brighter light raises contrast as well, and a gamma changes both: that is said once."""
    least, most = (max(_LEAST_BROUGHT, change.brought[0]), min(_MOST_BROUGHT, change.brought[1]))
    return not least - MAX_CONTRAST_CHANGE <= change.contrast <= most + MAX_CONTRAST_CHANGE
