"""Networks whose result is an image as balancers: the colour maps are learned from the result.

Owns the way from an image through the network: its size, both decodings, and the learned maps.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lutkit.balancing.adaptive_lut import share_made
from lutkit.balancing.balance import PREVIEW_PX, image_difference
from lutkit.balancing.color_map import FoundMaps, Window
from lutkit.balancing.fitted_map import MapKind, fitted_map
from lutkit.balancing.latent_unet import LatentUnet
from lutkit.balancing.pixel_unet import PixelUnet
from lutkit.errors import ImageError
from lutkit.latents.vae import Vae
from lutkit.lut.algebra import blend
from lutkit.lut.apply import map_pixels
from lutkit.lut.model import Float32Array, Lut3D


@dataclass(frozen=True, eq=False)
class LatentBalancer:
    """A latent balancer with its VAE.

    The image is encoded, its posterior balanced, and both posteriors are decoded. A decoding differs from its
    image in details, but two decodings match pixel for pixel, so the maps are learned between the two.

    Args:
        network: the network, in evaluation mode, on the CPU.
        vae: the VAE of its latents.
        side: the side of the images that it was trained on, in pixels.
        fit: the kind of map.
        threshold: a map that changes the image by a mean delta E 2000 of m is made to the share m^4 / (m^4 +
            threshold^4), as by `AdaptiveLut`.
    """

    network: LatentUnet
    vae: Vae
    side: int
    fit: MapKind = "lut"
    threshold: float = 0.0

    def color_maps(self, image: Float32Array, windows: Sequence[Window], size: int) -> FoundMaps:
        """Return how parts of an image should change; see `Balancer`."""
        moments = self.vae.encode(_resized(image, self.side, self.vae.factor)).cpu()
        with torch.inference_mode():
            balanced = self.network(moments)
        before, after = (self.vae.decode(each.chunk(2, 1)[0]).cpu() for each in (moments, balanced))
        return _learned(before, after, image.shape[:2], windows, size, self.fit, self.threshold)


@dataclass(frozen=True, eq=False)
class DirectBalancer:
    """A direct network.

    Args:
        network: the network, in evaluation mode, on the CPU.
        side: the side of the images that it was trained on, in pixels.
        fit: the kind of map.
        threshold: a map that changes the image by a mean delta E 2000 of m is made to the share m^4 / (m^4 +
            threshold^4), as by `AdaptiveLut`.
    """

    network: PixelUnet
    side: int
    fit: MapKind = "lut"
    threshold: float = 0.0

    def color_maps(self, image: Float32Array, windows: Sequence[Window], size: int) -> FoundMaps:
        """Return how parts of an image should change; see `Balancer`."""
        before = _resized(image, self.side, 1)
        with torch.inference_mode():
            after = self.network(before).clamp(0, 1)
        return _learned(before, after, image.shape[:2], windows, size, self.fit, self.threshold)


def _resized(image: Float32Array, side: int, factor: int) -> Tensor:
    """Return an image (1, 3, H, W) with about side x side pixels, H and W multiples of `factor`."""
    height, width = image.shape[:2]
    # The preview of a long thin photo is thin, whatever the photo's own size.
    if min(height, width) < factor and max(height, width) < PREVIEW_PX:
        what = f"an image of {width} x {height} px, but the VAE needs at least {factor} x {factor}"
        raise ImageError(what, remedy="balance it with an adaptive LUT")
    scale = side / math.sqrt(height * width)
    rows, columns = (max(round(length * scale / factor), 1) * factor for length in (height, width))
    values = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
    small = functional.interpolate(values, (rows, columns), mode="bilinear", antialias=True)
    return small.clamp(0, 1)


def _learned(
    before: Tensor,
    after: Tensor,
    shape: Sequence[int],
    windows: Sequence[Window],
    size: int,
    fit: MapKind,
    threshold: float,
) -> FoundMaps:
    """Learn a map for each window of the image, whose own height and width are `shape`."""
    small, changed = (
        np.ascontiguousarray(each[0].permute(1, 2, 0).numpy(), np.float32) for each in (before, after)
    )
    if not (np.isfinite(small).all() and np.isfinite(changed).all()):
        raise ImageError("the network's result is not finite", remedy="train the model again")
    rows, columns = small.shape[0] / shape[0], small.shape[1] / shape[1]
    luts: list[Lut3D] = []
    misses: list[float] = []
    for window in windows:
        part = Window(
            math.floor(window.top * rows),
            math.ceil(window.bottom * rows),
            math.floor(window.left * columns),
            math.ceil(window.right * columns),
        )
        seen, wanted = part.of(small), part.of(changed)
        lut = fitted_map(seen, wanted, fit, size)
        made = map_pixels(seen, lut, threads=1)
        misses.append(image_difference(made, wanted))
        # A photo gives no certain evidence of a small fault: small corrections would add up over the passes.
        share = share_made(image_difference(seen, made), threshold) if threshold else 1.0
        luts.append(cast("Lut3D", blend(lut, share)))
    return FoundMaps(tuple(luts), sum(misses) / len(misses))
