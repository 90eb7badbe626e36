"""The places of values in a table on tensors, and how the table is read. Knows no tensors."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

TableReading: TypeAlias = Literal["tetrahedral", "trilinear", "curves"]
Triple: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True)
class TableGrid:
    """How values map to points of a table, and how the table is read.

    Args:
        sizes: the number of points along each axis.
        low: the value at the first point, in the image's own units: codes for uint8.
        scale: points per unit.
        reading: `tetrahedral` or `trilinear` for a cube; `curves` for three curves, each read linearly.
    """

    sizes: tuple[int, int, int]
    low: Triple
    scale: Triple
    reading: TableReading
