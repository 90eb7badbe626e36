"""Where values lie in a table on tensors, and how it is read there. Knows no tensors."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

TableReading: TypeAlias = Literal["tetrahedral", "trilinear", "curves"]
Triple: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True)
class TableGrid:
    """How values find their places in a table, and what is read there.

    Args:
        sizes: points along each axis.
        low: the value at the first point, in the image's own units: codes for uint8.
        scale: points per unit.
        reading: a cube's `tetrahedral` or `trilinear`, or three `curves`, each read linearly.
    """

    sizes: tuple[int, int, int]
    low: Triple
    scale: Triple
    reading: TableReading
