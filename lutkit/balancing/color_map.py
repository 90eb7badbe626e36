"""Networks as balancers: what turns an image into colour maps, however it does so.

Owns the protocol. Must not know how a network is trained or read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from lutkit.balancing.adaptive_lut import AdaptiveLut
from lutkit.balancing.thumbnails import thumbnail_of
from lutkit.lut.model import Float32Array, Lut3D


@dataclass(frozen=True)
class Window:
    """A part of an image: its rows from `top` to before `bottom`, and its columns likewise."""

    top: int
    bottom: int
    left: int
    right: int

    def of(self, image: Float32Array) -> Float32Array:
        """Return this part of an image, a view."""
        return image[self.top : self.bottom, self.left : self.right]


@dataclass(frozen=True, eq=False)
class FoundMaps:
    """How parts of an image should change.

    Args:
        luts: a LUT for each window.
        residual: the mean delta E 2000 between the network's own result and the LUTs' results: what no LUT
            can do. None for a network that predicts LUTs.
    """

    luts: tuple[Lut3D, ...]
    residual: float | None


class Balancer(Protocol):
    """A network that balances images."""

    def color_maps(self, image: Float32Array, windows: Sequence[Window], size: int) -> FoundMaps:
        """Return how parts of an image should change.

        Args:
            image: (h, w, 3) float32, sRGB-encoded, 0..1.
            windows: the parts.
            size: points an axis of each LUT.
        Raises:
            ImageError: if the image is too small for the network.
        """
        ...


@dataclass(frozen=True, eq=False)
class AdaptiveBalancer:
    """An adaptive LUT as a balancer: it looks at a thumbnail of each window.

    Args:
        network: the network, in evaluation mode, on the CPU.
    """

    network: AdaptiveLut

    def color_maps(self, image: Float32Array, windows: Sequence[Window], size: int) -> FoundMaps:
        """Return how parts of an image should change; see `Balancer`."""
        thumbnails = torch.from_numpy(np.stack([thumbnail_of(window.of(image)) for window in windows]))
        with torch.inference_mode():
            return FoundMaps(tuple(self.network(thumbnails.permute(0, 3, 1, 2)).luts(size)), None)
