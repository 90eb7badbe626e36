"""What is wrong with a set of outputs, each fault by itself: measures held against limits.

Owns the limits of artefacts. Knows no files and no wording.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.comparison.artefacts import Artefacts
from lutkit.comparison.color_findings import color_findings, flat_outputs, is_described, unexplained_colors
from lutkit.comparison.explanation import STRAIGHT, Explanation
from lutkit.comparison.finding import CHANNELS, Finding, Kind, PairMeasure
from lutkit.lut.quality import MAX_CLIPPED_SHARE

# Of artefacts, for an image. A set has what at least one in ten of its images has, less is `rare`: of 71
# photographs with one known damage, saved as JPEG of quality 95, up to 7 seemed to have another as well. Of
# 71 photographs at 256 pixels, resized, of another gamma or less saturation, as PNG and as JPEG of quality
# 95 and 90 (4:2:0), 99 in 100 stayed below: a shift of 0.11 px, fringing of 0.07 px (at most 0.09), noise of
# 0.65 codes, and 31 speckles in a million, which are two pixels.
MAX_SHIFT_PX = 0.25
MAX_FRINGING_PX = 0.15
MAX_NOISE_CODES = 1.0
MAX_SPECKLE = 35.0  # in a million
MAX_CLIPPED = MAX_CLIPPED_SHARE
SHARE_OF_IMAGES = 0.1
LEAST_LIKENESS = 0.15  # see `likeness`
_WORST = 3
_MOST = 2 / 3  # so much of an image's clipping explained, all of it is: no fit is exact at the ends


def diagnose(change: Explanation, pairs: Sequence[PairMeasure]) -> tuple[Finding, ...]:
    """Every fault that passes its limit.

    Of outputs of one colour, or most of which show something else than their references, that is the only
    one; where fewer do, they are a finding, and left out of all others.
    Where the change leaves more of the difference than it explains, nothing is said of it. Clipping that the
    colours explain, by a strong cast say, is a finding of its own, marked `explained`.

    Args:
        change: of the set's colours.
        pairs: at least one.
    Returns:
        Of colours first; empty where nothing is wrong.
    """
    first = flat_outputs(pairs) or _unlike_outputs(pairs)
    if any(finding.is_alone for finding in first):
        return tuple(first)
    alike = judged(pairs)
    unexplained = unexplained_colors(change, alike)
    artefacts = _artefact_findings(alike, follow=not unexplained)
    if change.swapped != STRAIGHT:
        # A dot of the reference's red, in the output's blue, is none that it has made.
        artefacts = [finding for finding in artefacts if finding.kind != "speckle"]
    colors = color_findings(change) if is_described(unexplained) else []
    return (*first, *unexplained, *colors, *artefacts)


def judged(pairs: Sequence[PairMeasure]) -> list[PairMeasure]:
    """The pairs whose outputs show what their references do; all, where those are the lesser part."""
    alike = [pair for pair in pairs if not pair.likeness < LEAST_LIKENESS]  # what is not known is no fault
    return alike if 2 * len(alike) >= len(pairs) else list(pairs)


def _unlike_outputs(pairs: Sequence[PairMeasure]) -> list[Finding]:
    """Outputs that show something else, flipped or of other references: of most of a set, or of some."""
    unlike = [pair for pair in pairs if pair.likeness < LEAST_LIKENESS]
    if not unlike:
        return []
    kind: Kind = "unlike" if 2 * len(unlike) > len(pairs) else "strangers"
    keys = tuple(pair.key for pair in sorted(unlike, key=lambda pair: (pair.likeness, pair.key))[:_WORST])
    value = float(np.median([pair.likeness for pair in unlike]))
    return [Finding(kind, value, images=len(unlike), worst=keys)]


def unplaced(pairs: Sequence[PairMeasure]) -> tuple[int, int, int]:
    """Of how many pairs it cannot be told where red, green and blue lie: flat, or unlike the reference."""
    known = np.stack([np.isfinite(pair.found.shifts).all(axis=1) for pair in pairs])
    red, green, blue = (len(pairs) - known.sum(axis=0)).tolist()
    return red, green, blue


def levels(pictures: Sequence[Artefacts]) -> dict[Kind, FloatArray]:
    """How much pictures by themselves have of each artefact, (3,) a channel: for telling sets apart.

    Of fringing the length of the median shift from green, of noise the median, of speckle and clipping the
    mean; NaN where nothing could be measured.
    """
    shifts = np.stack([one.shifts for one in pictures])
    return {
        "fringing": np.array([np.hypot(*_medians(shifts[:, c])) for c in range(3)], np.float64),
        "noise": _medians(np.stack([one.noise for one in pictures])),
        "speckle": np.full(3, float(np.mean([one.speckle for one in pictures])), np.float64),
        "clipping": np.stack([one.clipped.max(axis=0) for one in pictures]).mean(axis=0),
    }


def _artefact_findings(pairs: Sequence[PairMeasure], *, follow: bool) -> list[Finding]:
    """`follow`: clipping may follow from the colours; where they are not explained it cannot."""
    keys = [pair.key for pair in pairs]
    whole = np.hypot(*np.stack([pair.found.place() for pair in pairs]).T)
    fringing = np.stack([pair.found.fringing() for pair in pairs])
    noise = np.stack([pair.found.noise for pair in pairs])
    speckle = np.array([pair.found.speckle for pair in pairs])
    explained = np.stack([pair.found.explained.max(axis=0) * follow for pair in pairs])
    clipped = np.stack(
        [(_unexplained(pair.found) if follow else pair.found.clipped).max(axis=0) for pair in pairs]
    )
    measured: list[tuple[Kind, FloatArray, float]] = [
        ("shift", whole[:, None], MAX_SHIFT_PX),
        ("fringing", fringing, MAX_FRINGING_PX),
        ("noise", noise, MAX_NOISE_CODES),
        ("speckle", speckle[:, None], MAX_SPECKLE),
        ("clipping", clipped, MAX_CLIPPED),
    ]
    found = [_artefact(kind, values, limit, keys) for kind, values, limit in measured]
    follows = _artefact("clipping", explained, MAX_CLIPPED, keys)
    found.append(replace(follows, explained=True) if follows and not follows.rare else None)
    return [finding for finding in found if finding is not None]


def _unexplained(found: Artefacts) -> FloatArray:
    """Newly clipped shares beside what the colours explain; nothing where that is most of them."""
    return np.where(found.explained >= _MOST * found.clipped, 0, found.clipped - found.explained)


def _artefact(kind: Kind, values: FloatArray, limit: float, keys: list[str]) -> Finding | None:
    """`values` are (images, channels) or (images, 1)."""
    known = np.nan_to_num(values)
    most = known.max(axis=1)
    over = most > limit
    if not over.any():
        return None
    order = sorted(np.flatnonzero(over).tolist(), key=lambda i: (-most[i], keys[i]))
    typical = np.median(known[over], axis=0)
    # Channels that have at least half of what the worst one has.
    named = typical >= max(limit, 0.5 * float(typical.max())) if values.shape[1] == 3 else [False] * 3
    channels = tuple(name for name, has in zip(CHANNELS, named, strict=True) if has)
    worst = tuple(keys[i] for i in order[:_WORST])
    value, images = float(np.median(most[over])), int(over.sum())
    return Finding(kind, value, channels, images, worst, rare=images < SHARE_OF_IMAGES * len(keys))


def _medians(values: FloatArray) -> FloatArray:
    """The median of each column, of what is known of it."""
    known = [column[np.isfinite(column)] for column in values.T]
    return np.array([float(np.median(column)) if len(column) else np.nan for column in known], np.float64)
