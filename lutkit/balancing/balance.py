"""Balance an image with a trained model: one LUT for the whole image, or a grid of LUTs for mixed light.

Owns passes, strength, local LUTs and their figures. Must not know files: `balance_photos` does.
"""

import math
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
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
        passes: how often the model looks at the result and corrects it again, 1..20.
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
        LutkitError: if an option is out of range.

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
    luts: list[Lut3D] = []
    results: list[Float32Array] = []
    residual = None
    for number in range(1 if local else passes):
        found = balancer.color_maps(results[-1] if results else seen, [_whole(seen)], LUT_SIZE)
        luts.append(_after(luts[-1], found.luts[0]) if luts else found.luts[0])
        results.append(map_pixels(seen, luts[-1], threads=1))
        residual = found.residual if number == 0 else residual
    grids = _grids(seen, balancer, passes if local else 1) if local or residual is None else []
    by_parts = [map_by_place(seen, _blended(grid, 1), top=0, height=len(seen)) for grid in grids]
    if residual is None:
        residual = image_difference(results[0], by_parts[0])
    steps = pairwise([seen, *(by_parts if local else results)])
    moves = tuple(image_difference(before, after) for before, after in steps)
    if strength == 0:
        return Balance(None, moves, residual)
    lut = _blended(grids[-1], strength) if local else cast("Lut3D", blend(luts[-1], strength))
    return Balance(lut, moves, residual)


def require_balance_options(*, passes: int, strength: float) -> None:
    """Raise LutkitError unless passes are 1..20 and the strength is 0..1.

    Raises:
        LutkitError: naming the option.
    """
    if type(passes) is not int or not 1 <= passes <= 20:
        raise LutkitError(f"--passes is {passes!r}", remedy="choose from 1 to 20")
    if not isinstance(strength, int | float) or not 0 <= strength <= 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise LutkitError(f"--strength is {strength!r}", remedy="choose from 0 to 1")


def _grids(seen: Float32Array, balancer: "Balancer", passes: int) -> list[list[list[Lut3D]]]:
    """Return for each pass rows of LUTs for parts of the image, from the image itself to the pass's result.

    Each LUT is decided by a window of twice the part's size.
    """
    from lutkit.balancing.color_map import Window

    height, width = seen.shape[:2]
    rows, columns = (max(round(_CELLS * side / max(height, width)), 1) for side in (height, width))
    windows = [
        Window(*_around(row, rows, height), *_around(column, columns, width))
        for row in range(rows)
        for column in range(columns)
    ]
    grids: list[list[list[Lut3D]]] = []
    luts: list[Lut3D] = []
    now = seen
    for _ in range(passes):
        if grids:
            now = map_by_place(seen, _blended(grids[-1], 1), top=0, height=height)
        found = balancer.color_maps(now, windows, _PART_SIZE).luts
        luts = list(map(_after, luts, found)) if luts else list(found)
        grids.append([luts[row * columns : (row + 1) * columns] for row in range(rows)])
    return grids


def _whole(image: Float32Array) -> "Window":
    from lutkit.balancing.color_map import Window

    return Window(0, image.shape[0], 0, image.shape[1])


def _after(first: Lut3D, then: Lut3D) -> Lut3D:
    """Return one cube for two cubes, one after the other, exact at its lattice points."""
    return Lut3D(map_pixels(first.table, then, threads=1))


def _around(cell: int, count: int, size: int) -> tuple[int, int]:
    """Return the range of twice a cell, around its centre, within the image."""
    return max(math.floor((cell - 0.5) * size / count), 0), min(math.ceil((cell + 1.5) * size / count), size)


def _blended(rows: list[list[Lut3D]], strength: float) -> LutGrid:
    return LutGrid(tuple(tuple(blend(lut, strength) for lut in row) for row in rows))


def image_difference(one: Float32Array, other: Float32Array) -> float:
    """Return the mean delta E 2000 of two images (h, w, 3), float32, sRGB-encoded, 0..1."""
    labs = (srgb_to_lab(image.astype(np.float64)) for image in (one, other))
    return float(delta_e_2000(*labs).mean())
