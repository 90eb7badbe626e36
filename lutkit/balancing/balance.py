"""Balance an image with a trained model: one LUT for the whole image, or a grid of LUTs for mixed light.

Owns passes, strength, local LUTs and their figures. Must not know files: `balance_photos` does.
"""

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from lutkit.color.difference import delta_e_2000
from lutkit.color.lab import srgb_to_lab
from lutkit.errors import ArrayError, ImageError, LutkitError, python_names
from lutkit.extras import require_installed
from lutkit.lut.algebra import blend
from lutkit.lut.apply import RgbImage, map_pixels, require_no_codes
from lutkit.lut.grid import LutGrid, map_by_place
from lutkit.lut.model import Float32Array, Lut3D
from lutkit.photos.grading import Grading, grade, preview
from lutkit.photos.photo_files import StoredPhoto

if TYPE_CHECKING:
    from lutkit.balancing.adaptive_lut import AdaptiveLut
    from lutkit.balancing.color_map import Balancer, Window

Model: TypeAlias = "AdaptiveLut | Balancer | Path | str"

LUT_SIZE = 33  # points an axis of a map as a LUT
PREVIEW_PX = 512  # the longest side of what passes are computed on
UNEVEN = 3.0  # from this unevenness on, users are told of `local`
_CELLS = 4  # parts of an image along its longer side
_PART_SIZE = 17  # points an axis of a part's LUT: two cells to an interval of a predicted curve
_SHRINKING = 0.5  # the most that a pass changes, as a share of what the pass before it changed
_DTYPES = ("uint8", "uint16", "float32")
NEEDED = ("torch", "huggingface_hub", "safetensors")


@dataclass(frozen=True, eq=False)
class Balance:
    """How an image is balanced.

    Args:
        lut: one LUT for the image, or LUTs for its parts; they include `strength`. None for an image that is
            left as it is.
        moves: for each pass, the mean delta E 2000 by which it changes the image at full strength; empty for
            an image without colour.
        unevenness: how badly one LUT does what the network wants, in mean delta E 2000 after one pass: the
            difference to the network's own result or, if the network predicts LUTs, to the result of LUTs for
            parts of the image. A large value suggests mixed light.
    """

    lut: Lut3D | LutGrid | None
    moves: tuple[float, ...]
    unevenness: float


def balance(
    image: RgbImage,
    model: Model,
    *,
    vae: Path | str = "",
    passes: int = 1,
    strength: float = 1.0,
    local: bool = False,
) -> RgbImage:
    """Balance an image with a model that `lutkit train` made.

    Args:
        image: (H, W, 3) or (H, W, 4), sRGB-encoded: uint8, uint16, or float32 with 0..1 nominal; alpha is not
            changed.
        model: a folder, a name on the Hugging Face hub, an AdaptiveLut, or what `load_balancer` returned.
        vae: of a latent balancer in a folder, its VAE; see `load_balancer`.
        passes: how often the model looks at the result and corrects it again, 1..20. A pass changes the image
            by at most about half as much as the one before, in mean delta E 2000; else it is weakened.
        strength: 0 changes nothing, 1 is the full correction.
        local: correct parts of the image by themselves, for mixed light; LUTs are blended between parts.
    Returns:
        A new array of the same shape and dtype. Floats outside 0..1 are clamped, except in an image without
        any colour, or with strength 0: then the new array is equal to the image.
    Raises:
        ArrayError: if the shape or dtype is another, a value is NaN, or floats look like codes of 0..255.
        SourceError: if there is no such model, or it cannot be read.
        VaeError, DatasetError: if its VAE is missing or another one.
        LutkitError: if an argument is out of range, or a package is not installed.

    >>> import lutkit, numpy
    >>> made = lutkit.synth("sample", "pairs", n=24, size=32, workers=1)
    >>> trained = lutkit.train_adaptive_lut("pairs", "model", steps=2, device="cpu")
    >>> photo = numpy.random.default_rng(0).integers(60, 190, (40, 50, 3), numpy.uint8)
    >>> lutkit.balance(photo, "model").shape
    (40, 50, 3)
    """
    _require_image(image)
    with python_names():
        require_balance_options(passes=passes, strength=strength)
        opened = opened_model(model, vae=vae)
    photo = StoredPhoto("png", np.array(image, image.dtype.newbyteorder("=")))
    try:
        seen = preview(photo, Grading(Lut3D.identity(2), floats="encoded"), PREVIEW_PX)
        found = find_balance(seen, opened, passes=passes, strength=strength, local=local)
        if found.lut is None:
            return cast("RgbImage", image.copy())
        return cast("RgbImage", grade(photo, Grading(found.lut, floats="encoded")).pixels)
    except ImageError as error:
        raise ArrayError(error.what, where="balance", remedy=error.remedy) from error


def _require_image(image: object) -> None:
    if not isinstance(image, np.ndarray):
        raise ArrayError(f"expected an array, not {type(image).__name__}", where="balance")
    if image.ndim != 3 or image.shape[2] not in (3, 4) or image.dtype.name not in _DTYPES or not image.size:
        what = f"expected (H, W, 3) or (H, W, 4) of {', '.join(_DTYPES)}, not {image.shape} {image.dtype}"
        raise ArrayError(what, where="balance")
    require_no_codes(cast("npt.NDArray[Any]", image), 1.0, "balance")


def load_balancer(name: Path | str, *, vae: Path | str = "", fit: str = "lut") -> "Balancer":
    """Read a model that balances photos, with its VAE if it needs one.

    Args:
        name: a folder that `lutkit train` wrote, or `owner/name` on the Hugging Face hub.
        vae: of a latent balancer, its VAE: a folder, a .safetensors file or a hub name; empty for the hub
            name in the model's config.json.
        fit: of a network whose result is an image, how the colour map is learned: `lut`, `polynomial` or
            `mlp`.
    Raises:
        SourceError: if there is no such model, or it cannot be read.
        VaeError: if the VAE is missing or cannot be loaded.
        DatasetError: if the VAE is not that of the model's latents, or its location is not recorded.
        LutkitError: if an argument is out of range.

    >>> import lutkit
    >>> made = lutkit.synth("sample", "pairs", n=24, size=32, workers=1)
    >>> trained = lutkit.train_direct("pairs", "model", steps=1, size=32, width=8, device="cpu")
    >>> lutkit.load_balancer("model", fit="polynomial").fit
    'polynomial'
    """
    require_installed(NEEDED, "train")
    from lutkit.balancing.models import read_balancer

    with python_names():
        return read_balancer(name, vae, fit)


def opened_model(model: Model, *, vae: Path | str = "", fit: str = "lut") -> "Balancer":
    """Return the model as a balancer: read from its folder or the hub, or the given network.

    Args:
        model: a folder, a name on the hub, an AdaptiveLut, or a balancer.
        vae: of a latent balancer in a folder, its VAE; see `load_balancer`.
        fit: how the colour map is learned; see `load_balancer`. An adaptive LUT needs neither.
    Raises:
        SourceError: if there is no such model, or it cannot be read.
        VaeError, DatasetError: if its VAE is missing or another one.
        LutkitError: if it is something else, or a package is not installed.
    """
    require_installed(NEEDED, "train")
    from lutkit.balancing.adaptive_lut import AdaptiveLut
    from lutkit.balancing.color_map import AdaptiveBalancer
    from lutkit.balancing.fitted_map import require_map_kind

    require_map_kind(fit)
    if isinstance(model, Path | str):
        from lutkit.balancing.models import read_balancer

        return read_balancer(model, vae, fit)
    if str(vae) or fit != "lut":
        option = "--vae" if str(vae) else "--fit"
        what = f"{option} with a model that is loaded already"
        raise LutkitError(what, remedy="give it to load_balancer, or give the model's folder")
    if isinstance(model, AdaptiveLut):
        # The caller's network stays on its device and in its mode.
        return AdaptiveBalancer(deepcopy(model).cpu().eval())
    if not hasattr(model, "color_maps"):
        remedy = "give its folder, its name on the hub, an AdaptiveLut, or what load_balancer returned"
        raise LutkitError(f"the model is a {type(model).__name__}", remedy=remedy)
    return model


def find_balance(
    seen: Float32Array, balancer: "Balancer", *, passes: int, strength: float, local: bool
) -> Balance:
    """Let a model decide how an image is balanced.

    Args:
        seen: (h, w, 3) float32, sRGB-encoded, 0..1: a preview of the image.
        balancer: the model.
        passes: how often it corrects, 1..20.
        strength: 0..1.
        local: whether parts of the image get their own LUTs.
    Raises:
        ImageError: if the image is too small for the model.
    """
    if np.ptp(seen, axis=2).max() == 0:
        return Balance(None, (), 0.0)
    whole, parts = _whole(seen), _parts_of(seen)
    one = _passes(seen, balancer, whole, 1 if local else passes)
    residual = one[0].residual
    by_parts = _passes(seen, balancer, parts, passes if local else 1) if local or residual is None else []
    if residual is None:
        residual = image_difference(one[0].image, by_parts[0].image)
    done = by_parts if local else one
    moves = tuple(each.move for each in done)
    if strength == 0:
        return Balance(None, moves, residual)
    return Balance((parts if local else whole).lut(done[-1].luts, strength), moves, residual)


def require_balance_options(*, passes: int, strength: float) -> None:
    """Raise LutkitError unless passes are 1..20 and the strength is 0..1.

    Raises:
        LutkitError: naming the option.
    """
    if type(passes) is not int or not 1 <= passes <= 20:
        raise LutkitError(f"--passes is {passes!r}", remedy="choose from 1 to 20")
    if not isinstance(strength, int | float) or not 0 <= strength <= 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise LutkitError(f"--strength is {strength!r}", remedy="choose from 0 to 1")


@dataclass(frozen=True)
class _Parts:
    """Parts of an image, each with a LUT of its own.

    Args:
        windows: what decides each part's LUT, row by row; one for the whole image.
        columns: how many parts are in a row.
        size: points an axis of a LUT.
    """

    windows: "tuple[Window, ...]"
    columns: int
    size: int

    def lut(self, luts: Sequence[Lut3D], strength: float = 1.0) -> Lut3D | LutGrid:
        """Return the LUTs of all parts as one, at part of their strength."""
        blended = tuple(cast("Lut3D", blend(lut, strength)) for lut in luts)
        if len(blended) == 1:
            return blended[0]
        starts = range(0, len(blended), self.columns)
        return LutGrid(tuple(blended[start : start + self.columns] for start in starts))

    def through(self, image: Float32Array, luts: Sequence[Lut3D]) -> Float32Array:
        """Map an image through the LUTs of its parts."""
        lut = self.lut(luts)
        if isinstance(lut, Lut3D):
            return map_pixels(image, lut, threads=1)
        return map_by_place(image, lut, top=0, height=len(image))


@dataclass(frozen=True, eq=False)
class _Pass:
    """An image after a pass.

    Args:
        luts: the LUTs of its parts, from the image before the first pass to this result.
        image: the result.
        move: the mean delta E 2000 by which this pass changed the image.
        residual: what no LUT can do; see `FoundMaps`.
    """

    luts: tuple[Lut3D, ...]
    image: Float32Array
    move: float
    residual: float | None


def _passes(seen: Float32Array, balancer: "Balancer", parts: _Parts, passes: int) -> list[_Pass]:
    """Correct an image again and again; each pass looks at the result of the one before."""
    done: list[_Pass] = []
    for _ in range(passes):
        now = done[-1].image if done else seen
        found = balancer.color_maps(now, parts.windows, parts.size)
        luts = found.luts
        if done:
            # A network that corrects too much would swing to and fro, and its own small errors would add up.
            move = image_difference(now, parts.through(now, luts))
            share = min(_SHRINKING * done[-1].move / move, 1.0) if move else 1.0
            both = zip(done[-1].luts, luts, strict=True)
            luts = tuple(_after(before, cast("Lut3D", blend(then, share))) for before, then in both)
        then = parts.through(seen, luts)
        done.append(_Pass(luts, then, image_difference(now, then), found.residual))
    return done


def _whole(image: Float32Array) -> _Parts:
    from lutkit.balancing.color_map import Window

    return _Parts((Window(0, image.shape[0], 0, image.shape[1]),), 1, LUT_SIZE)


def _parts_of(image: Float32Array) -> _Parts:
    """Return square parts, four along the longer side; each window is twice as large as its part."""
    from lutkit.balancing.color_map import Window

    height, width = image.shape[:2]
    rows, columns = (max(round(_CELLS * side / max(height, width)), 1) for side in (height, width))
    windows = tuple(
        Window(*_around(row, rows, height), *_around(column, columns, width))
        for row in range(rows)
        for column in range(columns)
    )
    return _Parts(windows, columns, _PART_SIZE)


def _after(first: Lut3D, then: Lut3D) -> Lut3D:
    """Return one cube for two cubes, one after the other, exact at its lattice points."""
    return Lut3D(map_pixels(first.table, then, threads=1))


def _around(cell: int, count: int, size: int) -> tuple[int, int]:
    """Return the range of twice a cell, around its centre, within the image."""
    return max(math.floor((cell - 0.5) * size / count), 0), min(math.ceil((cell + 1.5) * size / count), size)


def image_difference(one: Float32Array, other: Float32Array) -> float:
    """Return the mean delta E 2000 of two images (h, w, 3), float32, sRGB-encoded, 0..1."""
    labs = (srgb_to_lab(image.astype(np.float64)) for image in (one, other))
    return float(delta_e_2000(*labs).mean())
