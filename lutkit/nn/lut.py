"""LUTs on image tensors: `apply_lut`, `apply_curves`, and `LutModule`, a `Lut` as a layer.

The interpolation is that of `lutkit.lut.apply`, on any device, differentiable in the image and in the LUT.
Owns shapes, options and their limits; `interpolation` owns the arithmetic.
"""

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from lutkit.errors import ArrayError, LutError
from lutkit.lut.apply import Interpolation
from lutkit.lut.model import (
    MAX_SIZE_1D,
    MAX_SIZE_3D,
    MIN_SIZE,
    Lut,
    Lut1D,
    Lut3D,
    LutChain,
    Rgb,
    lut_stages,
)
from lutkit.lutfiles.given import LutLike, given_lut
from lutkit.nn.color import require_no_codes
from lutkit.nn.grid import TableGrid, TableReading
from lutkit.nn.interpolation import interpolate

_BLACK: Rgb = (0.0, 0.0, 0.0)
_WHITE: Rgb = (1.0, 1.0, 1.0)
_CUBE = (3, MAX_SIZE_3D, "(nr, ng, nb, 3)")
_DTYPES = (torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64)


def apply_lut(
    images: Tensor,
    table: Tensor,
    *,
    domain_min: Rgb = _BLACK,
    domain_max: Rgb = _WHITE,
    interpolation: Interpolation = "tetrahedral",
) -> Tensor:
    """Map every pixel of `images` through one cube, or through a separate cube for each image.

    Input is clamped to the domain; table values are not clamped. Integer results are clamped to the range of
    codes and rounded to nearest; float results are not clamped. A pixel with a NaN becomes NaN in all three
    channels, and a gradient through it makes some of the table's gradients NaN. Infinities are clamped like
    any value outside the domain. On the edge between two tetrahedra or cells the gradient is that of one
    side. There is no second derivative.

    On a CPU, without gradients, the loops of `lutkit.apply` map uint8 and float32, to the same bits.
    `torch.compile`, `torch.export`, and `vmap`, `grad` and `jvp` of `torch.func` work.

    On CUDA, if Triton is installed, a kernel reads tetrahedra. Its uint8 results may differ from the CPU's by
    1 in about 1% of values, except for the identity. There the table's gradient is summed in no fixed order,
    unless `torch.use_deterministic_algorithms(True)` is set.

    Args:
        images: (B, 3, H, W), sRGB-encoded, uint8 or floating with 0..1 nominal, in any memory format. float16
            and bfloat16 are computed in float32.
        table: (nr, ng, nb, 3), each n in 2..256, or (B, nr, ng, nb, 3); floating, on the images' device;
            `table[r, g, b]` -> RGB, as in `Lut3D`.
        domain_min: the input of the first lattice point, for each channel.
        domain_max: the input of the last lattice point, for each channel; above `domain_min`.
        interpolation: `tetrahedral` or `trilinear`, as in `lutkit.apply`.
    Returns:
        New images of the same shape and dtype, with gradients for images and table unless they are uint8.
    Raises:
        ArrayError: if images have another shape or dtype, or are floats with codes of 0..255 (see
            `lutkit.nn.color.require_no_codes`).
        LutError: if the table has another shape, dtype or device, or an option is out of range.
    Source: Kasson, Nin, Plouffe and Hafner, "Performing color space conversions with three-dimensional
        linear interpolation", Journal of Electronic Imaging 4(3), 1995.
    """
    _require_interpolation(interpolation, "apply_lut")
    return _checked_through(images, table, _Stage("apply_lut", interpolation, domain_min, domain_max))


def apply_curves(
    images: Tensor, table: Tensor, *, domain_min: Rgb = _BLACK, domain_max: Rgb = _WHITE
) -> Tensor:
    """Map every pixel of `images` through three linear curves, or through separate curves for each image.

    A NaN stays NaN in its own channel; everything else is as for `apply_lut`.

    Args:
        images: (B, 3, H, W), as for `apply_lut`.
        table: (n, 3), n in 2..65536, or (B, n, 3); floating, on the images' device; `table[i, channel]`.
        domain_min: the input of the first row, for each channel.
        domain_max: the input of the last row, for each channel; above `domain_min`.
    Returns:
        New images of the same shape and dtype, with gradients for images and table unless they are uint8.
    Raises:
        ArrayError: if images have another shape or dtype.
        LutError: if the table has another shape, dtype or device, or the domain is empty.
    """
    return _checked_through(images, table, _Stage("apply_curves", "curves", domain_min, domain_max))


class LutModule(nn.Module):
    """A LUT as a layer: (B, 3, H, W) in and out, with the results of `lutkit.apply`.

    Its tables are `table_0`, `table_1`, ..., one for each stage, float32: buffers, or parameters if they are
    learnable. Domains and interpolation are not in the state dict. Between the stages of a chain values are
    float32, or float64 for float64 images; uint8 images are rounded once, after the last stage.

    Args:
        lut: the LUT to apply, or the path of its file; the stages of a chain one after the other.
        interpolation: how cubes are read, as for `apply_lut`.
        learnable: whether the tables are parameters.
    Raises:
        LutError: if `lut` is neither a LUT nor a path, or the interpolation is unknown.
        SourceError, LutFormatError: if a file cannot be read, or holds no LUT.
    """

    def __init__(
        self, lut: LutLike, *, interpolation: Interpolation = "tetrahedral", learnable: bool = False
    ) -> None:
        super().__init__()
        _require_interpolation(interpolation, "LutModule")
        self._stages: list[_Stage] = []
        for index, stage in enumerate(lut_stages(given_lut(lut).lut)):
            table = torch.from_numpy(stage.table.copy())
            if learnable:
                self.register_parameter(f"table_{index}", nn.Parameter(table))
            else:
                self.register_buffer(f"table_{index}", table)
            reading = "curves" if isinstance(stage, Lut1D) else interpolation
            self._stages.append(_Stage("LutModule", reading, stage.domain_min, stage.domain_max))

    def forward(self, images: Tensor) -> Tensor:
        """Map images through the LUT.

        Args:
            images: (B, 3, H, W), as for `apply_lut`, on the module's device.
        Returns:
            New images of the same shape and dtype.
        Raises:
            ArrayError: if images have another shape or dtype.
            LutError: if images are on another device.
        """
        _require_images(images, self._stages[0])
        require_no_codes(images, max(self._stages[0].domain_max), "LutModule")
        values, last = images, len(self._stages) - 1
        for index, stage in enumerate(self._stages):
            between = torch.promote_types(values.dtype, torch.float32)
            values = _through(values, self._table(index), stage, images.dtype if index == last else between)
        return values

    def lut(self) -> Lut:
        """Return the current LUT, for instance after learning, to be written or applied without torch.

        Returns:
            A new `Lut1D`, `Lut3D`, or `LutChain` of them, without title and comments.
        Raises:
            LutError: if a table holds NaN or infinity.
        """
        stages: list[Lut1D | Lut3D] = []
        for index, stage in enumerate(self._stages):
            table = self._table(index).detach().float().cpu().numpy()
            kind = Lut1D if stage.reading == "curves" else Lut3D
            stages.append(kind(table, stage.domain_min, stage.domain_max))
        return stages[0] if len(stages) == 1 else LutChain(stages)

    def _table(self, index: int) -> Tensor:
        return cast("Tensor", getattr(self, f"table_{index}"))


@dataclass(frozen=True)
class _Stage:
    """The properties of a stage that its table does not give; `where` is the caller that an error names."""

    where: str
    reading: TableReading
    domain_min: Rgb
    domain_max: Rgb

    def __post_init__(self) -> None:
        bounds = (self.domain_min, self.domain_max)
        if any(len(bound) != 3 or not all(map(math.isfinite, bound)) for bound in bounds):
            raise LutError(f"the domain {bounds} is not two times three finite numbers", where=self.where)
        if not all(low < high for low, high in zip(*bounds, strict=True)):
            raise LutError(f"domain_min {bounds[0]} is not below domain_max {bounds[1]}", where=self.where)

    def grid(self, sizes: tuple[int, int, int], white: int) -> TableGrid:
        """Return the positions of a table's points, for images in which 1 is stored as `white`."""
        low_r, low_g, low_b = (white * low for low in self.domain_min)
        scale_r, scale_g, scale_b = (
            (size - 1) / (white * (high - low))
            for size, low, high in zip(sizes, self.domain_min, self.domain_max, strict=True)
        )
        return TableGrid(sizes, (low_r, low_g, low_b), (scale_r, scale_g, scale_b), self.reading)


def _checked_through(images: Tensor, table: Tensor, stage: _Stage) -> Tensor:
    _require_images(images, stage)
    require_no_codes(images, max(stage.domain_max), stage.where)
    return _through(images, table, stage)


def _through(images: Tensor, table: Tensor, stage: _Stage, output: torch.dtype | None = None) -> Tensor:
    _require_images(images, stage)
    _require_table(table, images, stage)
    points = 1 if stage.reading == "curves" else 3
    axes = table.shape[-1 - points : -1]
    rows = table.reshape(-1, axes.numel(), 3)
    grid = stage.grid((axes[0], axes[points // 2], axes[-1]), 255 if images.dtype == torch.uint8 else 1)
    return interpolate(images.flatten(2), rows, grid, output or images.dtype).reshape(images.shape)


def _require_interpolation(interpolation: str, where: str) -> None:
    if interpolation not in ("tetrahedral", "trilinear"):
        remedy = "choose 'tetrahedral' or 'trilinear'"
        raise LutError(f"no interpolation {interpolation!r}", where=where, remedy=remedy)


def _require_images(images: object, stage: _Stage) -> None:
    if not isinstance(images, Tensor):
        raise ArrayError(f"images must be a tensor, not {type(images).__name__}", where=stage.where)
    if images.dtype not in _DTYPES:
        remedy = "convert them to uint8 or a floating dtype"
        raise ArrayError(f"images have dtype {images.dtype}", where=stage.where, remedy=remedy)
    if images.ndim != 4 or images.shape[1] != 3:
        shape = tuple(images.shape)
        raise ArrayError(f"images have shape {shape}", where=stage.where, remedy="use (B, 3, H, W)")


def _require_table(table: object, images: Tensor, stage: _Stage) -> None:
    if not isinstance(table, Tensor) or table.dtype not in _DTYPES[1:]:
        kind = table.dtype if isinstance(table, Tensor) else type(table).__name__
        raise LutError(f"a table must be a tensor of floats, not {kind}", where=stage.where)
    if table.device != images.device:
        what = f"the table is on {table.device}, but the images are on {images.device}"
        raise LutError(what, where=stage.where, remedy="move one to the other")
    points, most, form = (1, MAX_SIZE_1D, "(n, 3)") if stage.reading == "curves" else _CUBE
    shape = tuple(table.shape)
    each = len(shape) == points + 2
    fits = each or len(shape) == points + 1
    if not fits or shape[-1] != 3 or not all(MIN_SIZE <= n <= most for n in shape[-1 - points : -1]):
        raise LutError(f"a table must be {form}, n in {MIN_SIZE}..{most}, not {shape}", where=stage.where)
    if each and shape[0] != len(images):
        raise LutError(f"{shape[0]} tables for {len(images)} images", where=stage.where)
