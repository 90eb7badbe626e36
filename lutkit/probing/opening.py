"""Open a network from image to image: a folder of ours, an exported program, or a Python object.

Owns the table of architectures and the way each becomes a function from image to image. Must not know what is
measured.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lutkit.balancing.adaptive_lut import THUMBNAIL_PX, AdaptiveLut
from lutkit.balancing.image_balancers import LatentBalancer
from lutkit.balancing.models import (
    ADAPTIVE_LUT,
    DIRECT,
    LATENT_BALANCER,
    architecture_of,
    load_model,
    read_balancer,
)
from lutkit.balancing.pixel_unet import PixelUnet
from lutkit.colorizing.colorizer import Colorizer
from lutkit.colorizing.loading import COLORIZER, load_colorizer
from lutkit.errors import DocumentError, LutkitError, SourceError, first_line
from lutkit.extras import quiet_loggers
from lutkit.nn.ab_decode import annealed_mean
from lutkit.nn.color import lab_to_srgb, srgb_to_lab
from lutkit.training.model_folder import no_model, other_model, read_model
from lutkit.training.python_object import imported

_SIDE = 128
_LEAST_SIDE = 64
_REMEDY = "name a folder that `lutkit train` wrote, a .pt2 of torch.export, or module:function"


@dataclass(frozen=True, eq=False)
class ImageNetwork:
    """A network from image to image.

    Args:
        kind: `adaptive-lut`, `latent-balancer`, `direct`, `colorizer`, `exported program`, `module` or
            `function`.
        module: the part with weights, in evaluation mode, on the CPU; None if there is none.
        apply: from the module and images (1, 3, H, W), sRGB-encoded, 0..1, to images of the same shape.
        height: the height of the images to probe it with, in pixels.
        width: their width.
    """

    kind: str
    module: nn.Module | None
    apply: Callable[[nn.Module | None, Tensor], Tensor]
    height: int = _SIDE
    width: int = _SIDE

    @property
    def invents_colors(self) -> bool:
        """Whether it ignores the colours of its input by design."""
        return self.kind == COLORIZER

    def run(self, images: Tensor) -> Tensor:
        """Return the network's result for images (B, 3, H, W), float32, one at a time.

        Raises:
            LutkitError: if the network fails, or its result is another shape or not finite.
        """
        return self.run_with(self.module, images)

    def run_with(self, module: nn.Module | None, images: Tensor) -> Tensor:
        """Do the same with another module, such as one with rounded weights."""
        found: list[Tensor] = []
        with torch.inference_mode():
            for image in cast("Sequence[Tensor]", images.split(1)):
                try:
                    result = self.apply(module, image.clone())  # networks may work in place
                except LutkitError:
                    raise
                except Exception as error:  # a stranger's network raises anything
                    line = first_line(error)
                    shape = " x ".join(map(str, image.shape))
                    remedy = "probe takes networks from (B, 3, H, W) to the same shape, RGB, 0..1"
                    raise LutkitError(f"it fails on an image of {shape}: {line}", remedy=remedy) from None
                found.append(_checked(result, image))
        return torch.cat(found)


def _checked(result: object, image: Tensor) -> Tensor:
    remedy = "probe takes networks from (B, 3, H, W) to the same shape, RGB, 0..1"
    if not isinstance(result, Tensor):
        raise LutkitError(f"its result is a {type(result).__name__}, not a tensor", remedy=remedy)
    if result.ndim == 4 and result.shape[1] != 3:
        raise LutkitError(f"its result has {result.shape[1]} channels, not 3", remedy=remedy)
    if result.shape != image.shape:
        found, given = (" x ".join(map(str, each.shape)) for each in (result, image))
        raise LutkitError(f"its result is {found} for an image of {given}", remedy=remedy)
    if not result.isfinite().all():
        raise LutkitError("its result is not finite", remedy="check its weights")
    return result.float()


def open_network(model: object, *, vae: Path | str = "") -> ImageNetwork:
    """Open a network.

    Args:
        model: a folder that `lutkit train` wrote or its name on the hub, a `.pt2` that torch.export wrote,
            `module:name` of a function or a torch module, or such an object itself.
        vae: of a latent balancer, its VAE; see `lutkit.load_balancer`.
    Raises:
        SourceError: if there is no such model, or it cannot be read.
        LutkitError: if it is something else, or the Python object cannot be imported.
    """
    if isinstance(model, nn.Module):
        # The caller's network stays on its device and in its mode.
        return ImageNetwork("module", deepcopy(model).cpu().eval(), _called)
    if isinstance(model, Path | str):
        text = str(model)
        if text.endswith(".pt2"):
            return _exported(Path(text))
        if ":" in text and not Path(text).exists():
            return open_network(imported(text, _REMEDY))
        return _of_folder(text, vae)
    if callable(model):
        function = cast("Callable[[Tensor], Tensor]", model)
        return ImageNetwork("function", None, lambda _, images: function(images))
    raise LutkitError(f"the model is a {type(model).__name__}", remedy=_REMEDY)


def _called(module: nn.Module | None, images: Tensor) -> Tensor:
    return cast("nn.Module", module)(images)


def _exported(path: Path) -> ImageNetwork:
    if not path.is_file():
        raise SourceError("no such file", where=str(path), remedy=_REMEDY)
    try:
        # Torch logs the traceback that the message below replaces.
        with quiet_loggers("torch.export", "torch._export", below=logging.CRITICAL):
            program = torch.export.load(path)
            module: nn.Module = program.module()
    except Exception as error:  # torch raises anything for a broken archive
        why = first_line(error)
        if "warnings above" in why:  # they are in torch's log
            why = "it is not a whole program of torch.export"
        raise SourceError(f"cannot be read: {why}", where=str(path), remedy="export it again") from None
    # A program that was exported without dynamic shapes takes the shape of its example only.
    example = cast("Any", program.example_inputs)
    shape = [tensor.shape for tensor in example[0] if isinstance(tensor, Tensor)] if example else []
    if not shape or len(shape[0]) != 4 or min(shape[0][2:]) < _LEAST_SIDE:
        return ImageNetwork("exported program", module, _called)
    return ImageNetwork("exported program", module, _called, int(shape[0][2]), int(shape[0][3]))


def _of_folder(name: str, vae: Path | str) -> ImageNetwork:
    stored = read_model(name)
    try:
        architecture = architecture_of(stored.config)
    except DocumentError as error:
        raise no_model(stored.config_file, error.what) from None
    if architecture not in _ARCHITECTURES:
        raise other_model(stored.config_file, architecture, _ARCHITECTURES)
    return _ARCHITECTURES[architecture](name, vae)


def _adaptive_lut(name: str, vae: Path | str) -> ImageNetwork:
    def apply(module: nn.Module | None, images: Tensor) -> Tensor:
        small = functional.interpolate(images.clamp(0, 1), (THUMBNAIL_PX, THUMBNAIL_PX), mode="area")
        return cast("AdaptiveLut", module)(small)(images)

    return ImageNetwork(ADAPTIVE_LUT, cast("AdaptiveLut", load_model(name)), apply)


def _direct(name: str, vae: Path | str) -> ImageNetwork:
    return ImageNetwork(DIRECT, cast("PixelUnet", load_model(name)), _called)


def _latent_balancer(name: str, vae: Path | str) -> ImageNetwork:
    balancer = cast("LatentBalancer", read_balancer(name, vae, "lut"))

    def apply(module: nn.Module | None, images: Tensor) -> Tensor:
        # `balance` uses the difference of two decodings, too: the detail that the VAE loses is not the
        # balancer's fault.
        moments = balancer.vae.encode(images.clamp(0, 1)).cpu()
        balanced = cast("nn.Module", module)(moments)
        before, after = (balancer.vae.decode(each.chunk(2, 1)[0]).cpu() for each in (moments, balanced))
        return images + after - before

    side = math.ceil(_SIDE / balancer.vae.factor) * balancer.vae.factor
    return ImageNetwork(LATENT_BALANCER, balancer.network, apply, side, side)


def _colorizer(name: str, vae: Path | str) -> ImageNetwork:
    trained = load_colorizer(name)

    def apply(module: nn.Module | None, images: Tensor) -> Tensor:
        lightness = srgb_to_lab(images)[:, :1]
        network = cast("Colorizer", module)
        ab = annealed_mean(network(lightness), trained.temperature, network.bins)
        large = functional.interpolate(ab, images.shape[2:], mode="bilinear", align_corners=False)
        return lab_to_srgb(torch.cat([lightness, large], 1)).clamp(0, 1)

    return ImageNetwork(COLORIZER, trained.network, apply)


_ARCHITECTURES: Mapping[str, Callable[[str, Path | str], ImageNetwork]] = {
    ADAPTIVE_LUT: _adaptive_lut,
    DIRECT: _direct,
    LATENT_BALANCER: _latent_balancer,
    COLORIZER: _colorizer,
}
