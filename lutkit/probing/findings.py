"""What the measures of a network say: a sentence for each, and the faults that stand out.

Owns the limits and the sentences. A network that is sound is told nothing.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lutkit.measure.color_summary import CHANNELS
from lutkit.probing.responses import (
    GREYS,
    ColorJacobian,
    FlatPattern,
    RangeError,
    WaveGain,
    channel_words,
)
from lutkit.probing.rounding import ChannelDrift, FewValues
from lutkit.results import six_digits

_SAME = 1e-4  # of an entry of a Jacobian that is no influence
_CHANGES = 1.0  # code values of a grey or a colour that count as a change
_NO_ANSWER = 0.02  # of a response to greys that others cannot be compared with
_LEAST_SATURATION = 0.6  # of the answer to differences between channels, relative to that to greys
_WEAK = 0.88  # of the answer to greys of one channel, relative to the median
_CAST = 6.0  # code values
_SAME_RMS = 0.01  # code values
_SMOOTHED, _SMOOTHED_ALONE = 0.6, 0.85  # of a wave of 4 px; and relative to the other channels
_FINE = 4  # px, the wave that smoothing is judged by
_PATTERN = 0.75  # code values
_FAR, _NEARER = 20.0, 0.5  # code values; and relative to those of 0..1
_DRIFT = {"bf16": 1.0, "int8 by tensor": 2.0}  # code values


@dataclass(frozen=True)
class Answers:
    """What the Jacobians say about colours.

    Args:
        greys: the answer of red, green and blue to a change of grey, mean of three greys; negative if the
            network makes negatives.
        saturation: the answer to differences between channels, relative to that to greys: 1 keeps
            saturation, also if a tone curve or a negative changes both. Differences that come out in another
            hue count less. None if greys have no answer.
        shifts: what greys gain in red, green and blue over their own mean, in code values of 8 bits.
    """

    greys: tuple[float, ...]
    saturation: float | None
    shifts: tuple[float, ...]


@dataclass(frozen=True)
class ProbeFinding:
    """A fault.

    Args:
        name: its name.
        sentence: what was measured, and what causes it.
    """

    name: str
    sentence: str


@dataclass(frozen=True)
class Measures:
    """Everything that was measured of a network.

    Args:
        jacobians: between channels, for greys and colours.
        waves: the frequency response.
        patterns: in flat areas.
        ranges: for input in other ranges.
        drifts: in bf16 and int8.
        values: weights that look rounded.
        invents_colors: whether the network ignores colours by design.
    """

    jacobians: tuple[ColorJacobian, ...]
    waves: tuple[WaveGain, ...]
    patterns: tuple[FlatPattern, ...]
    ranges: tuple[RangeError, ...]
    drifts: tuple[ChannelDrift, ...]
    values: FewValues
    invents_colors: bool


def answers_of(jacobians: tuple[ColorJacobian, ...]) -> Answers:
    """Summarize the Jacobians of the greys."""
    matrices = np.array([one.matrix for one in jacobians[:GREYS]])
    found = np.array([one.found for one in jacobians[:GREYS]])
    greys = matrices.sum(axis=2).mean(axis=0)
    answers = matrices.sum(axis=(1, 2)) / 3
    # The trace over the plane of differences between channels, which has two dimensions.
    apart = (matrices.trace(axis1=1, axis2=2) - answers) / 2
    # Each grey counts as much as its answer: where a tone curve is flat, there is nothing to compare with.
    total = float(np.abs(answers).sum())
    saturation = float((np.sign(answers) * apart).sum()) / total if total > GREYS * _NO_ANSWER else None
    shifts = 255 * (found - found.mean(axis=1, keepdims=True)).mean(axis=0)
    return Answers(
        tuple(six_digits(value) for value in greys.tolist()),
        None if saturation is None else six_digits(saturation),
        tuple(six_digits(value) for value in shifts.tolist()),
    )


def sentences_of(measures: Measures) -> tuple[str, ...]:
    """Return what each measure says, in a sentence."""
    answers = answers_of(measures.jacobians)
    fine = next(one for one in measures.waves if one.period_px == _FINE)
    worst = max(measures.patterns, key=lambda one: max(one.codes))
    by_range = ", ".join(
        f"{one.rms:.1f} if given {one.range}" for one in measures.ranges if one.rms is not None
    )
    kept = (
        "which is too little to compare with"
        if answers.saturation is None
        else f"differences between channels are multiplied by {answers.saturation:.2f} of that"
    )
    said = [
        f"Colours: a change of grey comes out as {channel_words(answers.greys, '.2f')}; {kept}; greys come "
        f"out with {channel_words(answers.shifts, '+.1f')} code values.",
        f"Detail: of a grey wave of {_FINE} px, this is left: {channel_words(fine.gains, '.2f')}.",
        f"Flat areas: the strongest pattern has a period of {worst.period_px} px and "
        f"{channel_words(worst.codes, '.2f')} code values.",
        f"Range: results differ from the image, root mean square, by {by_range} code values.",
    ]
    if measures.drifts:
        drifts = "; ".join(f"{one.rounding}: {channel_words(one.mean, '+.2f')}" for one in measures.drifts)
        said.append(f"Rounding: channels drift by these code values: {drifts}.")
    else:
        said.append("Rounding: there are no weights that could be rounded.")
    return tuple(said)


def findings_of(measures: Measures) -> tuple[ProbeFinding, ...]:
    """Return the faults that stand out; none for a sound network."""
    found = [] if measures.invents_colors else [*_of_colors(measures)]
    found += _of_detail(measures.waves, by_channel=not measures.invents_colors)
    found += [*_of_flat_areas(measures.patterns), *_of_range(measures.ranges)]
    return (*found, *_of_rounding(measures.drifts, measures.values))


def _of_colors(measures: Measures) -> Iterator[ProbeFinding]:
    answers = answers_of(measures.jacobians)
    if all(abs(value) < _SAME for one in measures.jacobians for row in one.matrix for value in row):
        yield ProbeFinding(
            "no answer",
            "The output does not depend on the colours of the input. Look for dead activations, a gate that "
            "is closed, weights that were not loaded, or an output that is clipped.",
        )
        return
    off_diagonal = max(
        abs(one.matrix[row][column])
        for one in measures.jacobians
        for row in range(3)
        for column in range(3)
        if row != column
    )
    moved = max(
        abs(found - given)
        for one in measures.jacobians
        for found, given in zip(one.found, one.given, strict=True)
    )
    if off_diagonal < _SAME and 255 * moved > _CHANGES and not _is_tone_curve(measures.jacobians):
        yield ProbeFinding(
            "channels without mixing",
            "No channel of the output depends on another channel of the input: the network is three curves, "
            "and can neither mix channels nor turn a hue. Look for convolutions with groups = channels "
            "(depthwise) that no 1 x 1 convolution follows.",
        )
    kept = _kept_differences(measures.jacobians)
    if answers.saturation is None or answers.saturation >= _LEAST_SATURATION:
        pass
    elif kept >= _LEAST_SATURATION and answers.saturation < _LEAST_SATURATION * kept:
        yield ProbeFinding(
            "turned hues",
            f"Differences between channels keep {100 * kept:.0f}% of what greys keep, but come out in other "
            "hues. Look for channels in the order blue, green, red, or for a matrix that mixes them.",
        )
    else:
        yield ProbeFinding(
            "channels pooled together",
            f"Differences between channels shrink to {100 * answers.saturation:.0f}% of what greys keep: "
            "saturation is lost. Look for a mean or a maximum over channels, such as a channel-wise pooling "
            "after a residual connection.",
        )
    median = float(np.median(answers.greys))
    weak = (
        [channel for channel in range(3) if answers.greys[channel] / median < _WEAK]
        if abs(median) > _NO_ANSWER
        else []
    )
    if weak:
        names = " and ".join(CHANNELS[channel] for channel in weak)
        yield ProbeFinding(
            f"weakened {names}",
            f"A change of grey comes out as {channel_words(answers.greys, '.2f')}: {names} is weakened. Look "
            f"for a filter, a gate or a normalization that multiplies {names}, and for its weights.",
        )
    cast = max(range(3), key=lambda channel: abs(answers.shifts[channel]))
    if not weak and abs(answers.shifts[cast]) > _CAST:
        color = CHANNELS[cast] if answers.shifts[cast] > 0 else _OPPOSITES[cast]
        yield ProbeFinding(
            f"{color} cast",
            f"Greys come out {color}: {channel_words(answers.shifts, '+.1f')} code values. Look for the same "
            "cast in the targets that it learned from: `lutkit stats` measures it.",
        )


_OPPOSITES = ("cyan", "magenta", "yellow")


def _kept_differences(jacobians: tuple[ColorJacobian, ...]) -> float:
    """Return how large differences between channels come out, whatever their hue, relative to greys."""
    matrices = np.array([one.matrix for one in jacobians[:GREYS]])
    answers = np.abs(matrices.sum(axis=(1, 2))).sum() / 3
    apart = matrices - matrices.mean(axis=1, keepdims=True)
    apart -= apart.mean(axis=2, keepdims=True)
    # The plane of differences between channels has two dimensions.
    sizes = np.sqrt((apart**2).sum(axis=(1, 2)) / 2)
    return float(sizes.sum() / answers) if answers > 0 else 0.0


def _is_tone_curve(jacobians: tuple[ColorJacobian, ...]) -> bool:
    """Return whether equal values come out equal, whatever their channel: such a curve needs no mixing."""
    found: dict[float, list[float]] = {}
    for one in jacobians:
        for given, value in zip(one.given, one.found, strict=True):
            found.setdefault(given, []).append(value)
    return all(255 * (max(values) - min(values)) < _CHANGES for values in found.values())


def _of_detail(waves: tuple[WaveGain, ...], *, by_channel: bool) -> Iterator[ProbeFinding]:
    gains = next(one for one in waves if one.period_px == _FINE).gains
    words = f"Of a grey wave of {_FINE} px, this is left: {channel_words(gains, '.2f')}."
    # A colorizer's colours follow lightness, so that channels answer to a grey wave in different ways.
    for channel, name in enumerate(CHANNELS if by_channel else ()):
        others = sorted(gains[:channel] + gains[channel + 1 :])
        if gains[channel] < _SMOOTHED_ALONE * others[0]:
            yield ProbeFinding(
                f"smoothed {name}",
                f"{words} {name.capitalize()} is smoothed more than the others: its edges get coloured "
                f"fringes. Look for a filter or a pooling that acts on {name} alone.",
            )
            return
    if max(gains) < _SMOOTHED:
        yield ProbeFinding(
            "smoothed detail",
            f"{words} The image itself is smoothed, not only the correction. Look for a pooling, a blur "
            "or an interpolation after the residual connection.",
        )


def _of_flat_areas(patterns: tuple[FlatPattern, ...]) -> Iterator[ProbeFinding]:
    # A pattern of 2 px is one of 4 and 8 px as well: the shortest period that holds most of it names it.
    strongest = max(max(one.codes) for one in patterns)
    if strongest <= _PATTERN:
        return
    named = next(one for one in patterns if max(one.codes) > 0.7 * strongest)
    yield ProbeFinding(
        "checkerboard",
        f"Flat areas get a pattern with a period of {named.period_px} px, of this many code values: "
        f"{channel_words(named.codes, '.1f')}. Look for a transposed convolution whose kernel is no multiple "
        "of its stride, or a pixel shuffle; enlarge first, then convolve.",
    )


def other_range(ranges: tuple[RangeError, ...]) -> RangeError | None:
    """Return the range that the network works in, if it is clearly not 0..1."""
    given, nearest = ranges[0], nearest_of(ranges)
    scaled = [one.rms for one in ranges if one.range in ("0..255", "0..1/255")]
    if all(rms is not None and abs(rms - (given.rms or 0.0)) < _SAME_RMS for rms in scaled):
        return None  # it multiplies its input by a matrix, in any range alike
    is_far = given.rms is not None and given.rms > _FAR
    is_nearer = nearest.rms is not None and given.rms is not None and nearest.rms < _NEARER * given.rms
    return nearest if is_far and is_nearer else None


def nearest_of(ranges: tuple[RangeError, ...]) -> RangeError:
    """Return the range in which the result is nearest to the image."""
    return min(ranges, key=lambda one: math.inf if one.rms is None else one.rms)


def _of_range(ranges: tuple[RangeError, ...]) -> Iterator[ProbeFinding]:
    other = other_range(ranges)
    if other is None:
        return
    how = {
        "-1..1": "It was trained on -1..1: convert images with 2 x - 1.",
        "0..255": "It was trained on 0..255: multiply images by 255.",
        "0..1/255": "It is fed 0..255 but was trained on 0..1: something multiplies images by 255, "
        "or does not divide them.",
    }[other.range]
    yield ProbeFinding(
        "another range",
        f"Given 0..1, its results are off by {ranges[0].rms:.0f} code values; given {other.range} and taken "
        f"as {other.returned}, by {other.rms:.0f}. {how} All else is measured in that range.",
    )


def _of_rounding(drifts: tuple[ChannelDrift, ...], values: FewValues) -> Iterator[ProbeFinding]:
    if values.tensors and 2 * values.rounded >= values.tensors:
        yield ProbeFinding(
            "weights rounded to int8",
            f"{values.rounded} of {values.tensors} large weight tensors hold at most 256 distinct numbers: "
            "they were rounded to int8, each with one scale. Round them by output channel, or keep the first "
            "and the last layer in float.",
        )
    by_name = {one.rounding: one for one in drifts}
    for rounding, limit in _DRIFT.items():
        drift = by_name.get(rounding)
        if drift is None or max(map(abs, drift.mean)) <= limit:
            continue
        words = f"In {rounding}, channels drift by {channel_words(drift.mean, '+.1f')} code values"
        if rounding == "bf16":
            yield ProbeFinding("drift in bf16", f"{words}. Keep the last layer in float32.")
            continue
        less = by_name["int8 by channel"]
        if max(map(abs, less.mean)) < 0.5 * max(map(abs, drift.mean)):
            yield ProbeFinding(
                "drift in int8 by tensor",
                f"{words}; with a scale for each output channel by {channel_words(less.mean, '+.1f')}. Round "
                "by channel.",
            )
