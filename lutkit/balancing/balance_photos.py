"""`balance_photos`: balance photos with a trained model and write them, as `lutkit balance` does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from lutkit.balancing.balance import (
    LUT_SIZE,
    NEEDED,
    PREVIEW_PX,
    Model,
    find_balance,
    opened_model,
    require_balance_options,
)
from lutkit.engine.engine import wanted_workers
from lutkit.engine.progress import OnProgress, Progress, unheard
from lutkit.errors import LutkitError
from lutkit.extras import require_installed
from lutkit.lut.model import Lut3D
from lutkit.lutfiles.apply_photos import (
    AppliedPhoto,
    ApplyResult,
    applied_photo,
    grade_and_report,
    photo_counts,
    require_in_range,
)
from lutkit.lutfiles.formats import require_held, write_lut
from lutkit.lutfiles.given import output_file
from lutkit.photos.grade_many import Applied, ApplyPlan, ApplySettings, PhotoTask, plan_apply
from lutkit.photos.grading import Grading, preview, require_floats, require_profile
from lutkit.photos.photo_files import StoredPhoto
from lutkit.photos.photo_list import shown_path
from lutkit.results import six_digits


@dataclass(frozen=True)
class BalancedPhoto(AppliedPhoto):
    """The result for a photo.

    Args:
        photo: its path.
        output: the path of the balanced photo; empty if the photo failed.
        status: `written`, `kept` (its output existed already) or `failed`.
        error: why it failed; else empty.
        notes: what else was done to it, and what of it is not kept.
        moves: for each pass, the mean delta E 2000 by which it changes the photo at full strength; empty if
            the photo was not written or has no colour.
        unevenness: how badly one LUT does what the model wants, in mean delta E 2000; see `Balance`.
        lut: the file of its LUT; empty without `export`.
    """

    moves: tuple[float, ...]
    unevenness: float
    lut: str


@dataclass(frozen=True)
class BalanceResult(ApplyResult):
    """The results for all photos.

    Args:
        written: how many were written.
        kept: how many existed already.
        failed: how many failed.
        photos: each of them.
        plan: the plan of the run; not in the dictionary.
    """

    photos: tuple[BalancedPhoto, ...]


def balance_photos(
    photos: Path | str | Sequence[Path | str],
    out: Path | str,
    *,
    model: Model,
    vae: Path | str = "",
    fit: str = "lut",
    passes: int = 1,
    strength: float = 1.0,
    local: bool = False,
    export: Path | str | None = None,
    profile: str = "convert",
    floats: str = "linear",
    quality: int | None = None,
    layer: str = "",
    overwrite: bool = False,
    workers: int | None = None,
    on_progress: OnProgress | None = None,
    on_error: Callable[[LutkitError], None] | None = None,
) -> BalanceResult:
    """Balance photos of any depth with a trained model and write them, as `lutkit balance` does.

    Depth, alpha, EXIF, XMP and ICC profile are kept. A photo that fails does not stop the others.

    Args:
        photos: files, folders and patterns; a folder is searched recursively and mirrored below `out`.
        out: a folder; for one photo it may be a file, whose suffix then states the format.
        model: a folder that `lutkit train` wrote, a name on the Hugging Face hub, an AdaptiveLut, or what
            `load_balancer` returned.
        vae: of a latent balancer, its VAE: a folder, a .safetensors file or a hub name; empty for the hub
            name in the model's config.json.
        fit: of a latent balancer or a direct network, how the colour map is learned from its result: `lut`,
            `polynomial` or `mlp`.
        passes: how often the model looks at the result and corrects it again, 1..20.
        strength: 0 changes nothing, 1 is the full correction.
        local: correct parts of a photo by themselves, for mixed light.
        export: a LUT file to write, which does to the photo in any editor what was done here. For several
            photos, each has its own file: `look.cube` becomes `look-NAME.cube`. Not with `local`.
        profile: what happens to a photo whose ICC profile is not sRGB: `convert` or `keep`.
        floats: what floats without a profile are: `linear` or `encoded`.
        quality: of JPEG and WebP, 1..100; None keeps a JPEG's own.
        layer: of EXRs, the layer to balance.
        overwrite: whether existing outputs are replaced.
        workers: how many threads; None means one for each CPU.
        on_progress: called with how many photos are done.
        on_error: called with why a photo failed, as it happens.
    Raises:
        SourceError: if there are no photos, a name is impossible, or there is no such model.
        LutkitError: if an option is out of range.

    >>> import lutkit, numpy
    >>> from PIL import Image
    >>> made = lutkit.synth("sample", "pairs", n=24, size=32, workers=1)
    >>> trained = lutkit.train_adaptive_lut("pairs", "model", steps=2, device="cpu")
    >>> Image.fromarray(numpy.full((40, 50, 3), (150, 120, 90), numpy.uint8)).save("photo.png")
    >>> lutkit.balance_photos("photo.png", "fixed", model="model", export="look.cube").written
    1
    """
    require_in_range(strength=strength, quality=quality)
    require_balance_options(passes=passes, strength=strength)
    threads = wanted_workers(workers)
    require_installed(NEEDED, "train")

    if local and export is not None:
        raise LutkitError(
            "--export with --local", remedy="one LUT cannot differ from place to place: leave one out"
        )
    if export is not None:
        require_held(Lut3D.identity(LUT_SIZE), Path(export))
    base = Grading(Lut3D.identity(2), 1.0, require_profile(profile), require_floats(floats))
    named = [photos] if isinstance(photos, Path | str) else photos
    plan = plan_apply([Path(photo) for photo in named], Path(out))
    luts = _lut_files(plan, None if export is None else Path(export), Path(out), overwrite=overwrite)
    report = on_progress or unheard
    report(Progress("loading the model"))
    balancer = opened_model(model, vae=vae, fit=fit)
    report(Progress("photos", 0, len(plan.tasks)))
    figures: dict[PhotoTask, _Figures] = {}
    to_write: dict[PhotoTask, Lut3D] = {}
    predicting = Lock()  # torch uses all cores by itself

    def grading_of(task: PhotoTask, photo: StoredPhoto) -> Grading:
        seen = preview(photo, base, PREVIEW_PX)
        with predicting:
            chosen = find_balance(seen, balancer, passes=passes, strength=strength, local=local)
        figures[task] = _Figures(chosen.moves, chosen.unevenness)
        lut = chosen.lut or Lut3D.identity(LUT_SIZE)
        if task in luts and isinstance(lut, Lut3D):
            to_write[task] = lut
        # Strength 0 does not even clamp.
        return Grading(lut, 0.0 if chosen.lut is None else 1.0, base.profile, base.floats)

    def write_own_lut(applied: Applied) -> None:
        lut = to_write.pop(applied.task, None)
        if lut is not None and applied.status == "written":
            write_lut(lut, luts[applied.task])

    settings = ApplySettings(grading_of, quality, overwrite, layer)
    results = grade_and_report(plan, settings, threads, report, on_error, write_own_lut)
    balanced = tuple(_photo(applied, figures.get(applied.task), luts) for applied in results)
    return BalanceResult(**photo_counts(results), photos=balanced, plan=plan)


@dataclass(frozen=True)
class _Figures:
    """The figures of a `Balance`, without its LUTs."""

    moves: tuple[float, ...] = ()
    unevenness: float = 0.0


def _photo(applied: Applied, figures: _Figures | None, luts: dict[PhotoTask, Path]) -> BalancedPhoto:
    is_written = applied.status == "written"
    known = figures if figures is not None and is_written else _Figures()
    return BalancedPhoto(
        **vars(applied_photo(applied)),
        moves=tuple(map(six_digits, known.moves)),
        unevenness=six_digits(known.unevenness),
        lut=shown_path(str(luts[applied.task])) if is_written and applied.task in luts else "",
    )


def _lut_files(plan: ApplyPlan, export: Path | None, out: Path, *, overwrite: bool) -> dict[PhotoTask, Path]:
    """Return the LUT file of each photo; each can be written, or belongs to a photo that is kept.

    Raises:
        LutkitError: if a file exists and must not be replaced, two photos would share one, or the LUT of a
            photo that is kept is missing.
    """
    if export is None:
        return {}
    files: dict[Path, PhotoTask] = {}
    for task in plan.tasks:
        path = export
        if len(plan.tasks) > 1:
            inside = task.target.relative_to(out).with_suffix("")
            path = export.with_stem(f"{export.stem}-{'-'.join(inside.parts)}")
        if path in files:
            photos = " and ".join(shown_path(str(one.source)) for one in (files[path], task))
            remedy = "balance them one after the other"
            raise LutkitError(f"would hold the LUTs of {photos}", where=str(path), remedy=remedy)
        files[path] = task
        is_kept = task.target.is_file() and not overwrite
        if is_kept and not path.is_file():
            remedy = "give --overwrite, or leave out --export"
            raise LutkitError(f"exists already, but {path} does not", where=str(task.target), remedy=remedy)
        if not is_kept:
            output_file(path, overwrite=overwrite)
    return {task: path for path, task in files.items()}
