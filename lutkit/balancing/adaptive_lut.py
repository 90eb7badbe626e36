"""The adaptive LUT: a small network that looks at a thumbnail and predicts how its colours should change.

Owns the network, the colour map that it predicts, and the map's form as a LUT. Must not know how it is
trained, or where photos come from.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeVar, cast

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn
from torch.nn import functional

from lutkit.errors import LutkitError
from lutkit.lut.model import Lut3D
from lutkit.nn.color import srgb_to_lab
from lutkit.nn.color_losses import delta_e_2000
from lutkit.nn.lut import apply_curves, apply_lut

THUMBNAIL_PX = 64
KNOTS = 9
TERMS = 9
_Change = TypeVar("_Change", float, Tensor)
_CUBE_SIZES = (0, *range(2, 10))
_POOLINGS = ("statistics", "mean")
_SQUARE_PX = 4
_SOME = (..., slice(1, None, _SQUARE_PX), slice(1, None, _SQUARE_PX))  # enough pixels for a mean difference


@dataclass(frozen=True)
class ColorMaps:
    """One colour map for each image of a batch: curves, then a quadratic matrix, plus a small cube.

    Args:
        curves: (B, 9, 3), floating; a curve for each channel, at nine even inputs from 0 to 1.
        matrix: (B, 9, 3), floating; its rows multiply R, G, B, R^2, G^2, B^2, RG, RB and GB after the curves.
        cubes: (B, n, n, n, 3), floating; what is added, by the colour after the curves; n is 0 for no cube.
        amounts: (B,), floating, 0..1: the share of the change that is made; None for all of it.
    Source: the quadratic terms are those of Afifi, Price, Cohen and Brown, "When Color Constancy Goes Wrong",
        CVPR 2019, without their products of three and their constant.
    """

    curves: Tensor
    matrix: Tensor
    cubes: Tensor
    amounts: Tensor | None = None

    def __call__(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W), sRGB-encoded, floating, 0..1; the new images are not clamped."""
        bent = apply_curves(images, self.curves)
        red, green, blue = bent.flatten(2).unbind(1)
        terms = torch.stack(
            (red, green, blue, red**2, green**2, blue**2, red * green, red * blue, green * blue), 1
        )
        mapped = (self.matrix.transpose(1, 2) @ terms).reshape(images.shape)
        if self.cubes.shape[1]:
            mapped = mapped + apply_lut(bent, self.cubes)
        return mapped if self.amounts is None else images.lerp(mapped, self.amounts[:, None, None, None])

    def luts(self, size: int = 33) -> list[Lut3D]:
        """Return each map as a cube of `size` points an axis; its values are clamped to 0..1."""
        lattice = torch.from_numpy(Lut3D.identity(size).table.copy()).to(self.curves)
        colors = lattice.reshape(1, -1, 1, 3).permute(0, 3, 1, 2).expand(len(self.curves), -1, -1, -1)
        with torch.no_grad():
            tables = self(colors).clamp(0, 1).permute(0, 2, 3, 1).float().cpu()
        return [Lut3D(table.reshape(lattice.shape).numpy()) for table in tables]


class AdaptiveLut(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="lutkit",
    tags=["color", "white-balance", "image-to-image"],
):
    """A network from a thumbnail to a colour map; at first it changes nothing.

    A photo gives no certain evidence of a small fault. A network therefore changes correct photos a little,
    and again in each further pass. With a threshold t, a correction that would change the thumbnail by a mean
    delta E 2000 of m is made to the share m^4 / (m^4 + t^4): small ones are dropped, large ones hardly
    changed. In training, the network's corrections are always made in full.

    Args:
        cube_size: points an axis of the small cube, 2..9; 0 for curves and matrix alone.
        threshold: the change of a thumbnail, in mean delta E 2000, of which half is made; 0 for none.
        pooling: how squares of 4 px become a description of the image. `statistics`: three layers for each
            square, then the mean, the largest and the standard deviation of all. `mean`: two of the layers
            look at neighbouring squares, then the mean; this is the network of the contest.
    Raises:
        LutkitError: if an argument is out of range.
    """

    def __init__(self, cube_size: int = 5, threshold: float = 0.0, pooling: str = "statistics") -> None:
        super().__init__()
        if type(cube_size) is not int or cube_size not in _CUBE_SIZES:
            raise LutkitError(
                f"cube_size is {cube_size!r}", where="AdaptiveLut", remedy="choose 0, or 2 to 9"
            )
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold <= 20:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise LutkitError(
                f"threshold is {threshold!r}", where="AdaptiveLut", remedy="choose from 0 to 20"
            )
        if pooling not in _POOLINGS:
            raise LutkitError(
                f"pooling is {pooling!r}", where="AdaptiveLut", remedy=f"choose {' or '.join(_POOLINGS)}"
            )
        self.cube_size, self.threshold, self.pooling = cube_size, float(threshold), pooling
        # Small squares, each by itself or nearly so. With more information about positions the network would
        # recognize the few hundred photos instead of their light.
        if pooling == "mean":
            self.see = _seen_by_neighbours()
            described, hidden = 128, 128
        else:
            self.see = _SquareStatistics(64, 96, 128)
            described, hidden = 3 * 128, 96
        last = nn.Linear(hidden, 3 * KNOTS + 3 * TERMS + 3 * cube_size**3)
        self.say = nn.Sequential(nn.Linear(described, hidden), nn.LeakyReLU(0.1), last)
        nn.init.normal_(last.weight, std=1e-3)
        nn.init.zeros_(last.bias)
        self.register_buffer("line", torch.linspace(0, 1, KNOTS)[:, None].repeat(1, 3), persistent=False)
        self.register_buffer("same", torch.eye(TERMS, 3), persistent=False)

    def forward(self, thumbnails: Tensor) -> ColorMaps:
        """Predict a colour map for each thumbnail (B, 3, 64, 64), sRGB-encoded, floating, 0..1."""
        said = 0.3 * self.say(self.see(2 * thumbnails - 1))
        curves, matrix, cubes = said.split((3 * KNOTS, 3 * TERMS, 3 * self.cube_size**3), 1)
        cube = (-1, self.cube_size, self.cube_size, self.cube_size, 3)
        maps = ColorMaps(
            cast("Tensor", self.line) + curves.reshape(-1, KNOTS, 3),
            cast("Tensor", self.same) + matrix.reshape(-1, TERMS, 3),
            cubes.reshape(cube) if self.cube_size else cubes.reshape(len(cubes), 0, 0, 0, 3),
        )
        if self.training or not self.threshold:
            return maps
        some = thumbnails[_SOME].contiguous()
        before, after = (srgb_to_lab(images) for images in (some, maps(some).clamp(0, 1)))
        change = delta_e_2000(before, after).flatten(1).mean(1)
        return replace(maps, amounts=share_made(change, self.threshold))


def share_made(change: _Change, threshold: float) -> _Change:
    """Return the share of a correction that is made: change^4 / (change^4 + threshold^4).

    Args:
        change: the mean delta E 2000 by which the whole correction changes the image: a number or a tensor.
        threshold: the change of which half is made, above 0.
    """
    return change**4 / (change**4 + threshold**4)


class _SquareStatistics(nn.Module):
    """Describe each square of 4 px by three layers, and return mean, largest and standard deviation."""

    def __init__(self, *widths: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise((3 * _SQUARE_PX**2, *widths)):
            layers += [nn.Linear(before, after), nn.LeakyReLU(0.1)]
        self.describe = nn.Sequential(*layers)
        self.drop = nn.Dropout(0.1)

    def forward(self, images: Tensor) -> Tensor:
        squares = functional.unfold(images, _SQUARE_PX, stride=_SQUARE_PX).transpose(1, 2)
        found = self.describe(squares)
        # The root of a variance of 0 has no slope.
        deviation = (found.var(1, correction=0) + 1e-6).sqrt()
        return self.drop(torch.cat((found.mean(1), found.amax(1), deviation), 1))


def _seen_by_neighbours() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 32, 4, stride=4),
        nn.LeakyReLU(0.1),
        nn.Conv2d(32, 64, 1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(64, 64, 3, stride=2, padding=1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(64, 128, 3, stride=2, padding=1),
        nn.LeakyReLU(0.1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
    )
