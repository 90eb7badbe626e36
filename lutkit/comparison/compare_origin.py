"""Where the artefacts of a set come from, in a sentence each: who else has them by itself.

Owns what counts as having more than others.
"""

from collections.abc import Sequence

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.comparison.finding import CHANNELS, Finding
from lutkit.comparison.findings import MAX_FRINGING_PX, MAX_NOISE_CODES, MAX_SPECKLE, levels
from lutkit.comparison.run import SetMeasure, TrainMeasure

# What counts as more of an artefact than others have, by itself: as in `levels`.
_MORE = {"fringing": MAX_FRINGING_PX, "noise": MAX_NOISE_CODES, "speckle": MAX_SPECKLE, "clipping": 0.01}


def origin_text(finding: Finding, sets: Sequence[tuple[str, SetMeasure]], train: TrainMeasure | None) -> str:
    """Where an artefact comes from, by who else has it: references, training set, other sets."""
    before = _level(finding, levels([pair.before for pair in sets[0][1].pairs])[finding.kind])
    parts = [f"references {amount(finding, before)} by themselves"]
    if train is None:
        verdict = "not from the references; --train tells whether the training set has it"
    else:
        theirs = _level(finding, levels(train.pictures)[finding.kind])
        parts.append(f"training set {amount(finding, theirs)}")
        has = theirs > before + _MORE[finding.kind]
        verdict = (
            "the training set has it too: probably learned from there"
            if has
            else "not in the training set: the model or its pipeline makes it"
        )
    if len(sets) > 1:
        having = [
            name
            for name, one in sets
            if any(other.kind == finding.kind and other.is_fault for other in one.findings)
        ]
        everywhere = len(having) == len(sets)
        verdict += (
            "; in all sets" if everywhere else f"; in {len(having)} of {len(sets)} sets, first in {having[0]}"
        )
    return f"  Origin of {finding.kind}: {verdict} ({', '.join(parts)})."


def _level(finding: Finding, of_channels: FloatArray) -> float:
    """Of the channels concerned; green, from which the others are measured, stands for all."""
    numbers = [CHANNELS.index(name) for name in finding.channels]
    if not numbers or (finding.kind == "fringing" and numbers == [1]):
        numbers = [0, 1, 2]
    return float(np.nan_to_num(of_channels[numbers]).max())


def amount(finding: Finding, level: float) -> str:
    """A level of an artefact with its unit."""
    shapes = {
        "shift": "{:.2f} px",
        "fringing": "{:.2f} px",
        "noise": "{:.1f} codes",
        "speckle": "{:,.0f} in a million",
    }
    return shapes.get(finding.kind, "{:.1%}").format(level)
