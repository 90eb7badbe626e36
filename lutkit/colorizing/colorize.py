"""Colorize an image with a trained model: lightness is kept, colours come from the model.

Owns the way from an image through the network, and temperatures. Must not know files: `colorize_photos` does.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from lutkit.colorizing.recoloring import Recoloring
from lutkit.errors import ArrayError, ImageError, LutkitError
from lutkit.extras import require_installed
from lutkit.lut.apply import RgbImage, require_no_codes
from lutkit.lut.model import Float32Array, Lut3D
from lutkit.photos.grading import Grading, grade, preview
from lutkit.photos.photo_files import StoredPhoto

if TYPE_CHECKING:
    from lutkit.colorizing.loading import TrainedColorizer

ColorModel: TypeAlias = "TrainedColorizer | Path | str"

LOOKED_AT_PX = 512  # the longest side of what the network's input is made from
COLORIZING_NEEDS = ("torch", "huggingface_hub", "safetensors")
_MOST_TEMPERATURE = 10
_DTYPES = ("uint8", "uint16", "float32")


def colorize(image: npt.NDArray[Any], model: ColorModel, *, temperature: float | None = None) -> RgbImage:
    """Colorize an image with a model that `lutkit train colorizer` made.

    Args:
        image: (H, W), (H, W, 3) or (H, W, 4), sRGB-encoded: uint8, uint16, or float32 with 0..1 nominal. Only
            its lightness is used: colours of its own are ignored. Alpha is not changed.
        model: a folder, a name on the Hugging Face hub, or what `load_colorizer` returned.
        temperature: 1 gives the mean of what the network thinks possible, 0 the most probable; lower is more
            vivid. None is the temperature that was chosen in training.
    Returns:
        A new array of the same dtype, (H, W, 3) or (H, W, 4), of the same lightness L, to rounding.
    Raises:
        ArrayError: if the shape or dtype is another, a value is NaN, or floats look like codes of 0..255.
        SourceError: if there is no such model, or it cannot be read.
        LutkitError: if the temperature is out of range, or a package is not installed.

    >>> import lutkit, numpy
    >>> made = lutkit.synth("sample", "pairs", n=24, size=32, workers=1)
    >>> weighed = lutkit.ab_weights(lutkit.count_colors("pairs"), "weights.npz", grid="16")
    >>> trained = lutkit.train_colorizer(
    ...     "pairs", "model", weights="weights.npz", width=2, side=32, batch=4, steps=2, device="cpu"
    ... )
    >>> grey = numpy.random.default_rng(0).integers(60, 190, (40, 50), numpy.uint8)
    >>> lutkit.colorize(grey, "model", temperature=0.38).shape
    (40, 50, 3)
    """
    pixels = _as_samples(image)
    require_temperature(temperature)
    opened = opened_colorizer(model)
    photo = StoredPhoto("png", pixels)
    chosen = opened.temperature if temperature is None else temperature
    try:
        seen = preview(photo, Grading(Lut3D.identity(2), floats="encoded"), LOOKED_AT_PX)
        (found,) = recolorings(seen, opened, [chosen])
        colored = grade(photo, Grading(found, floats="encoded")).pixels
    except ImageError as error:
        raise ArrayError(error.what, where="colorize", remedy=error.remedy) from error
    # `grade` gives a grey image back where no pixel got a colour.
    return cast("RgbImage", colored if colored.shape[2] >= 3 else np.repeat(colored, 3, axis=2))


def _as_samples(image: object) -> npt.NDArray[Any]:
    """Return a copy of the image, (H, W, C)."""
    if not isinstance(image, np.ndarray):
        raise ArrayError(f"expected an array, not {type(image).__name__}", where="colorize")
    found = cast("npt.NDArray[Any]", image)
    is_shaped = found.ndim == 2 or (found.ndim == 3 and found.shape[2] in (3, 4))
    if not is_shaped or found.dtype.name not in _DTYPES or not found.size:
        what = "expected (H, W), (H, W, 3) or (H, W, 4) of"
        raise ArrayError(f"{what} {', '.join(_DTYPES)}, not {found.shape} {found.dtype}", where="colorize")
    require_no_codes(found, 1.0, "colorize")
    return np.array(found if found.ndim == 3 else found[..., None], found.dtype.newbyteorder("="))


def opened_colorizer(model: ColorModel) -> "TrainedColorizer":
    """Return the model: read from its folder or the hub, or the given one.

    Raises:
        SourceError: if there is no such model, or it cannot be read.
        LutkitError: if it is something else, or a package is not installed.
    """
    require_installed(COLORIZING_NEEDS, "train")
    from lutkit.colorizing.loading import TrainedColorizer, load_colorizer

    if isinstance(model, Path | str):
        return load_colorizer(model)
    if not isinstance(model, TrainedColorizer):  # pyright: ignore[reportUnnecessaryIsInstance]
        remedy = "give its folder, its name on the hub, or what load_colorizer returned"
        raise LutkitError(f"the model is a {type(model).__name__}", remedy=remedy)
    return model


def recolorings(
    seen: Float32Array, model: "TrainedColorizer", temperatures: Sequence[float]
) -> list[Recoloring]:
    """Let a model decide the colours of an image, at each of some temperatures.

    Args:
        seen: (h, w, 3) float32, sRGB-encoded, 0..1: a preview of the image, upright.
        model: the model.
        temperatures: 0 or above.
    Raises:
        ImageError: if the network's result is not finite.
    """
    import torch
    from torch.nn import functional

    from lutkit.colorizing.colorizer import COARSEST
    from lutkit.colorizing.targets import at_output
    from lutkit.nn.ab_decode import annealed_mean
    from lutkit.nn.color import srgb_to_lab

    height, width = (int(length) for length in seen.shape[:2])
    most = model.side**2 // COARSEST**2
    rows = min(max(round(model.side * math.sqrt(height / width) / COARSEST), 1), most)
    columns = min(max(round(model.side * math.sqrt(width / height) / COARSEST), 1), most)
    values = torch.from_numpy(np.ascontiguousarray(seen)).permute(2, 0, 1)[None]
    size = (COARSEST * rows, COARSEST * columns)
    small = functional.interpolate(values, size, mode="bilinear", antialias=True).clamp(0, 1)
    with torch.inference_mode():
        lightness = srgb_to_lab(small)[:, :1]
        logits = model.network(lightness)
        if not logits.isfinite().all():
            raise ImageError("the network's result is not finite", remedy="train the model again")
        places = at_output(lightness)[0, 0].numpy()
        found = [annealed_mean(logits, temperature, model.network.bins)[0] for temperature in temperatures]
    return [Recoloring(places, ab.permute(1, 2, 0).contiguous().numpy()) for ab in found]


def require_temperature(temperature: float | None) -> None:
    """Raise LutkitError unless a temperature is None or 0..10.

    Raises:
        LutkitError: naming the option.
    """
    if temperature is None:
        return
    if not isinstance(temperature, int | float) or not 0 <= temperature <= _MOST_TEMPERATURE:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise LutkitError(f"--temperature is {temperature!r}", remedy=f"choose from 0 to {_MOST_TEMPERATURE}")
