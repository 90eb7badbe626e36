"""`colorize_photos`: colorize photos with a trained model and write them, as `lutkit colorize` does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np

from lutkit.colorizing.color_measures import ColorFigures, color_figures, is_colored
from lutkit.colorizing.color_sheet import SheetRow, draw_color_sheet
from lutkit.colorizing.colorize import (
    COLORIZING_NEEDS,
    LOOKED_AT_PX,
    ColorModel,
    opened_colorizer,
    recolorings,
    require_temperature,
)
from lutkit.colorizing.judging import (
    ORIGINAL,
    Judge,
    Judgement,
    judge_square,
    judge_versions,
    judgement_of,
    require_judge,
)
from lutkit.colorizing.recoloring import Recoloring
from lutkit.dataset.outputs import require_picture
from lutkit.engine.engine import wanted_workers
from lutkit.engine.progress import OnProgress, Progress, unheard
from lutkit.errors import LutkitError
from lutkit.extras import require_installed
from lutkit.lut.model import Float32Array, Lut3D
from lutkit.lutfiles.apply_photos import (
    AppliedPhoto,
    ApplyResult,
    applied_photo,
    grade_and_report,
    photo_counts,
    require_in_range,
)
from lutkit.photos.decoding import Pixels, turn_upright
from lutkit.photos.grade_many import ApplySettings, PhotoTask, plan_apply
from lutkit.photos.grading import Grading, preview, require_floats, require_profile
from lutkit.photos.photo_files import StoredPhoto, orientation_of
from lutkit.photos.photo_list import shown_path
from lutkit.report.page import write_picture
from lutkit.training.python_object import imported

_MOST_ROWS = 40  # of a sheet
_BACK = {6: 8, 8: 6}  # the orientation that undoes another; the others undo themselves


@dataclass(frozen=True)
class ColorizedPhoto(AppliedPhoto):
    """The result for a photo.

    Args:
        photo: its path.
        output: the path of the colorized photo.
        status: `written`, `kept` (its output existed already) or `failed`.
        error: why it failed; else empty.
        notes: what else was done to it, and what of it is not kept.
        figures: measures of its colours, at 512 px; None if the photo was not written.
    """

    figures: ColorFigures | None


@dataclass(frozen=True)
class ColorizeResult(ApplyResult):
    """The results for all photos.

    Args:
        written: how many were written.
        kept: how many existed already.
        failed: how many failed.
        photos: each of them.
        temperature: the temperature of their colours.
        sheet: the sheet that was drawn; None if there is none.
        judgement: what the judge says; None without a judge, or if no photo with colours was written.
        plan: the plan of the run; not in the dictionary.
    """

    photos: tuple[ColorizedPhoto, ...]
    temperature: float
    sheet: Path | None
    judgement: Judgement | None


def colorize_photos(
    photos: Path | str | Sequence[Path | str],
    out: Path | str,
    *,
    model: ColorModel,
    temperature: float | None = None,
    sheet: Path | str | None = None,
    judge: str | Judge | None = None,
    profile: str = "convert",
    floats: str = "linear",
    quality: int | None = None,
    layer: str = "",
    overwrite: bool = False,
    workers: int | None = None,
    on_progress: OnProgress | None = None,
    on_error: Callable[[LutkitError], None] | None = None,
) -> ColorizeResult:
    """Colorize photos of any depth with a trained model and write them, as `lutkit colorize` does.

    Only lightness is used; colours that a photo has are ignored. Lightness, depth, alpha, EXIF, XMP and ICC
    profile are kept. A photo that fails does not stop the others.

    Args:
        photos: files, folders and patterns; a folder is searched recursively and mirrored below `out`.
        out: a folder; for one photo it may be a file, whose suffix then states the format.
        model: a folder that `lutkit train colorizer` wrote, a name on the Hugging Face hub, or what
            `load_colorizer` returned.
        temperature: 0..10; lower is more vivid. None is the temperature that was chosen in training.
        sheet: a PNG to draw: each photo in grey, at T = 1, at the temperature, at T -> 0, and itself if it
            has colours; at most 40 photos.
        judge: a classifier, or `module:name` of one: from images (B, 3, 224, 224), sRGB-encoded, 0..1, to
            probabilities (B, classes), as tensors of torch. It scores the photos that have colours, their
            outputs, those at T -> 0, and the photos in grey, one photo at a time. It is tried before any
            photo is written; if it fails later, the run stops.
        profile: what happens to a photo whose ICC profile is not sRGB: `convert` or `keep`.
        floats: what floats without a profile are: `linear` or `encoded`.
        quality: of JPEG and WebP, 1..100; None keeps a JPEG's own.
        layer: of EXRs, the layer to colorize.
        overwrite: whether existing outputs and sheets are replaced.
        workers: how many threads; None means one for each CPU.
        on_progress: called with how many photos are done.
        on_error: called with why a photo failed, as it happens.
    Raises:
        SourceError: if there are no photos, a name is impossible, or there is no such model.
        LutkitError: if an option is out of range, the sheet exists, or the judge cannot be imported or fails.

    >>> import lutkit, numpy
    >>> from PIL import Image
    >>> made = lutkit.synth("sample", "pairs", n=24, size=32, workers=1)
    >>> weighed = lutkit.ab_weights(lutkit.count_colors("pairs"), "weights.npz", grid="16")
    >>> trained = lutkit.train_colorizer(
    ...     "pairs", "model", weights="weights.npz", width=2, side=32, batch=4, steps=2, device="cpu"
    ... )
    >>> Image.fromarray(numpy.full((40, 50), 150, numpy.uint8)).save("photo.png")
    >>> lutkit.colorize_photos("photo.png", "coloured", model="model", temperature=0.38).written
    1
    """
    require_in_range(strength=1.0, quality=quality)
    require_temperature(temperature)
    threads = wanted_workers(workers)
    require_installed(COLORIZING_NEEDS, "train")
    sheet = None if sheet is None else Path(sheet)
    if sheet is not None:
        require_picture(sheet, overwrite=overwrite)
    judging = imported(judge, "name it `module:function`") if isinstance(judge, str) else judge
    base = Grading(Lut3D.identity(2), 1.0, require_profile(profile), require_floats(floats))
    named = [photos] if isinstance(photos, Path | str) else photos
    plan = plan_apply([Path(photo) for photo in named], Path(out))
    report = on_progress or unheard
    report(Progress("loading the model"))
    opened = opened_colorizer(model)
    chosen = opened.temperature if temperature is None else float(temperature)
    if judging is not None:
        report(Progress("trying the judge"))
        require_judge(judging)
    drawn_at, judged_at = (tuple(dict.fromkeys(each)) for each in ((1.0, chosen, 0.0), (chosen, 0.0)))
    report(Progress("photos", 0, len(plan.tasks)))
    shown = frozenset(plan.tasks[:_MOST_ROWS]) if sheet is not None else frozenset[PhotoTask]()
    figures: dict[PhotoTask, ColorFigures] = {}
    rows: dict[PhotoTask, SheetRow] = {}
    scores: dict[PhotoTask, tuple[float, ...]] = {}
    predicting = Lock()  # torch uses all cores by itself

    def grading_of(task: PhotoTask, photo: StoredPhoto) -> Grading:
        orientation = orientation_of(photo)
        seen = np.ascontiguousarray(turn_upright(preview(photo, base, LOOKED_AT_PX), orientation))
        has_colors = is_colored(seen)
        used_judge = judging if has_colors else None
        wanted = dict.fromkeys(
            (chosen, *(drawn_at if task in shown else ()), *(judged_at if used_judge is not None else ()))
        )
        with predicting:
            found = dict(zip(wanted, recolorings(seen, opened, tuple(wanted)), strict=True))
        colored = {each: one.map_rows(seen, top=0, height=len(seen)) for each, one in found.items()}
        figures[task] = color_figures(colored[chosen], seen)
        if task in shown or used_judge is not None:
            lightness = found[chosen].lightness
            colorless = Recoloring(lightness, np.zeros_like(found[chosen].ab))
            grey = colorless.map_rows(seen, top=0, height=len(seen))
            if used_judge is not None:
                versions = [judge_square(one) for one in (seen, *(colored[each] for each in judged_at), grey)]
                try:
                    with predicting:
                        scores[task] = judge_versions(used_judge, versions)
                except LutkitError as error:  # it ends the run: the judge is at fault, not the photo
                    where = shown_path(str(task.source))
                    raise LutkitError(error.what, where=where, remedy=error.remedy) from None
            if task in shown:
                pictures = [_codes(one) for one in (grey, *(colored[each] for each in drawn_at))]
                own = _codes(seen) if has_colors else None
                rows[task] = SheetRow(shown_path(task.source.name), (*pictures, own))
        return Grading(_turned_back(found[chosen], orientation), 1.0, base.profile, base.floats)

    settings = ApplySettings(grading_of, quality, overwrite, layer)
    results = grade_and_report(plan, settings, threads, report, on_error)
    drawn = [rows[task] for task in plan.tasks if task in rows]
    if sheet is not None and drawn:
        heads = ("grey", *map(_at, drawn_at), "the photo itself")
        used = heads if any(row.pictures[-1] is not None for row in drawn) else heads[:-1]
        cut = [SheetRow(row.name, row.pictures[: len(used)]) for row in drawn]
        title = f"Colorized by {shown_path(str(model)) if isinstance(model, Path | str) else 'a model'}"
        write_picture(draw_color_sheet(cut, used, title), sheet)
    elif sheet is not None:
        report(
            Progress("photos", len(results), len(results), ("No photo was colorized: there is no sheet.",))
        )
    written = {applied.task for applied in results if applied.status == "written"}
    judged = [scores[task] for task in plan.tasks if task in scores and task in written]
    judgement = None
    if judged:
        judgement = judgement_of((ORIGINAL, *map(_at, judged_at), "grey"), judged)
    elif judging is not None:
        note = "The judge saw no photo: it needs photos with colours that this run writes."
        report(Progress("judging", notes=(note,)))
    return ColorizeResult(
        **photo_counts(results),
        photos=tuple(
            ColorizedPhoto(
                **vars(applied_photo(applied)),
                figures=figures.get(applied.task) if applied.status == "written" else None,
            )
            for applied in results
        ),
        temperature=chosen,
        sheet=sheet if drawn else None,
        judgement=judgement,
        plan=plan,
    )


def _at(temperature: float) -> str:
    return f"T = {temperature:g}" if temperature else "T -> 0"


def _turned_back(found: Recoloring, orientation: int) -> Recoloring:
    """Return the colours of an upright photo as its file stores it."""
    back = _BACK.get(orientation, orientation)
    return Recoloring(turn_upright(found.lightness, back), turn_upright(found.ab, back))


def _codes(picture: Float32Array) -> Pixels:
    return np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8)
