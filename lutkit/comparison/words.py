"""A comparison in sentences: how saturation changed, what is wrong, and where artefacts come from.

Owns the wording of findings; artefacts have their own sentences in their own files. Limits and measures are
in `lutkit.comparison.findings`.
"""

from collections.abc import Sequence
from pathlib import PurePath

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.comparison.artefact import channels_text
from lutkit.comparison.artefacts import ARTEFACTS
from lutkit.comparison.findings import Finding, judged_pairs, own_levels, unplaced
from lutkit.comparison.matching import MatchedSet
from lutkit.comparison.noise import Noise
from lutkit.comparison.run import SetMeasure, TrainMeasure
from lutkit.dataset.records import Reject
from lutkit.measure.color_summary import CHANNELS

_OF_COLORS = ("channels", "saturation", "hue", "cast", "lightness", "contrast")
_TOLD_FIRST = ("strangers", "unexplained")
_SEEN = 0.1  # the change of a saturation ratio that is worth reporting
_CHROMA_SEEN = 0.05  # the share of a mean chroma that is worth reporting
_SHIFT_AMOUNT = "{:.2f} px"
_ARTEFACTS = {kind.name: kind for kind in ARTEFACTS}
_OF_CHROMA = [kind.name for kind in ARTEFACTS if kind.shifts_chroma]


def answers(sets: Sequence[SetMeasure], train: TrainMeasure | None, *, last: bool = False) -> list[str]:
    """Return the closing lines of each set: saturation, then each fault and its origin, or why there is none.

    Args:
        sets: the sets, in the order of the series.
        train: the training set, or None.
        last: whether to describe only the last set.
    """
    lines: list[str] = []
    for one in sets[-1:] if last else sets:
        if len(sets) > 1:
            lines.append(f"{one.name}:")
        alone = [_alone_text(finding, one) for finding in one.findings if finding.is_alone]
        lines += alone or _set_lines(one, sets, train)
    return lines


def _alone_text(finding: Finding, one: SetMeasure) -> str:
    if finding.kind == "flat":
        return "All outputs have nearly one and the same colour: nothing else can be judged."
    return (
        f"Outputs do not look like their references: {finding.images} of {len(one.pairs)}"
        f" {'shows' if finding.images == 1 else 'show'} something else"
        f" (least alike: {', '.join(finding.worst)}). Nothing else can be judged. Check whether names"
        " match, and whether outputs are flipped, rotated or cropped."
    )


def _set_lines(one: SetMeasure, sets: Sequence[SetMeasure], train: TrainMeasure | None) -> list[str]:
    lines = [
        f"Not judged: in {finding.images} of {len(one.pairs)} images the output shows something else than its"
        f" reference ({', '.join(finding.worst)}{', ...' if finding.images > len(finding.worst) else ''}):"
        " it is flipped, rotated, or of another photo."
        for finding in one.findings
        if finding.kind == "strangers"
    ]
    lines += [unexplained_text(finding) for finding in one.findings if finding.kind == "unexplained"]
    told = [finding for finding in one.findings if not finding.rare and finding.kind not in _TOLD_FIRST]
    lines += [finding_text(finding, one) for finding in told if finding.kind == "channels"]
    lines.append(saturation_text(one, train))
    lines += [
        finding_text(finding, one) for finding in told if finding.kind not in ("channels", "saturation")
    ]
    faults = [finding for finding in told if finding.kind in _ARTEFACTS and finding.is_fault]
    lines += [origin_text(finding, sets, train) for finding in faults]
    lines += [_rare_text(finding, one) for finding in one.findings if finding.rare]
    if not faults:
        follows = " and ".join(finding.kind for finding in one.findings if finding.explained)
        rare = any(finding.rare for finding in one.findings)
        beyond = " that at least one image in ten has" if rare else " beyond the references'"
        lines.append(f"RGB artefacts: none{f' except this {follows}' if follows else beyond}.")
    return [*lines, *unplaced_lines(one), *hidden_noise_lines(one)]


def _rare_text(finding: Finding, one: SetMeasure) -> str:
    found = f"{finding.kind} {amount(finding, finding.value)}"
    where = f" in {channels_text(finding.channels)}" if finding.channels else ""
    some = f"In {finding.images} of {len(one.pairs)} images, fewer than one in ten"
    return f"{some}: {found}{where} ({', '.join(finding.worst)})."


def unexplained_text(finding: Finding) -> str:
    """Return the line that says that no single change of colours explains the set."""
    return (
        "Colours: no single change of colours explains this set. The mean difference is"
        f" {finding.of:.1f}, and the best single change leaves {finding.value:.1f}. Images differ from each"
        f" other, or outputs belong to other references; worst: {', '.join(finding.worst)}."
    )


def saturation_text(one: SetMeasure, train: TrainMeasure | None) -> str:
    """Return how saturation changed: by how much, evenly or not, and towards the training set or not."""
    change = one.change
    if not change.colored:
        chroma = f"mean chroma {change.mean_after[3]:.1f}"
        return f"Saturation: no ratio, because the references are grey; outputs have {chroma}."
    found = next((finding.value for finding in one.findings if finding.kind == "saturation"), None)
    if found is None:
        verdict = "no single factor" if is_unexplained(one) else _without_factor(one)
    else:
        verdict = f"{'less' if found < 1 else 'more'} colourful, chroma x{found:.2f} of the references'"
    parts = [_times("mean chroma", change.chroma_ratio), _times("HSV saturation", change.saturation_ratio)]
    slope = "" if change.saturation_slope is None else f" (slope {change.saturation_slope:.2f})"
    text = f"Saturation: {verdict}; over all pixels {', '.join(part for part in parts if part)}{slope}."
    if train is None:
        return text
    before, after, theirs = change.mean_before[3], change.mean_after[3], train.means[3]
    return (
        f"{text} Mean chroma: references {before:.1f}, outputs {after:.1f}, training set {theirs:.1f};"
        f" outputs {_way(before, after, theirs)}."
    )


def _way(before: float, after: float, theirs: float) -> str:
    """Return how outputs have moved relative to the training set."""
    if abs(after - before) < _CHROMA_SEEN * max(before, 1.0):
        return "have not moved"
    if abs(after - theirs) < _CHROMA_SEEN * max(theirs, 1.0):
        return "have reached the training set"
    nearer = abs(after - theirs) < abs(before - theirs)
    if (before - theirs) * (after - theirs) < 0 and abs(before - theirs) >= _CHROMA_SEEN * max(theirs, 1.0):
        return f"have moved past the training set, {'closer to' if nearer else 'farther from'} it than before"
    return f"have moved {'towards' if nearer else 'away from'} the training set"


def _times(name: str, ratio: float | None) -> str:
    return "" if ratio is None else f"{name} x{ratio:.2f}"


def _without_factor(one: SetMeasure) -> str:
    """Return what changes saturation if no factor does."""
    chroma, hsv = one.change.chroma_ratio, one.change.saturation_ratio
    others = [
        *_colors_of(one),
        *(f.kind for f in one.findings if f.is_fault and f.kind in _OF_CHROMA),
    ]
    causes = " and ".join(others)
    if chroma is not None and abs(chroma - 1) > _SEEN:
        moves = "falls" if chroma < 1 else "rises"
        if not causes:
            return f"chroma {moves}, x{chroma:.2f}, but by no single factor for all colours"
        return f"chroma {moves} only because of {causes}"
    if hsv is not None and abs(hsv - 1) > _SEEN and causes:
        return f"unchanged, except for the effect of {causes} on HSV saturation"
    return "unchanged"


def is_unexplained(one: SetMeasure) -> bool:
    """Return whether no single change of colours explains the set."""
    return any(finding.kind == "unexplained" for finding in one.findings)


def _colors_of(one: SetMeasure) -> list[str]:
    return [finding.kind for finding in one.findings if finding.kind in _OF_COLORS]


def unplaced_lines(one: SetMeasure) -> list[str]:
    """Return a line for channels that could not be registered, whose fringing is therefore unknown."""
    counts: dict[int, list[str]] = {}
    pairs = judged_pairs(one.pairs)
    for name, count in zip(CHANNELS, unplaced(pairs), strict=True):
        if count:
            counts.setdefault(count, []).append(name)
    return [
        f"Fringing of {' and '.join(names)} is unknown in {count} of {len(pairs)} images: they are flat, or"
        " too unlike the reference."
        for count, names in counts.items()
    ]


def hidden_noise_lines(one: SetMeasure) -> list[str]:
    """Return a line for channels whose noise is unknown in most images, and missing in the table."""
    pairs = judged_pairs(one.pairs)
    unknown = np.isnan([pair.found[Noise].codes for pair in pairs]).sum(axis=0).tolist()
    counts: dict[int, list[str]] = {}
    for name, count in zip(CHANNELS, unknown, strict=True):
        if 2 * count > len(pairs):
            counts.setdefault(count, []).append(name)
    return [
        f"Noise of {' and '.join(names)} is unknown in {count} of {len(pairs)} images: it is no more than"
        " grain and compression may make, or there is no flat part to measure it in."
        for count, names in counts.items()
    ]


def finding_text(finding: Finding, one: SetMeasure) -> str:
    """Return one fault as a line: what, how much, in how many images, and which are worst."""
    value = finding.value
    if finding.kind == "channels":
        were = zip(CHANNELS, finding.channels, strict=True)
        swapped = ", ".join(f"the output's {name} is the reference's {of}" for name, of in were if name != of)
        return f"Channels are swapped: {swapped}."
    if finding.kind == "hue":
        return f"Hue: turned by {value:+.1f} degrees (positive: from red towards yellow)."
    if finding.kind == "cast":
        a, b = one.explanation.cast
        return f"Cast: neutral colours move by {value:.1f} (a {a:+.1f}, b {b:+.1f})."
    if finding.kind == "lightness":
        return f"Lightness: {abs(value):.1f} {'lighter' if value > 0 else 'darker'} on average."
    if finding.kind == "contrast":
        if value < 0:
            return f"Contrast: inverted, x{value:.2f} of the references'."
        return f"Contrast: {'more' if value > 1 else 'less'}, x{value:.2f} of the references'."
    if finding.kind == "shift":
        text = f"Shift of the whole image: {_SHIFT_AMOUNT.format(value)}"
    else:
        kind = _ARTEFACTS[finding.kind]
        text = kind.sentence(value, finding.channels, [pair.found[kind] for pair in one.pairs])
    images = f"the median of the {finding.images} of {len(one.pairs)} images that have it"
    worst = ", ".join(finding.worst)
    if finding.explained:
        cause = " and ".join(_colors_of(one)) or "change of colours"
        return f"  {text}, {images}: caused by the {cause}, so it is no separate fault."
    seen = f"in 1 of {len(one.pairs)} images: {worst}" if finding.images == 1 else f"{images}; worst: {worst}"
    return f"{text}, {seen}."


def origin_text(finding: Finding, sets: Sequence[SetMeasure], train: TrainMeasure | None) -> str:
    """Return where an artefact comes from, by who else has it: references, training set, other sets."""
    before = _level(finding, own_levels([pair.before for pair in sets[0].pairs])[finding.kind])
    parts = [f"references have {amount(finding, before)} on their own"]
    if train is None:
        verdict = "not from the references; --train SOURCE shows whether the training set has it"
    else:
        theirs = _level(finding, own_levels(train.images)[finding.kind])
        parts.append(f"training set has {amount(finding, theirs)}")
        has = theirs > before + _ARTEFACTS[finding.kind].margin
        verdict = (
            "the training set has it too: probably learned from there"
            if has
            else "not in the training set: the model or its pipeline creates it"
        )
    if len(sets) > 1:
        having = [
            one.name
            for one in sets
            if any(other.kind == finding.kind and other.is_fault for other in one.findings)
        ]
        everywhere = len(having) == len(sets)
        verdict += (
            "; in all sets" if everywhere else f"; in {len(having)} of {len(sets)} sets, first in {having[0]}"
        )
    return f"  Origin of {finding.kind}: {verdict} ({', '.join(parts)})."


def _level(finding: Finding, of_channels: FloatArray) -> float:
    """Return the level of the affected channels; for green, which others are measured from, that of all."""
    numbers = [CHANNELS.index(name) for name in finding.channels]
    if not numbers or (_ARTEFACTS[finding.kind].relative_to_green and numbers == [1]):
        numbers = [0, 1, 2]
    return float(np.nan_to_num(of_channels[numbers]).max())


def amount(finding: Finding, level: float) -> str:
    """Return a level of an artefact with its unit."""
    form = _SHIFT_AMOUNT if finding.kind == "shift" else _ARTEFACTS[finding.kind].amount
    return form.format(level)


def short_names(sets: Sequence[str]) -> list[str]:
    """Return the shortest parts of paths that tell them apart: `epoch-1` for `runs/epoch-1/out`.

    Args:
        sets: paths or patterns, as the user named them.
    Returns:
        A name for each set, all different; if a set is named twice, the second name ends with a number.
    """
    paths = [PurePath(name).parts or (name,) for name in sets]
    different = list(dict.fromkeys(paths))
    names = {parts: "/".join(short).replace("//", "/") for parts, short in _shortest(different).items()}
    found: list[str] = []
    for parts in paths:
        name, number = names[parts], 2
        while name in found:
            name, number = f"{names[parts]} ({number})", number + 1
        found.append(name)
    return found


def _shortest(paths: list[tuple[str, ...]]) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Remove the folders that all paths end with, except the first part; then keep as much as is needed."""
    heads = paths
    while len(paths) > 1 and len({path[-1] for path in heads}) == 1 and min(map(len, heads)) > 1:
        heads = [path[:-1] for path in heads]
    length = 1
    while len({path[-length:] for path in heads}) < len(heads):
        length += 1
    return {path: head[-length:] for path, head in zip(paths, heads, strict=True)}


def not_compared_lines(name: str, rejects: Sequence[Reject]) -> list[str]:
    """Return a line for each pair or photo that could not be compared, for the first ten by name."""
    lines = [f"{name}: not compared: {reject.path}: {reject.reason}" for reject in rejects[:10]]
    if len(rejects) > 10:
        lines.append(f"{name}: not compared: {len(rejects) - 10:,} more")
    if any(reject.reason.startswith("another size") for reject in rejects):
        lines.append(f"{name}: --size PX brings pairs of different sizes to one size")
    return lines


def unmatched_lines(name: str, matched: MatchedSet) -> list[str]:
    """Return a line for references without an output, and one for outputs without a reference, with names."""
    lines: list[str] = []
    for keys, what in ((matched.alone_before, "references without an output"),
                       (matched.alone_after, "outputs without a reference")):  # fmt: skip
        if keys:
            what = what if len(keys) > 1 else what.replace("s ", " ")
            more = ", ..." if len(keys) > 3 else ""
            lines.append(f"{name}: {len(keys):,} {what}: {', '.join(keys[:3])}{more}")
    return lines
