"""What is wrong with a set of outputs, each fault by itself: measures held against limits.

Owns the limits. Knows no files and no wording.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.lut.quality import MAX_CLIPPED_SHARE
from lutkit.measure.artefacts import Artefacts
from lutkit.measure.color_fits import identity
from lutkit.measure.explanation import STRAIGHT, Blocks, Explanation, left_by

Kind: TypeAlias = Literal[
    "unexplained", "channels", "saturation", "hue", "cast", "lightness", "contrast",
    "shift", "fringing", "noise", "speckle", "clipping",
]  # fmt: skip
ARTEFACTS: tuple[Kind, ...] = ("fringing", "noise", "speckle", "clipping")
CHANNELS = ("red", "green", "blue")

# Of colours, for the whole set: what is worth saying of a change that `explain` finds to be needed.
MAX_CHROMA_GAIN_CHANGE = 0.08
MAX_HUE_TURN = 5.0  # degrees
MAX_CAST = 2.0  # units of a and b
MAX_LIGHTNESS_CHANGE = 2.0
MAX_CONTRAST_CHANGE = 0.08
# What no change explains, as a mean difference (CIE 1976), and as a share of what there is: sets of one
# change left at most 1.6; a cast of its own for every image, or names of other references, 8 to 24.
MAX_LEFT = 2.5
MAX_LEFT_SHARE = 0.25
# Where an image's detail is elsewhere or covered, means of blocks tell nothing of a change of its colours.
_MOVED_PX, _COVERED_CODES = 1.0, 10.0
_LEAST_GAIN_WITH_HUE = 0.2  # what is nearly grey has no hue to have turned

# Of artefacts, for an image; a set has what at least one in ten of its images has: of 71 photographs with
# one known damage, saved as JPEG of quality 95, up to 7 seemed to have another as well. Of 71 photographs at
# 256 pixels, resized, of another gamma or less saturation, as PNG and as JPEG of quality 95 and 90 (4:2:0),
# 99 in 100 stayed below: a shift of 0.11 px, fringing of 0.07 px (at most 0.09), noise of 0.65 codes, and 31
# speckles in a million, which are two pixels.
MAX_SHIFT_PX = 0.25
MAX_FRINGING_PX = 0.15
MAX_NOISE_CODES = 1.0
MAX_SPECKLE = 35.0  # in a million
MAX_CLIPPED = MAX_CLIPPED_SHARE
SHARE_OF_IMAGES = 0.1
_WORST = 3
_MOST = 2 / 3  # so much of an image's clipping explained, all of it is: no fit is exact at the ends


@dataclass(frozen=True, eq=False)
class PairMeasure:
    """What is kept of one pair.

    Args:
        key: its name.
        found: artefacts beyond the reference's.
        before: the reference by itself.
        after: the output by itself.
        delta_e: the mean delta E 2000.
        blocks: some of its colours, as `lutkit.measure.explanation` takes them.
    """

    key: str
    found: Artefacts
    before: Artefacts
    after: Artefacts
    delta_e: float
    blocks: Blocks


@dataclass(frozen=True)
class Finding:
    """One fault of a set.

    Args:
        kind: of what kind.
        value: how much: a factor, degrees, units of Lab, pixels, codes, in a million, a share; the median of
            the images that have it.
        channels: those concerned, or none in particular; where they are swapped, which of the reference's
            is the output's red, green and blue.
        images: how many have it; 0 where it is of the whole set.
        worst: the names of those that have most of it, worst first.
        explained: it follows from the images' change of colours, and is no fault beside that.
        of: where colours are left unexplained, how much there was to explain.
    """

    kind: Kind
    value: float
    channels: tuple[str, ...] = ()
    images: int = 0
    worst: tuple[str, ...] = ()
    explained: bool = False
    of: float = 0.0


def diagnose(change: Explanation, pairs: Sequence[PairMeasure]) -> tuple[Finding, ...]:
    """Every fault that passes its limit.

    Clipping that the colours explain, by a strong cast say, is a finding of its own, marked `explained`.

    Args:
        change: of the set's colours.
        pairs: at least one.
    Returns:
        Of colours first; empty where nothing is wrong.
    """
    found = (*_unexplained_colors(change, pairs), *_color_findings(change), *_artefact_findings(pairs))
    if change.swapped != STRAIGHT:
        # A dot of the reference's red, in the output's blue, is none that it has made.
        found = tuple(finding for finding in found if finding.kind != "speckle")
    unknown = any(finding.kind == "unexplained" for finding in found)
    return tuple(replace(finding, explained=finding.explained and not unknown) for finding in found)


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


def _unexplained_colors(change: Explanation, pairs: Sequence[PairMeasure]) -> list[Finding]:
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


def _color_findings(change: Explanation) -> list[Finding]:
    found: list[Finding] = []
    if change.swapped != STRAIGHT:
        found.append(Finding("channels", 1.0, tuple(CHANNELS[c] for c in change.swapped)))
    if abs(change.gain - 1) > MAX_CHROMA_GAIN_CHANGE:
        found.append(Finding("saturation", change.gain))
    if change.gain > _LEAST_GAIN_WITH_HUE and abs(change.turn) > MAX_HUE_TURN:
        found.append(Finding("hue", change.turn))
    cast = float(np.hypot(*change.cast))
    if cast > MAX_CAST:
        found.append(Finding("cast", cast))
    if abs(change.lightness) > MAX_LIGHTNESS_CHANGE:
        found.append(Finding("lightness", change.lightness))
    # Brighter light raises both: it is said once.
    elif abs(change.contrast - 1) > MAX_CONTRAST_CHANGE:
        found.append(Finding("contrast", change.contrast))
    return found


def _artefact_findings(pairs: Sequence[PairMeasure]) -> list[Finding]:
    keys = [pair.key for pair in pairs]
    whole = np.hypot(*np.stack([pair.found.place() for pair in pairs]).T)
    fringing = np.stack([pair.found.fringing() for pair in pairs])
    noise = np.stack([pair.found.noise for pair in pairs])
    speckle = np.array([pair.found.speckle for pair in pairs])
    explained = np.stack([pair.found.explained.max(axis=0) for pair in pairs])
    clipped = np.stack([_unexplained(pair.found).max(axis=0) for pair in pairs])
    measured: list[tuple[Kind, FloatArray, float]] = [
        ("shift", whole[:, None], MAX_SHIFT_PX),
        ("fringing", fringing, MAX_FRINGING_PX),
        ("noise", noise, MAX_NOISE_CODES),
        ("speckle", speckle[:, None], MAX_SPECKLE),
        ("clipping", clipped, MAX_CLIPPED),
    ]
    found = [_artefact(kind, values, limit, keys) for kind, values, limit in measured]
    follows = _artefact("clipping", explained, MAX_CLIPPED, keys)
    found.append(replace(follows, explained=True) if follows else None)
    return [finding for finding in found if finding is not None]


def _unexplained(found: Artefacts) -> FloatArray:
    """Newly clipped shares beside what the colours explain; nothing where that is most of them."""
    return np.where(found.explained >= _MOST * found.clipped, 0, found.clipped - found.explained)


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
