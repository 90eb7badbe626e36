"""`compare`: compare outputs with their references, like `lutkit compare` without its printing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lutkit.comparison.matching import MatchedSet, list_sets, list_train
from lutkit.comparison.result import (
    ComparedSet,
    ComparedTrain,
    Unmatched,
    compared_set,
    compared_train,
)
from lutkit.comparison.run import TRAIN_PHOTOS, Comparison, compare_sets
from lutkit.comparison.words import answers, short_names
from lutkit.dataset.outputs import require_picture
from lutkit.dataset.sample_filter import SampleFilter
from lutkit.engine.engine import local_engine
from lutkit.engine.progress import OnProgress, Progress, unheard
from lutkit.errors import LutkitError
from lutkit.results import ASIDE, CommandResult


@dataclass(frozen=True)
class CompareResult(CommandResult):
    """How outputs differ from their references.

    Args:
        sets: the sets of outputs, in the order of their series.
        train: the training set; None if none was named.
        answers: the conclusions, one sentence each.
        measured: the complete measures; not in the dictionary.
        matched: which output belongs to which reference; not in the dictionary.
        title: the references in words; not in the dictionary.
    """

    sets: tuple[ComparedSet, ...]
    train: ComparedTrain | None
    answers: tuple[str, ...]
    measured: Comparison = field(repr=False, metadata=ASIDE)
    matched: tuple[MatchedSet, ...] = field(repr=False, metadata=ASIDE)
    title: str = field(repr=False, metadata=ASIDE)


def compare(
    reference: Path | str,
    sets: Path | str | Sequence[Path | str],
    *,
    train: Path | str = "",
    size: int | None = None,
    field: str = "",
    set_field: str = "",
    train_field: str = "",
    split: str = "",
    kind: str = "",
    label: str = "",
    plot: Path | str | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    on_progress: OnProgress | None = None,
) -> CompareResult:
    """Measure how outputs differ from their references, as `lutkit compare` does.

    A photo and its output have the same name, without folder and suffix; in tars, the same key.

    Args:
        reference: the references: a folder, a photo, a pattern, a .txt list, tars, or the targets of a
            dataset.
        sets: one or several sets of outputs, each given like `reference`; several sets form a series.
        train: the training set, as a third party; at most 1,000 of its photos are measured.
        size: compare squares of this side, cut from the centre and resized; None compares whole photos.
        field: the member to use in tars of `reference`, such as `input`.
        set_field: the member to use in tars of each set.
        train_field: the member to use in tars of `train`.
        split: for datasets, the split of the samples; empty for all.
        kind: for datasets, `distort`, `enhance` or `distort+enhance`; empty for all.
        label: for datasets, `recoverable` or `lossy`; empty for both.
        plot: also draw a picture and write it to this PNG file.
        workers: the number of processes; None means one for each CPU.
        overwrite: whether to replace an existing picture.
        on_progress: called with the number of finished pairs.
    Raises:
        SourceError: if photos are missing, do not match, or none of them can be used.
        DatasetError: if there is no such split, kind or label.
        LutkitError: if the picture exists already or is not a PNG.

    >>> import lutkit
    >>> made = lutkit.synth("sample", "pairs", n=4, size=32, workers=1)
    >>> found = lutkit.compare("pairs", "pairs", set_field="input", workers=1)
    >>> found.sets[0].pairs, found.sets[0].delta_e_2000.mean > 3
    (4, True)
    """
    picture = None if plot is None else Path(plot)
    if picture is not None:
        require_picture(picture, overwrite=overwrite)
    engine = local_engine(workers)
    report = on_progress or unheard
    samples = SampleFilter(split, kind, label)
    title = f"{reference}, {samples}" if samples else str(reference)
    names = [str(name) for name in ([sets] if isinstance(sets, Path | str) else sets)]
    if not names:
        raise LutkitError("no outputs to compare", remedy="name a set, such as a folder")

    def warn(text: str) -> None:
        report(Progress("pairs", warnings=(text,)))

    # All names come first: a mistake in the last one is reported before hours of work.
    photos = list_train(str(train), train_field, warn)
    matched = list_sets(
        str(reference), names, field=field, set_field=set_field, size_px=size, samples=samples, warn=warn
    )
    total = sum(len(one.pairs) for one in matched) + (min(TRAIN_PHOTOS, len(photos.photos)) if photos else 0)
    done = 0

    def on_pairs(count: int) -> None:
        nonlocal done
        done += count
        report(Progress("pairs", done, total))

    on_pairs(0)
    named = dict(zip(short_names(names), matched, strict=True))
    found = compare_sets(named, photos, train_name=str(train), size_px=size, engine=engine, on_pairs=on_pairs)
    if picture is not None:
        from lutkit.comparison.picture import draw_comparison
        from lutkit.report.page import write_picture

        write_picture(draw_comparison(found.sets, found.train, title), picture)
    return CompareResult(
        sets=tuple(
            compared_set(one, Unmatched(names.alone_before, names.alone_after))
            for one, names in zip(found.sets, matched, strict=True)
        ),
        train=compared_train(found.train) if found.train else None,
        answers=tuple(answers(found.sets, found.train)),
        measured=found,
        matched=tuple(matched),
        title=title,
    )
