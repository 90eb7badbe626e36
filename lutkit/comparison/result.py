"""A comparison under stable names: what `lutkit.compare` returns for each set.

A value is None if nothing can be measured: for greys, for flat outputs, and for outputs that do not look like
their references. Numbers have six digits.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lutkit.comparison.artefacts import ARTEFACTS
from lutkit.comparison.color_change import SectorChange
from lutkit.comparison.findings import Finding, own_levels, unplaced
from lutkit.comparison.run import SetMeasure, TrainMeasure
from lutkit.comparison.table import artefact_levels, color_numbers, judged_sectors
from lutkit.dataset.records import Reject
from lutkit.results import six_digits


@dataclass(frozen=True)
class Differences:
    """CIEDE2000 over all pixels of a set: the mean and the 95th percentile."""

    mean: float | None
    p95: float | None


@dataclass(frozen=True)
class MeanColors:
    """Means over all pixels: CIELAB lightness, a, b and chroma, and HSV saturation."""

    lightness: float | None
    a: float | None
    b: float | None
    chroma: float | None
    saturation: float | None


@dataclass(frozen=True)
class NeutralCast:
    """The a and b that neutral colours take on."""

    a: float | None
    b: float | None


@dataclass(frozen=True)
class Sector:
    """How the colours in one range of hues changed: `SectorChange` describes the measures."""

    name: str
    share: float | None
    chroma_ratio: float | None
    hue_shift: float | None


@dataclass(frozen=True)
class FoundFault:
    """A fault of a set; `lutkit.comparison.findings.Finding` describes the measures.

    Args:
        kind: a fault of colours or position, or the name of an artefact.
        value: how much: for the whole set if `images` is 0, otherwise the median of that many images.
        channels: the channels that have it.
        images: how many images have it.
        worst: the names of the images that have most of it.
    """

    kind: str
    value: float | None
    channels: tuple[str, ...]
    images: int
    worst: tuple[str, ...]


@dataclass(frozen=True)
class Unexplained:
    """The mean differences (CIE 1976) that no change of colours explains: how much, of how much, where."""

    left: float | None
    of: float | None
    worst: tuple[str, ...]


@dataclass(frozen=True)
class WorstPair:
    """One of the pairs that differ most: its key, and its mean CIEDE2000."""

    key: str
    mean: float | None


@dataclass(frozen=True)
class Unmatched:
    """The names of references without an output, and of outputs without a reference."""

    references: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class ComparedSet:
    """A set of outputs compared with its references.

    Args:
        set: its name.
        pairs: the number of compared pairs.
        delta_e_2000: how far they differ.
        mean_before: the references' mean colours.
        mean_after: the outputs' mean colours.
        saturation_ratio: the ratio of mean HSV saturations.
        saturation_slope: the slope of the outputs' saturation over the references'.
        chroma_ratio: the ratio of mean CIELAB chromas.
        chroma_gain: the chroma factor of the simplest change of colours that explains the set.
        hue_turn: the hue rotation of that change, in degrees.
        cast: the cast of that change.
        bias: what code 0 becomes, for each channel.
        gain: the slope of codes, for each channel.
        sectors: the change of each hue.
        skin: the change of skin tones.
        artefacts: what images have beyond their references, by the name of the artefact: one number, or one
            for each channel; and `images_not_registered`.
        findings: the faults.
        consequences: what follows from the change of colours, and is therefore no fault.
        rare: what fewer than one image in ten has.
        unexplained: what no change of colours explains.
        worst_delta_e: the three pairs that differ most.
        rejects: pairs that could not be compared, each with its reason.
        unmatched: references and outputs without a counterpart.
    """

    set: str
    pairs: int
    delta_e_2000: Differences
    mean_before: MeanColors
    mean_after: MeanColors
    saturation_ratio: float | None
    saturation_slope: float | None
    chroma_ratio: float | None
    chroma_gain: float | None
    hue_turn: float | None
    cast: NeutralCast
    bias: tuple[float | None, ...]
    gain: tuple[float | None, ...]
    sectors: tuple[Sector, ...]
    skin: Sector | None
    artefacts: Mapping[str, Any]
    findings: tuple[FoundFault, ...]
    consequences: tuple[FoundFault, ...]
    rare: tuple[FoundFault, ...]
    unexplained: Unexplained | None
    worst_delta_e: tuple[WorstPair, ...]
    rejects: tuple[Reject, ...]
    unmatched: Unmatched


@dataclass(frozen=True)
class ComparedTrain:
    """A training set, measured on its own.

    Args:
        set: its name.
        photos: the number of measured photos.
        mean: their mean colours.
        artefacts: how much of each artefact they have, for each channel.
        rejects: photos that could not be read, each with its reason.
    """

    set: str
    photos: int
    mean: MeanColors
    artefacts: Mapping[str, tuple[float | None, ...]]
    rejects: tuple[Reject, ...]


def compared_set(one: SetMeasure, unmatched: Unmatched = Unmatched()) -> ComparedSet:
    """Return a measured set under stable names."""
    change, found = one.change, artefact_levels(one)
    (gain, turn, cast), (hues, skin) = color_numbers(one), judged_sectors(one)
    judged = not any(finding.is_alone for finding in one.findings)
    bias, gains = (change.bias, change.gain) if judged else ((None,) * 3, (None,) * 3)
    worst = sorted(one.pairs, key=lambda pair: (-pair.delta_e, pair.key))[:3]
    of_channels = {
        kind.column.json_name: tuple(_short(value) for value in found[kind.name])
        for kind in ARTEFACTS
        if kind.per_channel
    }
    of_images = {
        kind.column.json_name: _short(found[kind.name][0]) for kind in ARTEFACTS if not kind.per_channel
    }
    return ComparedSet(
        set=one.name,
        pairs=len(one.pairs),
        delta_e_2000=Differences(_short(change.delta_e[0]), _short(change.delta_e[1])),
        mean_before=MeanColors(*map(_short, change.mean_before)),
        mean_after=MeanColors(*map(_short, change.mean_after)),
        saturation_ratio=_short(change.saturation_ratio),
        saturation_slope=_short(change.saturation_slope),
        chroma_ratio=_short(change.chroma_ratio),
        chroma_gain=_short(gain),
        hue_turn=_short(turn),
        cast=NeutralCast(_short(cast and cast[0]), _short(cast and cast[1])),
        bias=tuple(_short(value) for value in bias),
        gain=tuple(_short(value) for value in gains),
        sectors=tuple(_sector(part) for part in hues),
        skin=_sector(skin) if skin else None,
        artefacts={**of_channels, **of_images, "images_not_registered": unplaced(one.pairs)},
        findings=tuple(_fault(finding) for finding in one.findings if finding.is_fault),
        consequences=tuple(_fault(finding) for finding in one.findings if finding.explained),
        rare=tuple(_fault(finding) for finding in one.findings if finding.rare),
        unexplained=next((_left(finding) for finding in one.findings if finding.of), None),
        worst_delta_e=tuple(WorstPair(pair.key, _short(pair.delta_e)) for pair in worst),
        rejects=one.rejects,
        unmatched=unmatched,
    )


def compared_train(train: TrainMeasure) -> ComparedTrain:
    """Return a measured training set under stable names."""
    own = {
        kind: tuple(_short(float(value)) for value in values)
        for kind, values in own_levels(train.images).items()
    }
    return ComparedTrain(train.name, train.photos, MeanColors(*map(_short, train.means)), own, train.rejects)


def _fault(finding: Finding) -> FoundFault:
    return FoundFault(finding.kind, _short(finding.value), finding.channels, finding.images, finding.worst)


def _left(finding: Finding) -> Unexplained:
    return Unexplained(_short(finding.value), _short(finding.of), finding.worst)


def _sector(part: SectorChange) -> Sector:
    return Sector(part.name, _short(part.share), _short(part.chroma_ratio), _short(part.hue_shift))


def _short(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else six_digits(value)
