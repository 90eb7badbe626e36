"""The types of LUTs: `Lut1D`, `Lut3D`, `LutChain`, frozen and validated once.

Axis order and domain are defined here and nowhere else. Knows no file format and no interpolation.

Axis order: `Lut3D.table[r, g, b]` is the RGB that (r, g, b) maps to, red slowest in memory. A `.cube` file
lists red fastest; readers transpose.

Domain: on an axis of n lattice points, point i lies at domain_min + i / (n - 1) * (domain_max - domain_min),
for each channel. Input outside the domain is clamped to it. Table values are never clamped.
"""

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lutkit.errors import LutError

Float32Array: TypeAlias = npt.NDArray[np.float32]
Rgb: TypeAlias = tuple[float, float, float]

MIN_SIZE = 2
MAX_SIZE_1D = 65536
MAX_SIZE_3D = 256


@dataclass(frozen=True, eq=False)
class Lut1D:
    """Three curves, one for each channel.

    Args:
        table: (n, 3), n in 2..65536; kept as read-only float32. `table[i, channel]`.
        domain_min: the input of the first row, for each channel.
        domain_max: the input of the last row, for each channel; above `domain_min`.
        title: free text of one line.
        comments: free text, one line each.
    Raises:
        LutError: if the shape is another, the table holds integer codes or values that are not finite, or the
            domain is empty.
    """

    table: Float32Array
    domain_min: Rgb = (0.0, 0.0, 0.0)
    domain_max: Rgb = (1.0, 1.0, 1.0)
    title: str = ""
    comments: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        table = _frozen(self.table)
        if table.ndim != 2 or table.shape[1] != 3 or not MIN_SIZE <= table.shape[0] <= MAX_SIZE_1D:
            raise LutError(
                f"a 1D table must be (n, 3) with n in {MIN_SIZE}..{MAX_SIZE_1D}, not {table.shape}"
            )
        object.__setattr__(self, "table", table)
        _settle(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lut1D) and _equal(self, other)

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[object, ...]:
        # Through the constructor, so that the table is read-only after unpickling, too.
        return type(self), (self.table, self.domain_min, self.domain_max, self.title, self.comments)

    @property
    def size(self) -> int:
        """The number of rows."""
        return self.table.shape[0]

    @classmethod
    def identity(cls, size: int) -> "Lut1D":
        """Return the curves that change nothing, with `size` rows over 0..1."""
        return cls(np.repeat(np.linspace(0, 1, size)[:, None], 3, axis=1).astype(np.float32))


@dataclass(frozen=True, eq=False)
class Lut3D:
    """A lattice of RGB over RGB.

    Args:
        table: (nr, ng, nb, 3), each n in 2..256; kept as read-only float32. `table[r, g, b]` -> RGB.
        domain_min: the input of the first lattice point, for each channel.
        domain_max: the input of the last lattice point, for each channel; above `domain_min`.
        title: free text of one line.
        comments: free text, one line each.
    Raises:
        LutError: if the shape is another, the table holds integer codes or values that are not finite, or the
            domain is empty.
    """

    table: Float32Array
    domain_min: Rgb = (0.0, 0.0, 0.0)
    domain_max: Rgb = (1.0, 1.0, 1.0)
    title: str = ""
    comments: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        table = _frozen(self.table)
        fits = table.ndim == 4 and table.shape[3] == 3
        if not fits or not all(MIN_SIZE <= n <= MAX_SIZE_3D for n in table.shape[:3]):
            raise LutError(
                f"a 3D table must be (r, g, b, 3), each axis in {MIN_SIZE}..{MAX_SIZE_3D}, not {table.shape}"
            )
        object.__setattr__(self, "table", table)
        _settle(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lut3D) and _equal(self, other)

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[object, ...]:
        # Through the constructor, so that the table is read-only after unpickling, too.
        return type(self), (self.table, self.domain_min, self.domain_max, self.title, self.comments)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """The number of lattice points along red, green and blue."""
        red, green, blue, _ = self.table.shape
        return red, green, blue

    @classmethod
    def identity(cls, size: int) -> "Lut3D":
        """Return the cube that changes nothing, with `size` lattice points an axis over 0..1."""
        axis = np.linspace(0, 1, size).astype(np.float32)
        return cls(np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1))


@dataclass(frozen=True)
class LutChain:
    """LUTs one after the other, such as a shaper and its cube.

    Args:
        stages: at least one; the first is applied first. Stages of chains within it become its own stages.
    Raises:
        LutError: if there are no stages.
    """

    stages: "tuple[Lut1D | Lut3D, ...]"

    def __init__(self, stages: "Sequence[Lut]") -> None:
        flat: list[Lut1D | Lut3D] = []
        for stage in stages:
            flat.extend(stage.stages if isinstance(stage, LutChain) else (stage,))
        if not flat:
            raise LutError("a chain needs at least one LUT")
        object.__setattr__(self, "stages", tuple(flat))

    __hash__ = None  # type: ignore[assignment]


Lut: TypeAlias = Lut1D | Lut3D | LutChain


def lut_stages(lut: Lut) -> tuple[Lut1D | Lut3D, ...]:
    """Return the single LUTs that `lut` applies, in order."""
    return lut.stages if isinstance(lut, LutChain) else (lut,)


def _frozen(table: npt.ArrayLike) -> Float32Array:
    given = np.asarray(table)
    if given.dtype.kind in "iu" and given.size and (given.dtype.kind == "u" or np.abs(given).max() > 1):
        remedy = "divide 8-bit codes by 255 and 16-bit codes by 65535, because white is 1 in a table"
        raise LutError(f"a table of {given.dtype} holds codes, but must hold floats", remedy=remedy)
    kept = np.array(given, dtype=np.float32, order="C")
    kept.setflags(write=False)
    return kept


def _settle(lut: Lut1D | Lut3D) -> None:
    if not np.isfinite(lut.table).all():
        raise LutError("a table holds NaN or infinity")
    for name in ("domain_min", "domain_max"):
        low_or_high = tuple(map(float, getattr(lut, name)))
        if len(low_or_high) != 3 or not all(map(math.isfinite, low_or_high)):
            raise LutError(f"{name} must be three finite numbers, not {getattr(lut, name)!r}")
        object.__setattr__(lut, name, low_or_high)
    if not all(map(operator.lt, lut.domain_min, lut.domain_max)):
        raise LutError(f"domain_min {lut.domain_min} is not below domain_max {lut.domain_max}")


def _equal(one: Lut1D | Lut3D, other: Lut1D | Lut3D) -> bool:
    return (
        np.array_equal(one.table, other.table)
        and (one.domain_min, one.domain_max) == (other.domain_min, other.domain_max)
        and (one.title, one.comments) == (other.title, other.comments)
    )
