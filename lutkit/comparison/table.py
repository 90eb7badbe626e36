"""A comparison as rows of tables and as JSON."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.comparison.colors import SectorChange
from lutkit.comparison.findings import LEAST_GAIN_WITH_HUE, Finding, is_described, levels, unplaced
from lutkit.comparison.run import SetMeasure, TrainMeasure

HEADS = (
    *("set", "pairs", "delta E", "95%", "saturation", "slope", "chroma", "gain", "turn", "cast a", "cast b"),
    *("L", "fringe r g b", "noise r g b", "speckle", "new clip"),
)
NOTE = "fringe (px) and noise (codes) are medians over images, speckle (in a million) and new clip means."
_NAMES = ("red", "green", "blue")


def set_row(name: str, one: SetMeasure) -> tuple[str, ...]:
    """A set in a row, under `HEADS`; `NOTE` says what the artefacts are."""
    change, found = one.change, artefact_levels(one)
    gain, turn, cast = color_numbers(one)
    return (
        name,
        f"{len(one.pairs):,}",
        f"{change.delta_e[0]:.2f}",
        f"{change.delta_e[1]:.1f}",
        _ratio(change.saturation_ratio),
        _ratio(change.saturation_slope),
        _ratio(change.chroma_ratio),
        _ratio(gain),
        _number(turn, "+.1f"),
        _number(cast and cast[0], "+.1f"),
        _number(cast and cast[1], "+.1f"),
        f"{change.mean_after[0] - change.mean_before[0]:+.1f}",
        " ".join(_number(value, ".2f") for value in found["fringing"]),
        " ".join(_number(value, ".1f") for value in found["noise"]),
        _number(found["speckle"], ",.0f"),
        _number(found["clipped"], ".2%"),
    )


def color_numbers(one: SetMeasure) -> tuple[float | None, float | None, tuple[float, float] | None]:
    """Chroma gain, turn of hues and cast: those of the set's explanation, as findings tell them.

    All None of dead outputs and where the explanation leaves most of the difference; gain and turn of grey
    references, and the turn of nearly grey outputs.
    """
    simple = one.explanation
    if not is_described(one.findings):
        return None, None, None
    if not one.change.colored:
        return None, None, simple.cast
    return simple.gain, simple.turn if simple.gain >= LEAST_GAIN_WITH_HUE else None, simple.cast


def sectors(one: SetMeasure) -> tuple[tuple[SectorChange, ...], SectorChange | None]:
    """What became of each hue, and of skin tones; nothing where outputs show nothing of the references."""
    return (one.change.sectors, one.change.skin) if _is_judged(one) else ((), None)


def sector_rows(one: SetMeasure) -> list[tuple[str, ...]]:
    """Hue by hue, then skin tones: share of coloured pixels, chroma ratio, hue shift; none as `sectors`."""
    hues, skin = sectors(one)
    return [
        (part.name, f"{part.share:.1%}", f"x{part.chroma_ratio:.2f}", _number(part.hue_shift, "+.1f"))
        for part in (*hues, *([skin] if skin else []))
    ]


def channel_rows(one: SetMeasure) -> list[tuple[str, ...]]:
    """Channel by channel: what code 0 becomes, and the slope; noise; distance from the other channels.

    None as `sectors`.
    """
    if not _is_judged(one):
        return []
    found = artefact_levels(one)
    return [
        (
            name,
            f"{one.change.bias[c]:+.1f}",
            _ratio(one.change.gain[c]),
            _number(found["noise"][c], ".1f"),
            _number(found["fringing"][c], ".2f"),
        )
        for c, name in enumerate(_NAMES)
    ]


def artefact_levels(one: SetMeasure) -> dict[str, Any]:
    """What a set has of each artefact beyond its references: medians over images, of shares the mean.

    None where nothing of the set can be judged; medians also where fewer than half of the images show it.
    """
    judged = _is_judged(one)
    pairs = one.pairs if judged else ()
    fringing = _medians([pair.found.fringing() for pair in pairs])
    noise = _medians([pair.found.noise for pair in pairs])
    return {
        "fringing": fringing,
        "noise": noise,
        "speckle": float(np.mean([pair.found.speckle for pair in pairs])) if judged else None,
        "clipped": float(np.mean([pair.found.clipped.max() for pair in pairs])) if judged else None,
    }


def _is_judged(one: SetMeasure) -> bool:
    """Whether outputs are more than one colour, and show what their references do."""
    return not any(finding.is_alone for finding in one.findings)


def set_json(name: str, one: SetMeasure) -> dict[str, Any]:
    """A set under stable names; null where nothing can be measured: greys, flat or unlike outputs."""
    change, found = one.change, artefact_levels(one)
    (gain, turn, cast), (hues, skin) = color_numbers(one), sectors(one)
    bias, gains = (change.bias, change.gain) if _is_judged(one) else ((None,) * 3, (None,) * 3)
    worst = sorted(one.pairs, key=lambda pair: (-pair.delta_e, pair.key))[:3]
    keys = ("lightness", "a", "b", "chroma", "saturation")
    return {
        "set": name,
        "pairs": len(one.pairs),
        "delta_e_2000": {"mean": _short(change.delta_e[0]), "p95": _short(change.delta_e[1])},
        "mean_before": dict(zip(keys, map(_short, change.mean_before), strict=True)),
        "mean_after": dict(zip(keys, map(_short, change.mean_after), strict=True)),
        "saturation_ratio": _short(change.saturation_ratio),
        "saturation_slope": _short(change.saturation_slope),
        "chroma_ratio": _short(change.chroma_ratio),
        "chroma_gain": _short(gain),
        "hue_turn": _short(turn),
        "cast": {"a": _short(cast and cast[0]), "b": _short(cast and cast[1])},
        "bias": [_short(value) for value in bias],
        "gain": [_short(value) for value in gains],
        "sectors": [_sector(part) for part in hues],
        "skin": _sector(skin) if skin else None,
        "artefacts": {
            "median_fringing_px": [_short(value) for value in found["fringing"]],
            "median_noise": [_short(value) for value in found["noise"]],
            "mean_speckle_per_million": _short(found["speckle"]),
            "mean_newly_clipped": _short(found["clipped"]),
            "images_not_registered": list(unplaced(one.pairs)),
        },
        "findings": [_finding(finding) for finding in one.findings if finding.is_fault],
        "consequences": [_finding(finding) for finding in one.findings if finding.explained],
        "rare": [_finding(finding) for finding in one.findings if finding.rare],
        "unexplained": next((_unexplained(found) for found in one.findings if found.of), None),
        "worst_delta_e": [{"key": pair.key, "mean": _short(pair.delta_e)} for pair in worst],
        "rejects": [{"path": reject.path, "reason": reject.reason} for reject in one.rejects],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    """The value is the set's where `images` is 0, else the median of so many images."""
    return {
        "kind": finding.kind,
        "value": _short(finding.value),
        "channels": list(finding.channels),
        "images": finding.images,
        "worst": list(finding.worst),
    }


def _unexplained(finding: Finding) -> dict[str, Any]:
    """What no change of colours explains, as mean differences (CIE 1976)."""
    return {"left": _short(finding.value), "of": _short(finding.of), "worst": list(finding.worst)}


def train_json(name: str, train: TrainMeasure) -> dict[str, Any]:
    """A training set under stable names."""
    keys = ("lightness", "a", "b", "chroma", "saturation")
    own = {kind: [_short(float(v)) for v in values] for kind, values in levels(train.pictures).items()}
    means = dict(zip(keys, map(_short, train.means), strict=True))
    rejects = [{"path": reject.path, "reason": reject.reason} for reject in train.rejects]
    return {"set": name, "photos": train.photos, "mean": means, "artefacts": own, "rejects": rejects}


def _sector(part: SectorChange) -> dict[str, Any]:
    return {
        "name": part.name,
        "share": _short(part.share),
        "chroma_ratio": _short(part.chroma_ratio),
        "hue_shift": _short(part.hue_shift),
    }


def _medians(rows: Sequence[FloatArray]) -> list[float | None]:
    columns = np.reshape(rows, (-1, 3)).T
    known = [column[np.isfinite(column)] for column in columns]
    return [float(np.median(some)) if len(some) and 2 * len(some) >= len(rows) else None for some in known]


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _number(value: float | None, shape: str) -> str:
    return "-" if value is None else f"{value:{shape}}"


def _short(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")
