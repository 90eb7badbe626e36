"""What is wrong with a set of outputs, each fault by itself: measures held against limits.

Owns the limits of artefacts. Knows no files and no wording.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from lutkit.color.srgb import FloatArray
from lutkit.comparison.artefacts import Artefacts
from lutkit.comparison.explanation import STRAIGHT, Blocks, Explanation, identity, lab_of, left_by
from lutkit.lut.quality import MAX_CLIPPED_SHARE

# Faults of a set as a noun, and what is kept of a pair to find them.


Kind: TypeAlias = Literal[
    "flat", "unlike", "strangers",
    "unexplained", "channels", "saturation", "hue", "cast", "lightness", "contrast",
    "shift", "fringing", "noise", "speckle", "clipping",
]  # fmt: skip
ARTEFACTS: tuple[Kind, ...] = ("fringing", "noise", "speckle", "clipping")
CHANNELS = ("red", "green", "blue")


@dataclass(frozen=True, eq=False)
class PairMeasure:
    """What is kept of one pair.

    Args:
        key: its name.
        found: artefacts beyond the reference's.
        before: the reference by itself.
        delta_e: the mean delta E 2000.
        blocks: some of its colours, as `lutkit.comparison.explanation` takes them.
        likeness: of the output to the reference, as `lutkit.comparison.registration` gives it.
    """

    key: str
    found: Artefacts
    before: Artefacts
    delta_e: float
    blocks: Blocks
    likeness: float


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
        rare: fewer than one image in ten has it, as compression alone may give it to some: no fault of a set.
        of: where colours are left unexplained, how much there was to explain.
    """

    kind: Kind
    value: float
    channels: tuple[str, ...] = ()
    images: int = 0
    worst: tuple[str, ...] = ()
    explained: bool = False
    of: float = 0.0
    rare: bool = False

    @property
    def is_alone(self) -> bool:
        """Whether beside it nothing of a set can be judged."""
        return self.kind in ("flat", "unlike")

    @property
    def is_fault(self) -> bool:
        """Whether it counts against the set: neither a consequence nor rare."""
        return not self.explained and not self.rare


# What is wrong with the colours of a set, and whether that is the whole of it.


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

_WORST_COLORS = 3

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
    return [Finding("unexplained", mean, worst=tuple(some[i].key for i in order[:_WORST_COLORS]), of=of)]


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
