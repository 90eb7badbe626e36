"""Baked recipes of a batch in one tensor, and what they do to pixels on any device, differentiable.

Recipes that bake to tables of the same shapes are one group, so that each step is one operation on all of
their images. Owns the layout of the tensor and the arithmetic; draws nothing, and checks no images.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils import checkpoint

from lutkit.distort.bake import BakedLayer
from lutkit.distort.mask import Mask, Patch
from lutkit.distort.recipe import Recipe
from lutkit.lut.kernels import SNAP, matrix_of
from lutkit.lut.model import Float32Array, Lut1D, Lut3D, LutChain, Rgb, lut_stages
from lutkit.nn.chunks import pixel_chunks
from lutkit.nn.grid import TableGrid
from lutkit.nn.interpolation import interpolate

_Reading: TypeAlias = Literal["curves", "matrix", "cube"]
_Sizes: TypeAlias = tuple[int, int, int]

_CPU_PIXELS = 1 << 15  # pixels at a time that fit the second-level cache
_GPU_PIXELS = 1 << 22  # pixels at a time that keep a GPU busy


@dataclass(frozen=True)
class StageShape:
    """How a stage is read, its points on each axis, and how many numbers it has.

    These are its domain (the lowest value of each channel, then the points per unit) and its table: curves
    one channel after the other, the 12 numbers of `kernels.matrix_of`, or the rows of a cube.
    """

    reading: _Reading
    sizes: _Sizes
    count: int


@dataclass(frozen=True)
class LayerShape:
    """The stages of a layer, and whether it is blended over its input: in parts, by a mask of waves.

    A blended layer has its strength, the mask's sharpness, the five numbers of a patch or the four of a mask
    that follows colours, and three for each wave; its stages follow.
    """

    stages: tuple[StageShape, ...]
    blended: bool
    patch: bool
    follows: bool
    waves: int

    @property
    def blend_count(self) -> int:
        """The numbers before the stages."""
        return 2 + 5 * self.patch + 4 * self.follows + 3 * self.waves if self.blended else 0


@dataclass(frozen=True)
class DamageGroup:
    """The recipes of a batch that bake to tables of the same shapes.

    Args:
        members: their numbers in the batch.
        layers: the shapes, in order.
        start: where their numbers begin: for each layer, for each stage, those of all members.
    """

    members: tuple[int, ...]
    layers: tuple[LayerShape, ...]
    start: int


@dataclass(frozen=True)
class BakedDamage:
    """Recipes and what they bake to, in one tensor, which goes to another process or device in one piece.

    Args:
        recipes: the recipe of each image.
        groups: where in `numbers` the tables of each recipe are.
        numbers: (n,) float32.
    """

    recipes: tuple[Recipe, ...]
    groups: tuple[DamageGroup, ...]
    numbers: Tensor

    def __len__(self) -> int:
        """Return the number of recipes."""
        return len(self.recipes)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> "BakedDamage":
        """Return the same damage with its numbers on a device."""
        return replace(self, numbers=self.numbers.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> "BakedDamage":
        """Return the same damage in pinned memory: a `DataLoader` with `pin_memory=True` calls this."""
        return replace(self, numbers=self.numbers.pin_memory())


def pack_damage(recipes: Sequence[Recipe], baked: Sequence[tuple[BakedLayer, ...]]) -> BakedDamage:
    """Put what recipes bake to into one tensor on the CPU.

    Args:
        recipes: the recipe of each image.
        baked: the layers of each recipe, from `lutkit.distort.bake`.
    """
    packed = [[_packed_layer(layer) for layer in layers] for layers in baked]
    alike: dict[tuple[LayerShape, ...], list[int]] = {}
    for number, layers in enumerate(packed):
        alike.setdefault(tuple(layer.shape for layer in layers), []).append(number)
    groups: list[DamageGroup] = []
    parts: list[Float32Array] = []
    start = 0
    for shapes, members in alike.items():
        groups.append(DamageGroup(tuple(members), shapes, start))
        for place in range(len(shapes)):
            for blocks in zip(*(packed[number][place].blocks for number in members), strict=True):
                parts += blocks
                start += blocks[0].size * len(blocks)
    numbers = np.concatenate(parts) if parts else np.empty(0, np.float32)
    return BakedDamage(tuple(recipes), tuple(groups), torch.from_numpy(numbers))


def unpack_damage(damage: BakedDamage) -> list[tuple[BakedLayer, ...]]:
    """Return the layers of each recipe, to the precision of float32."""
    layers: list[tuple[BakedLayer, ...]] = [()] * len(damage)
    numbers = damage.numbers.cpu()
    for group in damage.groups:
        found = [list[BakedLayer]() for _ in group.members]
        for shape, blend, tables in _blocks(numbers, group):
            for row, own in enumerate(found):
                stages = [
                    _unpacked(stage, table[row].numpy())
                    for stage, table in zip(shape.stages, tables, strict=True)
                ]
                lut = stages[0] if len(stages) == 1 else LutChain(stages)
                blends = [1.0, 0.0] if blend is None else cast("list[float]", blend[row].tolist())
                mask = _mask_of(blends[1:], shape) if shape.waves else None
                own.append(BakedLayer(lut, mask, blends[0]))
        for number, own in zip(group.members, found, strict=True):
            layers[number] = tuple(own)
    return layers


def through_tables(images: Tensor, damage: BakedDamage) -> Tensor:
    """Damage images with operations on tensors.

    Args:
        images: (B, 3, H, W), uint8 or floating; one for each recipe.
        damage: with its numbers on the images' device.
    Returns:
        New images of the same shape and dtype; uint8 is rounded to nearest and clamped, floats are neither.
    """
    result = torch.empty_like(images)
    for group in damage.groups:
        if len(group.members) == len(images):
            result.copy_(_through_group(images, damage.numbers, group))
        else:
            members = torch.tensor(group.members, device=images.device)
            own = images.index_select(0, members)
            result.index_copy_(0, members, _through_group(own, damage.numbers, group))
    return result


@dataclass(frozen=True)
class _PackedLayer:
    """A layer's shape and numbers: one block of how it is blended, if it is, and one for each stage."""

    shape: LayerShape
    blocks: tuple[Float32Array, ...]


def _packed_layer(layer: BakedLayer) -> _PackedLayer:
    shapes: list[StageShape] = []
    blocks: list[Float32Array] = []
    mask = layer.mask
    waves, patch, follows = ((), None, None) if mask is None else (mask.waves, mask.patch, mask.follows)
    blended = mask is not None or layer.strength != 1
    if blended:
        numbers = [layer.strength, 0.0 if mask is None else mask.sharpness]
        if patch is not None:
            numbers += [patch.x, patch.y, patch.radius, patch.ring, patch.roughness]
        if follows is not None:
            numbers += follows
        blocks.append(np.array([*numbers, *waves], np.float32))
    for stage in lut_stages(layer.lut):
        sizes = (stage.size, stage.size, stage.size) if isinstance(stage, Lut1D) else stage.sizes
        spans = zip(sizes, stage.domain_min, stage.domain_max, strict=True)
        domain = np.array(
            [*stage.domain_min, *((size - 1) / (high - low) for size, low, high in spans)], np.float32
        )
        reading: _Reading = "curves" if isinstance(stage, Lut1D) else "cube"
        table = stage.table.T if isinstance(stage, Lut1D) else stage.table
        if sizes == (2, 2, 2) and reading == "cube":
            matrix = matrix_of(stage.table.reshape(-1))
            reading, table = ("matrix", matrix) if matrix.size else (reading, table)
        blocks.append(np.concatenate((domain, table.reshape(-1))))
        shapes.append(StageShape(reading, sizes, blocks[-1].size))
    shape = LayerShape(tuple(shapes), blended, patch is not None, follows is not None, len(waves) // 3)
    return _PackedLayer(shape, tuple(blocks))


def _blocks(numbers: Tensor, group: DamageGroup) -> Iterator[tuple[LayerShape, Tensor | None, list[Tensor]]]:
    """Yield each layer's shape, how it is blended (g, blend_count), and its stages' numbers (g, count)."""
    at, rows = group.start, len(group.members)
    for shape in group.layers:
        counts = [shape.blend_count] * shape.blended + [stage.count for stage in shape.stages]
        found: list[Tensor] = []
        for count in counts:
            found.append(numbers[at : at + rows * count].view(rows, count))
            at += rows * count
        yield shape, found.pop(0) if shape.blended else None, found


def _unpacked(shape: StageShape, numbers: Float32Array) -> Lut1D | Lut3D:
    low, scale, table = numbers[:3], numbers[3:6], numbers[6:]
    high = low + (np.array(shape.sizes) - 1) / scale
    ends = _rgb(low), _rgb(high)
    if shape.reading == "curves":
        return Lut1D(table.reshape(3, -1).T, *ends)
    if shape.reading == "cube":
        return Lut3D(table.reshape(*shape.sizes, 3), *ends)
    red, grey, blue, black = table.reshape(3, 4).T
    r, g, b = (axis[..., None] for axis in np.meshgrid(*[np.arange(2)] * 3, indexing="ij"))
    return Lut3D((black + grey * g + red * (r - g) + blue * (b - g)).astype(np.float32), *ends)


def _mask_of(numbers: list[float], shape: LayerShape) -> Mask:
    """Return the mask of its sharpness and the numbers after it, to the precision of float32."""
    if shape.follows:
        return Mask(tuple(numbers[5:]), numbers[0], None, tuple(numbers[1:5]))
    if not shape.patch:
        return Mask(tuple(numbers[1:]), numbers[0])
    x, y, radius, ring, roughness = numbers[1:6]
    return Mask(tuple(numbers[6:]), numbers[0], Patch(x, y, radius, ring, roughness))


def _rgb(values: npt.NDArray[np.floating]) -> Rgb:
    red, green, blue = values.tolist()
    return red, green, blue


@dataclass(frozen=True)
class _Stage:
    """One stage of some images: `low` and `scale` (g, 3, 1), and its table as `_read` takes it."""

    reading: _Reading
    sizes: _Sizes
    low: Tensor
    scale: Tensor
    table: Tensor

    def of(self, images: slice) -> "_Stage":
        """Return the stage of some of the images."""
        return replace(self, low=self.low[images], scale=self.scale[images], table=self.table[images])


@dataclass(frozen=True)
class _Layer:
    """One layer of some images: its stages, and how much of it is blended in, (g, 1, P) or (g, 1, 1).

    If the mask follows colours, `weight` is the part of u that depends on the place, and `follows`
    (g, 5, 1, 1) is what u gains by red, green and blue and a constant, and the layer's strength.
    """

    stages: tuple[_Stage, ...]
    weight: Tensor | None
    follows: Tensor | None = None

    def of(self, images: slice, pixels: slice) -> "_Layer":
        """Return the layer of some pixels of some of the images."""
        stages, weight = tuple(stage.of(images) for stage in self.stages), self.weight
        if weight is not None:
            weight = weight[images] if weight.shape[2] == 1 else weight[images, :, pixels]
        return _Layer(stages, weight, None if self.follows is None else self.follows[images])

    def weight_on(self, pixels: Tensor) -> Tensor | None:
        """Return how much of the layer is blended in on images (g, 3, P) before any damage; None is all."""
        if self.weight is None or self.follows is None:
            return self.weight
        red, green, blue, constant, strength = self.follows.unbind(1)
        colors = pixels.to(self.weight.dtype) / (255 if pixels.dtype == torch.uint8 else 1)
        u = self.weight + constant + red * colors[:, :1] + green * colors[:, 1:2] + blue * colors[:, 2:]
        return strength * _smooth_step(u)


def _through_group(images: Tensor, numbers: Tensor, group: DamageGroup) -> Tensor:
    if not group.layers:
        return images
    height, width = images.shape[2:]
    kind = torch.promote_types(images.dtype, torch.float32) if images.is_floating_point() else torch.float32
    layers = [
        _Layer(
            tuple(_stage(part, table, kind) for part, table in zip(shape.stages, tables, strict=True)),
            None if blend is None else _weights(blend, shape, height, width).to(kind),
            torch.cat((blend[:, 2:6], blend[:, :1]), 1).to(kind)[:, :, None, None]
            if blend is not None and shape.follows
            else None,
        )
        for shape, blend, tables in _blocks(numbers, group)
    ]
    pixels = images.flatten(2)
    first, whole = layers[0].stages[0], layers[0].weight is None
    if images.dtype == torch.uint8 and first.reading == "curves" and whole:
        # Curves have one result for each code.
        codes = torch.arange(256, device=images.device, dtype=kind).expand(len(images), 3, 256) / 255
        layers[0] = _Layer((replace(first, table=_read(codes, first)), *layers[0].stages[1:]), None)
    result = torch.empty_like(pixels)
    most = _GPU_PIXELS if images.is_cuda else _CPU_PIXELS
    for own, _, part in pixel_chunks(len(images), height * width, most):
        chunk, through = pixels[own, :, part], [layer.of(own, part) for layer in layers]
        if chunk.requires_grad and torch.is_grad_enabled():
            # Computed again for the gradient: what lies between the stages would fill the memory.
            values = cast(
                "Tensor", cast("Any", checkpoint).checkpoint(_through, chunk, through, use_reentrant=False)
            )
        else:
            values = _through(chunk, through)
        result[own, :, part] = values
    return result.view(images.shape)


def _stage(shape: StageShape, numbers: Tensor, kind: torch.dtype) -> _Stage:
    values = numbers.to(kind)[:, :, None]
    low, scale, table = values[:, :3], values[:, 3:6], values[:, 6:]
    if shape.reading == "curves":
        table = table.view(len(table), 3, -1)
    elif shape.reading == "cube":
        table = table.view(len(table), -1, 3)
    return _Stage(shape.reading, shape.sizes, low, scale, table)


def _weights(blend: Tensor, shape: LayerShape, height: int, width: int) -> Tensor:
    """Return strength times mask, as `distort.mask` computes it: (g, 1, P), or (g, 1, 1) without a mask.

    If the mask follows colours, return the part of u that depends on the place.
    """
    strength, sharpness = blend[:, 0, None, None], blend[:, 1, None, None]
    if not shape.waves:
        return strength
    x = (torch.arange(width, device=blend.device) + 0.5) / width
    y = (torch.arange(height, device=blend.device) + 0.5) / height
    each = blend[:, -3 * shape.waves :].view(-1, shape.waves, 3, 1)
    across = 2 * math.pi * each[:, :, 0] * x + each[:, :, 2]
    down = 2 * math.pi * each[:, :, 1] * y
    total = torch.zeros((), device=blend.device)
    for wave in range(shape.waves):
        # Products, not a product of matrices: that may be computed at half precision on a GPU.
        cosines = down[:, wave].cos()[:, :, None] * across[:, wave].cos()[:, None]
        total = total + cosines - down[:, wave].sin()[:, :, None] * across[:, wave].sin()[:, None]
    if shape.patch:
        left, top, radius, ring, roughness = blend[:, 2:7, None, None].unbind(1)
        distance = ((x - left) ** 2 + (y[:, None] - top) ** 2).sqrt()
        distance = distance - radius * roughness * total
        to_ring = (distance - radius).abs() / ring.clamp_min(1e-6)
        total = 1 - torch.where(ring > 0, to_ring, distance / radius)
    u = sharpness * total
    return (u if shape.follows else strength * _smooth_step(u)).flatten(1)[:, None]


def _smooth_step(u: Tensor) -> Tensor:
    return 0.5 * (u / (u * u + 1).sqrt() + 1)


def _through(pixels: Tensor, layers: list[_Layer]) -> Tensor:
    """Map (g, 3, P) through layers; the dtype stays."""
    kind = layers[0].stages[0].table.dtype
    values = pixels if pixels.dtype == torch.uint8 else pixels.to(kind)
    for layer in layers:
        after = values
        for stage in layer.stages:
            if after.dtype != torch.uint8:
                after = _read(after, stage)
            elif stage.reading == "curves" and layer.weight is None:
                after = stage.table.gather(2, after.long())
            else:
                after = _read(after.to(kind) / 255, stage)
        weight = layer.weight_on(pixels)
        if weight is not None:
            before = values.to(kind) / 255 if values.dtype == torch.uint8 else values
            after = before + weight * (after - before)
        values = after
    if pixels.dtype != torch.uint8:
        return values.to(pixels.dtype)
    snap = float(SNAP)  # the same as in the compiled loops
    return (values * 255 + snap - snap).round().clamp(0, 255).to(torch.uint8)


def _read(values: Tensor, stage: _Stage) -> Tensor:
    """Map (g, 3, P) floats through one stage."""
    places = (values - stage.low) * stage.scale
    if stage.reading == "cube":
        grid = TableGrid(stage.sizes, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "tetrahedral")
        return interpolate(places, stage.table, grid, places.dtype)
    places = places.clamp(0, stage.sizes[0] - 1)
    if stage.reading == "curves":
        # A NaN has no row, but it stays NaN by its weight.
        rows = places.detach().nan_to_num(0).floor().clamp(max=stage.sizes[0] - 2)
        first = rows.long()
        start, end = stage.table.gather(2, first), stage.table.gather(2, first + 1)
        return start + (end - start) * (places - rows)
    green = places[:, 1:2]
    red, blue = places[:, :1] - green, places[:, 2:] - green
    # By differences from green: greys have bit-equal sums in all channels, if the table's greys are equal.
    from_red, grey, from_blue, black = stage.table.view(-1, 3, 4, 1).unbind(2)
    return black + grey * green + from_red * red + from_blue * blue
