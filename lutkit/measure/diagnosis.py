"""What is wrong with a set of outputs, each fault by itself: measures held against limits.

Owns the limits. Knows no files and no wording.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.lut.quality import MAX_CLIPPED_SHARE
from lutkit.measure.artefacts import Artefacts
from lutkit.measure.compare import ColorChange

Kind: TypeAlias = Literal[
    "saturation", "hue", "cast", "lightness", "shift", "fringing", "noise", "speckle", "clipping"
]
ARTEFACTS: tuple[Kind, ...] = ("fringing", "noise", "speckle", "clipping")
CHANNELS = ("red", "green", "blue")

# Of colours, for the whole set.
MAX_CHROMA_GAIN_CHANGE = 0.08  # light of another colour alone changes it by some 6%, and hues by 4 degrees
MAX_HUE_TURN = 5.0  # degrees
MAX_CAST = 2.0  # units of a and b
MAX_LIGHTNESS_CHANGE = 2.0
_LEAST_GAIN_WITH_HUE = 0.2  # what is nearly grey has no hue to have turned

# Of artefacts, for an image; a set has what at least one in twenty of its images has.
MAX_SHIFT_PX = 0.25
MAX_FRINGING_PX = 0.15
MAX_NOISE_CODES = 1.0
MAX_SPECKLE = 20.0  # in a million
MAX_CLIPPED = MAX_CLIPPED_SHARE
SHARE_OF_IMAGES = 0.05
_WORST = 3


@dataclass(frozen=True, eq=False)
class PairMeasure:
    """What is kept of one pair.

    Args:
        key: its name.
        found: artefacts beyond the reference's.
        before: the reference by itself.
        after: the output by itself.
        delta_e: the mean delta E 2000.
    """

    key: str
    found: Artefacts
    before: Artefacts
    after: Artefacts
    delta_e: float


@dataclass(frozen=True)
class Finding:
    """One fault of a set.

    Args:
        kind: of what kind.
        value: how much: a factor, degrees, units of Lab, pixels, codes, in a million, a share; the median of
            the images that have it.
        channels: those concerned, or none in particular.
        images: how many have it; 0 where it is of the whole set.
        worst: the names of those that have most of it, worst first.
    """

    kind: Kind
    value: float
    channels: tuple[str, ...] = ()
    images: int = 0
    worst: tuple[str, ...] = ()


def diagnose(change: ColorChange, pairs: Sequence[PairMeasure]) -> tuple[Finding, ...]:
    """Every fault that passes its limit.

    Args:
        change: of the set's colours.
        pairs: at least one.
    Returns:
        Of colours first; empty where nothing is wrong.
    """
    return (*_color_findings(change), *_artefact_findings(pairs))


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


def _color_findings(change: ColorChange) -> list[Finding]:
    found: list[Finding] = []
    gain, turn = change.chroma_gain, change.hue_turn
    if gain is not None and abs(gain - 1) > MAX_CHROMA_GAIN_CHANGE:
        found.append(Finding("saturation", gain))
    if gain is not None and turn is not None and gain > _LEAST_GAIN_WITH_HUE and abs(turn) > MAX_HUE_TURN:
        found.append(Finding("hue", turn))
    cast = float(np.hypot(*change.cast))
    if cast > MAX_CAST:
        found.append(Finding("cast", cast))
    lighter = change.mean_after[0] - change.mean_before[0]
    if abs(lighter) > MAX_LIGHTNESS_CHANGE:
        found.append(Finding("lightness", lighter))
    return found


def _artefact_findings(pairs: Sequence[PairMeasure]) -> list[Finding]:
    keys = [pair.key for pair in pairs]
    whole = np.hypot(*np.stack([pair.found.place() for pair in pairs]).T)
    fringing = np.stack([pair.found.fringing() for pair in pairs])
    noise = np.stack([pair.found.noise for pair in pairs])
    speckle = np.array([pair.found.speckle for pair in pairs])
    clipped = np.stack([pair.found.clipped.max(axis=0) for pair in pairs])
    measured: list[tuple[Kind, FloatArray, float]] = [
        ("shift", whole[:, None], MAX_SHIFT_PX),
        ("fringing", fringing, MAX_FRINGING_PX),
        ("noise", noise, MAX_NOISE_CODES),
        ("speckle", speckle[:, None], MAX_SPECKLE),
        ("clipping", clipped, MAX_CLIPPED),
    ]
    found = (_artefact(kind, values, limit, keys) for kind, values, limit in measured)
    return [finding for finding in found if finding is not None]


def _artefact(kind: Kind, values: FloatArray, limit: float, keys: list[str]) -> Finding | None:
    """`values` are (images, channels) or (images, 1)."""
    known = np.nan_to_num(values)
    most = known.max(axis=1)
    over = most > limit
    if over.sum() < max(1, SHARE_OF_IMAGES * len(keys)):
        return None
    order = sorted(np.flatnonzero(over).tolist(), key=lambda i: (-most[i], keys[i]))
    typical = np.median(known[over], axis=0)
    # Channels that have at least half of what the worst one has.
    named = typical >= max(limit, 0.5 * float(typical.max())) if values.shape[1] == 3 else [False] * 3
    channels = tuple(name for name, has in zip(CHANNELS, named, strict=True) if has)
    worst = tuple(keys[i] for i in order[:_WORST])
    return Finding(kind, float(np.median(most[over])), channels, int(over.sum()), worst)


def _medians(values: FloatArray) -> FloatArray:
    """The median of each column, of what is known of it."""
    known = [column[np.isfinite(column)] for column in values.T]
    return np.array([float(np.median(column)) if len(column) else np.nan for column in known], np.float64)
