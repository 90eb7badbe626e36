"""`apply_photos`: apply LUTs to photos and write them, as `lutkit apply` does."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from lutkit.engine.engine import wanted_workers
from lutkit.engine.progress import OnProgress, Progress, unheard
from lutkit.errors import LutkitError
from lutkit.lut.model import LutChain
from lutkit.lutfiles.given import LutLike, given_lut
from lutkit.photos.grade_many import Applied, ApplyPlan, ApplySettings, Status, grade_photos, plan_apply
from lutkit.photos.grading import Grading, require_floats, require_profile
from lutkit.photos.photo_list import shown_path
from lutkit.results import ASIDE, CommandResult


@dataclass(frozen=True)
class AppliedPhoto:
    """The result for a photo.

    Args:
        photo: its path.
        output: the path of the graded photo; empty if the photo failed.
        status: `written`, `kept` (its output was there already) or `failed`.
        error: why it failed; else empty.
        notes: what was done to it beside the LUT, and what of it is not kept.
    """

    photo: str
    output: str
    status: Status
    error: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ApplyResult(CommandResult):
    """The results for all photos.

    Args:
        written: the number of photos that were written.
        kept: the number of photos whose outputs existed already.
        failed: the number of photos that failed.
        photos: the result of each photo.
        plan: the plan of the run; not in the dictionary.
    """

    written: int
    kept: int
    failed: int
    photos: tuple[AppliedPhoto, ...]
    plan: ApplyPlan = field(repr=False, metadata=ASIDE)


def apply_photos(
    photos: Path | str | Sequence[Path | str],
    out: Path | str,
    *,
    lut: LutLike | Sequence[LutLike],
    strength: float = 1.0,
    profile: str = "convert",
    floats: str = "linear",
    quality: int | None = None,
    layer: str = "",
    overwrite: bool = False,
    workers: int | None = None,
    on_progress: OnProgress | None = None,
    on_error: Callable[[LutkitError], None] | None = None,
) -> ApplyResult:
    """Apply LUTs to photos of any depth and write them, as `lutkit apply` does.

    Depth, alpha, EXIF, XMP and ICC profile are kept. A photo that fails does not stop the others.

    Args:
        photos: files, folders and patterns; a folder is searched recursively and mirrored below `out`.
        out: a folder; for one photo it may be a file, whose suffix then states the format.
        lut: one or several, each a LUT or the path of a LUT file, applied in this order, in one pass.
        strength: 0 changes nothing, 1 is the full LUT.
        profile: what happens to a photo whose ICC profile is not sRGB: `convert` or `keep`.
        floats: what floats without a profile are: `linear` or `encoded`.
        quality: the quality of JPEG and WebP, 1..100; None keeps a JPEG's own, and means 95 otherwise.
        layer: the layer of EXRs to grade; empty for the plain channels.
        overwrite: whether existing outputs are replaced.
        workers: the number of threads; None means one for each CPU.
        on_progress: called with the number of finished photos.
        on_error: called with the error of a photo that failed, at once.
    Raises:
        SourceError: if there are no photos, a name is impossible, or a LUT file cannot be read.
        LutFormatError: if a file holds no LUT.
        LutkitError: if an option is out of range.

    >>> import lutkit, numpy
    >>> from PIL import Image
    >>> Image.fromarray(numpy.full((4, 5, 3), 128, numpy.uint8)).save("photo.png")
    >>> lutkit.apply_photos("photo.png", "graded", lut=lutkit.Lut1D([[0, 0, 0], [1, 1, 0.5]])).written
    1
    """
    require_in_range(strength=strength, quality=quality)
    threads = wanted_workers(workers)
    given = [given_lut(one) for one in (lut if isinstance(lut, list | tuple) else [cast("LutLike", lut)])]
    assumed = tuple(text for one in given for text in one.assumed)
    grading = Grading(
        LutChain([one.lut for one in given]), strength, require_profile(profile), require_floats(floats)
    )
    named = [photos] if isinstance(photos, Path | str) else photos
    plan = plan_apply([Path(photo) for photo in named], Path(out))
    report = on_progress or unheard
    report(Progress("photos", 0, len(plan.tasks), warnings=assumed))
    settings = ApplySettings(grading, quality, overwrite, layer)
    results = grade_and_report(plan, settings, threads, report, on_error)
    return ApplyResult(**photo_counts(results), photos=tuple(map(applied_photo, results)), plan=plan)


def grade_and_report(
    plan: ApplyPlan,
    settings: ApplySettings,
    threads: int,
    report: OnProgress,
    on_error: Callable[[LutkitError], None] | None,
    on_photo: Callable[[Applied], None] | None = None,
) -> list[Applied]:
    """Grade every photo of a plan, and report each one as it is done.

    Args:
        plan: the photos.
        settings: how they are graded and written.
        threads: the number of threads.
        report: called with the number of finished photos.
        on_error: called with the error of a photo that failed.
        on_photo: called with the result of each photo, on this thread, before it is reported.
    Returns:
        The results, in the order of the plan.
    """
    done = 0

    def on_done(applied: Applied) -> None:
        nonlocal done
        if on_photo is not None:
            on_photo(applied)
        done += 1
        report(Progress("photos", done, len(plan.tasks)))
        if applied.error is not None and on_error is not None:
            on_error(applied.error)

    return grade_photos(plan, settings, threads, on_done)


def photo_counts(results: Sequence[Applied]) -> dict[Status, int]:
    """Return the number of photos that were written, kept and failed."""
    counts = Counter(applied.status for applied in results)
    return {"written": counts["written"], "kept": counts["kept"], "failed": counts["failed"]}


def applied_photo(applied: Applied) -> AppliedPhoto:
    """Return the result of a photo for callers."""
    return AppliedPhoto(
        photo=shown_path(str(applied.task.source)),
        output="" if applied.status == "failed" else shown_path(str(applied.task.target)),
        status=applied.status,
        error="" if applied.error is None else applied.error.what,
        notes=applied.notes,
    )


def require_in_range(*, strength: float, quality: int | None) -> None:
    """Refuse a strength beyond 0..1, or a quality beyond 1..100.

    Raises:
        LutkitError: if a value is out of range.
    """
    given = (("--strength", strength, 0, 1), ("--quality", 95 if quality is None else quality, 1, 100))
    for option, value, low, high in given:
        if not isinstance(value, int | float) or not low <= value <= high:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise LutkitError(f"{option} is {value!r}", remedy=f"choose from {low} to {high}")
