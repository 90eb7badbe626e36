"""Balance an image with a trained model: one LUT for the whole image, or a grid of LUTs for mixed light.

Owns passes, strength, local LUTs and their figures. Must not know files: `balance_photos` does.
"""

import math
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from lutkit.color.difference import delta_e_2000
from lutkit.color.lab import srgb_to_lab
from lutkit.errors import ArrayError, ImageError, LutkitError
from lutkit.extras import require_installed
from lutkit.lut.apply import RgbImage, map_pixels, require_no_codes
from lutkit.lut.grid import LutGrid, map_by_place
from lutkit.lut.model import Float32Array, Lut3D
from lutkit.photos.grading import Grading, grade, preview
from lutkit.photos.photo_files import StoredPhoto

if TYPE_CHECKING:
    from lutkit.balancing.adaptive_lut import AdaptiveLut

Model: TypeAlias = "AdaptiveLut | Path | str"

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
        moves: for each pass, the mean delta E 2000 by which one LUT at full strength changes the image.
        unevenness: the mean delta E 2000 between the results of one LUT and of LUTs for parts of the image,
            after one pass. A large value suggests mixed light.
    """

    lut: Lut3D | LutGrid | None
    moves: tuple[float, ...]
    unevenness: float


def balance(
    image: RgbImage, model: Model, *, passes: int = 1, strength: float = 1.0, local: bool = False
) -> RgbImage:
    """Balance an image with a model that `lutkit train` made.

    Args:
        image: (H, W, 3) or (H, W, 4), sRGB-encoded: uint8, uint16, or float32 with 0..1 nominal; alpha is not
            changed.
        model: a folder, a name on the Hugging Face hub, or the loaded network.
        passes: how often the model looks at the result and corrects it again, 1..20.
        strength: 0 changes nothing, 1 is the full correction.
        local: correct parts of the image by themselves, for mixed light; LUTs are blended between parts.
    Returns:
        A new array of the same shape and dtype. Floats outside 0..1 are clamped, except in an image without
        any colour, or with strength 0: then the new array is equal to the image.
    Raises:
        ArrayError: if the shape or dtype is another, a value is NaN, or floats look like codes of 0..255.
        SourceError: if there is no such model, or it cannot be read.
        LutkitError: if an option is out of range, or a package is not installed.

    >>> import lutkit, numpy
    >>> made = lutkit.synth("sample", "pairs", n=24, size=32, workers=1)
    >>> trained = lutkit.train_adaptive_lut("pairs", "model", steps=2, device="cpu")
    >>> photo = numpy.random.default_rng(0).integers(60, 190, (40, 50, 3), numpy.uint8)
    >>> lutkit.balance(photo, "model").shape
    (40, 50, 3)
    """
    _require_image(image)
    require_balance_options(passes=passes, strength=strength)
    network = opened_model(model)
    photo = StoredPhoto("png", np.array(image, image.dtype.newbyteorder("=")))
    try:
        seen = preview(photo, Grading(Lut3D.identity(2), floats="encoded"), PREVIEW_PX)
        found = find_balance(seen, network, passes=passes, strength=strength, local=local)
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


def opened_model(model: Model) -> "AdaptiveLut":
    """Return the network: itself, or read from its folder or the hub.

    Raises:
        SourceError: if there is no such model, or it cannot be read.
        LutkitError: if it is something else, or a package is not installed.
    """
    require_installed(NEEDED, "train")
    from lutkit.balancing.adaptive_lut import AdaptiveLut
    from lutkit.balancing.model_folder import load_model

    if isinstance(model, Path | str):
        return load_model(model)
    if not isinstance(model, AdaptiveLut):  # pyright: ignore[reportUnnecessaryIsInstance]
        remedy = "give its folder, its name on the hub, or an AdaptiveLut"
        raise LutkitError(f"the model is a {type(model).__name__}", remedy=remedy)
    # The caller's network stays on its device and in its mode.
    return deepcopy(model).cpu().eval()


def find_balance(
    seen: Float32Array, network: "AdaptiveLut", *, passes: int, strength: float, local: bool
) -> Balance:
    """Let a model decide how an image is balanced.

    Args:
        seen: (h, w, 3) float32, sRGB-encoded, 0..1: a preview of the image.
        network: the model.
        passes: how often it corrects, 1..20.
        strength: 0..1.
        local: whether parts of the image get their own LUTs.
    """
    if np.ptp(seen, axis=2).max() == 0:
        return Balance(None, (0.0,) * passes, 0.0)
    luts, moves = _passes(seen, network, passes)
    parts = _parts(seen, network, 1)
    by_parts = map_by_place(seen, _grid(parts, 1), top=0, height=len(seen))
    apart = _difference(map_pixels(seen, luts[0], threads=1), by_parts)
    if strength == 0:
        return Balance(None, moves, apart)
    if not local:
        return Balance(_weakened(luts[-1], strength), moves, apart)
    if passes > 1:
        parts = _parts(seen, network, passes)
    return Balance(_grid(parts, strength), moves, apart)


def require_balance_options(*, passes: int, strength: float) -> None:
    """Raise LutkitError unless passes are 1..20 and the strength is 0..1.

    Raises:
        LutkitError: naming the option.
    """
    if type(passes) is not int or not 1 <= passes <= 20:
        raise LutkitError(f"--passes is {passes!r}", remedy="choose from 1 to 20")
    if not isinstance(strength, int | float) or not 0 <= strength <= 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise LutkitError(f"--strength is {strength!r}", remedy="choose from 0 to 1")


def _passes(seen: Float32Array, network: "AdaptiveLut", passes: int) -> tuple[list[Lut3D], tuple[float, ...]]:
    """Return the LUT from the image to each pass's result, and how much each pass changes the image."""
    from lutkit.balancing.adaptive_lut import LUT_SIZE

    luts: list[Lut3D] = []
    moves: list[float] = []
    now = seen
    for _ in range(passes):
        (lut,) = _predicted([now], network, LUT_SIZE)
        luts.append(_after(luts[-1], lut) if luts else lut)
        then = map_pixels(seen, luts[-1], threads=1)
        moves.append(_difference(now, then))
        now = then
    return luts, tuple(moves)


def _parts(seen: Float32Array, network: "AdaptiveLut", passes: int) -> list[list[Lut3D]]:
    """Return LUTs for parts of the image; each is decided by a window of twice the part's size."""
    height, width = seen.shape[:2]
    rows, columns = (max(round(_CELLS * side / max(height, width)), 1) for side in (height, width))
    windows = [
        seen[_window(row, rows, height), _window(column, columns, width)]
        for row in range(rows)
        for column in range(columns)
    ]
    luts = _predicted(windows, network, _PART_SIZE)
    for _ in range(passes - 1):
        now = [map_pixels(window, lut, threads=1) for window, lut in zip(windows, luts, strict=True)]
        luts = list(map(_after, luts, _predicted(now, network, _PART_SIZE)))
    return [luts[row * columns : (row + 1) * columns] for row in range(rows)]


def _predicted(images: list[Float32Array], network: "AdaptiveLut", size: int) -> list[Lut3D]:
    """Return what the network predicts for each image, as cubes of `size` points an axis."""
    import torch

    from lutkit.balancing.thumbnails import thumbnail_of

    thumbnails = torch.from_numpy(np.stack([thumbnail_of(image) for image in images]))
    with torch.inference_mode():
        return network(thumbnails.permute(0, 3, 1, 2)).luts(size)


def _after(first: Lut3D, then: Lut3D) -> Lut3D:
    """Return one cube for two cubes, one after the other, exact at its lattice points."""
    return Lut3D(map_pixels(first.table, then, threads=1))


def _window(cell: int, count: int, size: int) -> slice:
    """Return twice a cell, around its centre, within the image."""
    return slice(
        max(math.floor((cell - 0.5) * size / count), 0), min(math.ceil((cell + 1.5) * size / count), size)
    )


def _grid(rows: list[list[Lut3D]], strength: float) -> LutGrid:
    return LutGrid(tuple(tuple(_weakened(lut, strength) for lut in row) for row in rows))


def _weakened(lut: Lut3D, strength: float) -> Lut3D:
    same = Lut3D.identity(lut.sizes[0]).table
    table = (1 - strength) * same + strength * lut.table
    return lut if strength == 1 else Lut3D(table.astype(np.float32))


def _difference(one: Float32Array, other: Float32Array) -> float:
    """Return the mean delta E 2000 of two images."""
    labs = (srgb_to_lab(image.astype(np.float64)) for image in (one, other))
    return float(delta_e_2000(*labs).mean())
