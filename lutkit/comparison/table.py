"""A comparison as rows of tables."""

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.comparison.artefacts import ARTEFACTS
from lutkit.comparison.color_change import SectorChange
from lutkit.comparison.findings import LEAST_GAIN_WITH_HUE, is_described
from lutkit.comparison.run import SetMeasure
from lutkit.measure.color_summary import CHANNELS

_OF_CHANNELS = [kind for kind in ARTEFACTS if kind.per_channel]
_OF_IMAGES = [kind for kind in ARTEFACTS if not kind.per_channel]

HEADS = (
    *("set", "pairs", "delta E", "95%", "saturation", "slope", "chroma", "gain", "turn", "cast a", "cast b"),
    *("L", *(kind.column.head for kind in ARTEFACTS)),
)
SECTOR_HEADS = ("hue", "share", "chroma", "shift")
CHANNEL_HEADS = ("channel", "bias", "gain", *(kind.column.channel_head for kind in reversed(_OF_CHANNELS)))


def _listed(names: list[str]) -> str:
    return " and ".join([*([", ".join(names[:-1])] if names[:-1] else []), names[-1]])


NOTE = (
    f"{_listed([kind.column.note for kind in _OF_CHANNELS])} are medians over images,"
    f" {_listed([kind.column.note for kind in _OF_IMAGES])} means."
)


def set_row(one: SetMeasure) -> tuple[str, ...]:
    """Return the row of a set, under `HEADS`; `NOTE` explains the artefacts."""
    change, found = one.change, artefact_levels(one)
    gain, turn, cast = color_numbers(one)
    return (
        one.name,
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
        *(" ".join(_number(value, kind.column.format) for value in found[kind.name]) for kind in ARTEFACTS),
    )


def color_numbers(one: SetMeasure) -> tuple[float | None, float | None, tuple[float, float] | None]:
    """Return chroma gain, hue turn and cast of the set's explanation, as findings report them.

    All are None for dead outputs and if the explanation leaves most of the difference. Gain and turn are None
    for grey references, and the turn for nearly grey outputs.
    """
    simple = one.explanation
    if not is_described(one.findings):
        return None, None, None
    if not one.change.colored:
        return None, None, simple.cast
    return simple.gain, simple.turn if simple.gain >= LEAST_GAIN_WITH_HUE else None, simple.cast


def judged_sectors(one: SetMeasure) -> tuple[tuple[SectorChange, ...], SectorChange | None]:
    """Return the change of each hue and of skin tones; nothing if outputs show nothing of the references."""
    return (one.change.sectors, one.change.skin) if _is_judged(one) else ((), None)


def sector_rows(one: SetMeasure) -> list[tuple[str, ...]]:
    """Return rows by hue, then for skin tones: share of coloured pixels, chroma ratio, hue shift.

    There are none if `judged_sectors` returns none.
    """
    hues, skin = judged_sectors(one)
    return [
        (part.name, f"{part.share:.1%}", f"x{part.chroma_ratio:.2f}", _number(part.hue_shift, "+.1f"))
        for part in (*hues, *([skin] if skin else []))
    ]


def channel_rows(one: SetMeasure) -> list[tuple[str, ...]]:
    """Return rows by channel: what code 0 becomes, and the slope; noise; distance from the other channels.

    There are none if `judged_sectors` returns none.
    """
    if not _is_judged(one):
        return []
    found = artefact_levels(one)
    return [
        (
            name,
            f"{one.change.bias[c]:+.1f}",
            _ratio(one.change.gain[c]),
            *(_number(found[kind.name][c], kind.column.format) for kind in reversed(_OF_CHANNELS)),
        )
        for c, name in enumerate(CHANNELS)
    ]


def artefact_levels(one: SetMeasure) -> dict[str, tuple[float | None, ...]]:
    """Return a set's level of each artefact beyond its references, by the artefact's name.

    A level is three medians over images, of red, green and blue; or one mean if the artefact has no value for
    each channel. It is None if nothing of the set can be judged; a median is also None if fewer than half of
    the images show it.
    """
    pairs = one.pairs if _is_judged(one) else ()
    found: dict[str, tuple[float | None, ...]] = {}
    for kind in ARTEFACTS:
        amounts = [pair.found[kind].amounts() for pair in pairs]
        if kind.per_channel:
            columns = np.reshape(amounts, (-1, 3)).T
            found[kind.name] = tuple(_median_of_most(column) for column in columns)
        else:
            known = [values[0] for values in amounts if np.isfinite(values[0])]
            found[kind.name] = (float(np.mean(known)) if known else None,)
    return found


def _median_of_most(column: FloatArray) -> float | None:
    known = column[np.isfinite(column)]
    return float(np.median(known)) if len(known) and 2 * len(known) >= len(column) else None


def _is_judged(one: SetMeasure) -> bool:
    """Return whether outputs have more than one colour and show what their references show."""
    return not any(finding.is_alone for finding in one.findings)


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _number(value: float | None, shape: str) -> str:
    return "-" if value is None else f"{value:{shape}}"
