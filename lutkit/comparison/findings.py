"""The faults of a set of outputs, each found by comparing a measure with its limit.

Owns the limits of colours and position; artefacts bring their own. Knows no files and no wording.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lutkit.color.srgb import FloatArray
from lutkit.comparison.artefact import Artefacts
from lutkit.comparison.artefacts import ARTEFACTS
from lutkit.comparison.blocks import Blocks
from lutkit.comparison.explanation import STRAIGHT, Explanation, lab_of_codes, left_by, unchanged
from lutkit.comparison.fringing import Fringing
from lutkit.comparison.likeness import LEAST_LIKENESS
from lutkit.comparison.noise import Noise
from lutkit.measure.color_summary import CHANNELS

# Limits of colours, for the whole set: a needed change (see `explain`) above its limit is reported.
MAX_CHROMA_GAIN_CHANGE = 0.08
MAX_HUE_TURN = 5.0  # degrees
MAX_CAST = 2.0  # units of a and b
MAX_LIGHTNESS_CHANGE = 2.0
LEAST_SPREAD = 1.0  # of an image's colours, in units of Lab
MAX_CONTRAST_CHANGE = 0.08
_LEAST_BROUGHT, _MOST_BROUGHT = 0.5, 2.0  # a change of light alone changes contrast within this range
# The mean difference (CIE 1976) that no change explains, absolute and as a share of the total. Sets with one
# change left at most 1.6; sets with a different cast in every image or with wrong references left 8 to 24.
MAX_LEFT = 2.5
MAX_LEFT_SHARE = 0.25
_MOST_LEFT_SHARE = 0.5  # a change that leaves more than it explains does not describe the set
# If an image's detail has moved or is covered, means of blocks say nothing about a change of its colours.
_MOVED_PX, _COVERED_CODES = 1.0, 10.0
LEAST_GAIN_WITH_HUE = 0.2  # a nearly grey output has no hue that could have turned

# Limits of position and artefacts (in their own files), for an image. A set has a fault if at least one in
# ten of its images has it; less is `rare`. Among 71 photos with one known kind of damage, saved as JPEG of
# quality 95, up to 7 seemed to have another kind too. Of 71 photos at 256 pixels that were resized, or given
# another gamma or less saturation, as PNG and as JPEG of quality 95 and 90 (4:2:0), 99 in 100 stayed below: a
# shift of 0.11 px, fringing of 0.07 px (at most 0.09), noise of 0.65 codes, and 31 speckles in a million,
# which are two pixels.
MAX_SHIFT_PX = 0.25
SHARE_OF_IMAGES = 0.1
_WORST = 3  # images that are named


@dataclass(frozen=True, eq=False)
class PairMeasure:
    """The results that are kept for one pair.

    Args:
        key: its name.
        found: artefacts beyond the reference's.
        before: the artefacts of the reference on its own.
        delta_e: the mean delta E 2000.
        blocks: some of its colours, as `lutkit.comparison.blocks` returns them.
        likeness: the likeness of the output to the reference, as `lutkit.comparison.likeness` returns it.
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
        kind: for the whole set "flat", "unlike" or "strangers"; for colours "unexplained", "channels",
            "saturation", "hue", "cast", "lightness" or "contrast"; for position "shift"; otherwise the name
            of an artefact.
        value: how much: a factor, degrees, units of Lab, pixels, codes, in a million, a share; the median of
            the images that have the fault.
        channels: the channels that have the fault; empty if it concerns no single channel. If channels are
            swapped: the reference's channels that the output's red, green and blue are.
        images: how many images have it; 0 if it concerns the whole set.
        worst: the names of the images that have most of it, worst first.
        explained: whether it follows from the images' change of colours and is therefore no fault.
        rare: whether fewer than one image in ten has it; compression alone may cause that, so it is no fault
            of the set.
        of: if colours are unexplained, how much there was to explain.
    """

    kind: str
    value: float
    channels: tuple[str, ...] = ()
    images: int = 0
    worst: tuple[str, ...] = ()
    explained: bool = False
    of: float = 0.0
    rare: bool = False

    @property
    def is_alone(self) -> bool:
        """Whether nothing else of the set can be judged because of it."""
        return self.kind in ("flat", "unlike")

    @property
    def is_fault(self) -> bool:
        """Whether it counts against the set: it is neither a consequence nor rare."""
        return not self.explained and not self.rare


def diagnose(change: Explanation, pairs: Sequence[PairMeasure]) -> tuple[Finding, ...]:
    """Return every fault that exceeds its limit.

    If outputs have only one colour, or most of them show something else than their references, that is the
    only finding. If a minority shows something else, that is one finding, and these outputs are left out of
    all others. If the change of colours leaves more of the difference than it explains, it is not reported.
    Clipping that the colours explain, for instance by a strong cast, is a separate finding, marked
    `explained`.

    Args:
        change: the change of the set's colours.
        pairs: at least one.
    Returns:
        Findings of colours first; empty if nothing is wrong.
    """
    first = flat_outputs(pairs) or _unlike_outputs(pairs)
    if any(finding.is_alone for finding in first):
        return tuple(first)
    alike = judged_pairs(pairs)
    unexplained = unexplained_colors(change, alike)
    placed = np.hypot(*np.stack([pair.found[Fringing].place() for pair in alike]).T)
    shift = _image_finding("shift", placed[:, None], placed, MAX_SHIFT_PX, [pair.key for pair in alike])
    artefacts = _artefact_findings(alike, explained=not unexplained, swapped=change.swapped != STRAIGHT)
    colors = color_findings(change) if is_described(unexplained) else []
    return (*first, *unexplained, *colors, *([shift] if shift else []), *artefacts)


def judged_pairs(pairs: Sequence[PairMeasure]) -> list[PairMeasure]:
    """Return the pairs whose outputs show what their references show; all pairs, if those are a minority."""
    alike = [pair for pair in pairs if not pair.likeness < LEAST_LIKENESS]  # an unknown likeness is no fault
    return alike if 2 * len(alike) >= len(pairs) else list(pairs)


def _unlike_outputs(pairs: Sequence[PairMeasure]) -> list[Finding]:
    """Find outputs that show something else, such as flipped ones or those of other references."""
    unlike = [pair for pair in pairs if pair.likeness < LEAST_LIKENESS]
    if not unlike:
        return []
    kind = "unlike" if 2 * len(unlike) > len(pairs) else "strangers"
    keys = tuple(pair.key for pair in sorted(unlike, key=lambda pair: (pair.likeness, pair.key))[:_WORST])
    value = float(np.median([pair.likeness for pair in unlike]))
    return [Finding(kind, value, images=len(unlike), worst=keys)]


def unplaced(pairs: Sequence[PairMeasure]) -> tuple[int, int, int]:
    """Count the pairs whose red, green and blue cannot be registered: flat, or unlike the reference."""
    known = np.stack([np.isfinite(pair.found[Fringing].shifts).all(axis=1) for pair in pairs])
    red, green, blue = (len(pairs) - known.sum(axis=0)).tolist()
    return red, green, blue


def own_levels(images: Sequence[Artefacts]) -> dict[str, FloatArray]:
    """Return the level of each artefact in images on their own, (3,) by channel, to compare sets."""
    return {kind.name: kind.level([one[kind] for one in images]) for kind in ARTEFACTS}


def _artefact_findings(pairs: Sequence[PairMeasure], *, explained: bool, swapped: bool) -> list[Finding]:
    """Return faults first, then consequences of the change of colours, if that is explained."""
    keys = [pair.key for pair in pairs]
    faults, follows = list[Finding](), list[Finding]()
    for kind in ARTEFACTS:
        if swapped and not kind.told_of_swapped:
            continue
        found = [pair.found[kind] for pair in pairs]
        values = np.stack([one.faults(explained=explained) for one in found])
        most = np.array([one.most(amounts) for one, amounts in zip(found, values, strict=True)])
        if fault := _image_finding(kind.name, values, most, kind.limit, keys):
            faults.append(fault)
        values = np.stack([one.consequences() for one in found])
        most = values.max(axis=1)
        caused = _image_finding(kind.name, values, most, kind.limit, keys) if explained else None
        if caused and not caused.rare:
            follows.append(replace(caused, explained=True))
    return [*faults, *follows]


def _image_finding(
    kind: str, values: FloatArray, most: FloatArray, limit: float, keys: list[str]
) -> Finding | None:
    """Return a finding from `values`, (images, channels) or (images, 1), and amounts `most`, (images,)."""
    known, most = np.nan_to_num(values), np.nan_to_num(most)
    over = most > limit
    if not over.any():
        return None
    order = sorted(np.flatnonzero(over).tolist(), key=lambda i: (-most[i], keys[i]))
    typical = np.median(known[over], axis=0)
    # Name the channels that have at least half of the worst channel's amount.
    named = typical >= max(limit, 0.5 * float(typical.max())) if values.shape[1] == 3 else [False] * 3
    channels = tuple(name for name, has in zip(CHANNELS, named, strict=True) if has)
    worst = tuple(keys[i] for i in order[:_WORST])
    value, images = float(np.median(most[over])), int(over.sum())
    return Finding(kind, value, channels, images, worst, rare=images < SHARE_OF_IMAGES * len(keys))


def unexplained_colors(change: Explanation, pairs: Sequence[PairMeasure]) -> list[Finding]:
    """Find colours that no single change explains, in images whose detail has not moved."""
    some = [pair for pair in pairs if not _has_other_detail(pair.found)]
    left = [left_by(change.fit, pair.blocks) for pair in some]
    apart = [left_by(unchanged, pair.blocks) for pair in some]
    mean, of = (float(np.mean(values)) if some else 0.0 for values in (left, apart))
    if mean <= max(MAX_LEFT, MAX_LEFT_SHARE * of):
        return []
    order = sorted(range(len(some)), key=lambda i: (-left[i], some[i].key))
    return [Finding("unexplained", mean, worst=tuple(some[i].key for i in order[:_WORST]), of=of)]


def _has_other_detail(found: Artefacts) -> bool:
    moved = np.nan_to_num(np.hypot(*found[Fringing].shifts.T)).max() > _MOVED_PX
    return bool(moved or np.nan_to_num(found[Noise].codes).max() > _COVERED_CODES)


def flat_outputs(pairs: Sequence[PairMeasure]) -> list[Finding]:
    """Find the outputs of a dead network: none has more than one colour, although references have."""
    before, after = (_spread([pair.blocks[:, side] for pair in pairs]) for side in (0, 1))
    return [Finding("flat", after)] if after < LEAST_SPREAD <= before else []


def _spread(codes: Sequence[npt.NDArray[np.float32]]) -> float:
    """Return the standard deviation of L, a and b together, of each image's blocks from their mean."""
    labs = [lab_of_codes(one.astype(np.float64)) for one in codes]
    if sum(map(len, labs)) < 2 * len(labs):
        labs = [np.concatenate(labs)]  # too few blocks in each image: use the spread over all images
    apart = np.concatenate([lab - lab.mean(axis=0) for lab in labs])
    return float(np.sqrt((apart * apart).sum(axis=1).mean()))


def is_described(findings: Sequence[Finding]) -> bool:
    """Return whether the simplest change describes the set: it does not leave most of the difference."""
    return not any(
        one.is_alone or (one.kind == "unexplained" and one.value > _MOST_LEFT_SHARE * one.of)
        for one in findings
    )


def color_findings(change: Explanation) -> list[Finding]:
    """Return the parts of a change that are worth reporting."""
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
    # Brighter light raises contrast too, and a gamma changes both: that is reported only once.
    least, most = max(_LEAST_BROUGHT, change.brought[0]), min(_MOST_BROUGHT, change.brought[1])
    if not least - MAX_CONTRAST_CHANGE <= change.contrast <= most + MAX_CONTRAST_CHANGE:
        found.append(Finding("contrast", change.contrast))
    return found
