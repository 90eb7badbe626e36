"""A comparison under stable names: what `lutkit.compare` returns of each set.

None stands where nothing can be measured: of greys, of flat outputs, or of such that do not look like their
references. Numbers have six digits.
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
    """What became of the colours of one range of hues: `SectorChange` says what is measured."""

    name: str
    share: float | None
    chroma_ratio: float | None
    hue_shift: float | None


@dataclass(frozen=True)
class FoundFault:
    """A fault of a set; `lutkit.comparison.findings.Finding` says what is measured.

    Args:
        kind: of colours, of place, or an artefact's name.
        value: how much: the set's where `images` is 0, else the median of so many images.
        channels: those concerned.
        images: how many images have it.
        worst: the names of those that have most of it.
    """

    kind: str
    value: float | None
    channels: tuple[str, ...]
    images: int
    worst: tuple[str, ...]


@dataclass(frozen=True)
class Unexplained:
    """What no change of colours explains, as mean differences (CIE 1976), of how much, and where."""

    left: float | None
    of: float | None
    worst: tuple[str, ...]


@dataclass(frozen=True)
class WorstPair:
    """A pair that differs most: its key, and its mean CIEDE2000."""

    key: str
    mean: float | None


@dataclass(frozen=True)
class Unmatched:
    """The names of references without an output, and of outputs without a reference."""

    references: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class ComparedSet:
    """A set of outputs beside its references.

    Args:
        set: its name.
        pairs: how many pairs were compared.
        delta_e_2000: how far they differ.
        mean_before: the references' colours.
        mean_after: the outputs' colours.
        saturation_ratio: of mean HSV saturations.
        saturation_slope: of outputs' saturation on references'.
        chroma_ratio: of mean CIELAB chromas.
        chroma_gain: the factor on colour differences, by the simplest change that explains the set.
        hue_turn: the turn of hues of that change, in degrees.
        cast: of that change.
        bias: what code 0 becomes, a channel each.
        gain: the slope of codes, a channel each.
        sectors: hue by hue.
        skin: of skin tones.
        artefacts: what images have beyond their references, by the name of the artefact: a number, or one a
            channel; and `images_not_registered`.
        findings: faults.
        consequences: what follows from the change of colours, and is no fault beside it.
        rare: what fewer than one image in ten has.
        unexplained: what no change of colours explains.
        worst_delta_e: the three pairs that differ most.
        rejects: pairs that could not be compared, each with its reason.
        unmatched: what has no counterpart.
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
    """A training set, measured by itself.

    Args:
        set: its name.
        photos: how many photos were looked at.
        mean: their colours.
        artefacts: how much of each artefact they have, a channel each.
        rejects: photos that could not be read, each with its reason.
    """

    set: str
    photos: int
    mean: MeanColors
    artefacts: Mapping[str, tuple[float | None, ...]]
    rejects: tuple[Reject, ...]


def compared_set(one: SetMeasure, unmatched: Unmatched = Unmatched()) -> ComparedSet:
    """A set that was measured, under stable names."""
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
    """A training set that was measured, under stable names."""
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
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")
