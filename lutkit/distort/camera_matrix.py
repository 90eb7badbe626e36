"""Camera matrix: a colour matrix that does not fit the sensor, so that channels leak into each other.

It is applied after the matrix of the rendering, and before the display clips.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

from lutkit.color.mixing import leaks_of, mix_channels
from lutkit.color.srgb import FloatArray
from lutkit.distort.draws import Rng, normal, require_in, rounded
from lutkit.distort.family import Library, Space, Stage

SIGMA = 0.05
SIGMA_LOSSY = 0.2


@dataclass(frozen=True)
class CameraMatrix:
    """A 3x3 matrix in linear light whose rows sum to 1, so that greys stay grey.

    Args:
        leaks: what red takes from green and blue, green from red and blue, and blue from red and green: (rg,
            rb, gr, gb, br, bg), each within -1..1. The diagonal is the rest to 1.
    """

    name: ClassVar[str] = "camera_matrix"
    stage: ClassVar[Stage] = "camera"
    space: ClassVar[Space] = "linear"
    per_channel: ClassVar[bool] = False
    affine: ClassVar[bool] = True

    leaks: tuple[float, ...]

    def __post_init__(self) -> None:
        require_in(self.name, "number of leaks", len(self.leaks), (6, 6))
        for leak in self.leaks:
            require_in(self.name, "leak", leak, (-1, 1))

    @classmethod
    def draw(cls, rng: Rng, library: Library, *, lossy: bool) -> Self:
        """Draw I + N(0, sigma), and scale each row to sum 1."""
        noise = [normal(rng, SIGMA_LOSSY if lossy else SIGMA) for _ in range(9)]
        leaks: list[float] = []
        for row in range(3):
            total = max(1 + sum(noise[3 * row : 3 * row + 3]), 0.3)
            leaks += [min(max(noise[3 * row + c] / total, -1), 1) for c in range(3) if c != row]
        return cls(tuple(rounded(leak) for leak in leaks))

    def scaled(self, amount: float) -> Self:
        """Blend with the identity matrix."""
        return type(self)(tuple(rounded(leak * amount) for leak in self.leaks))

    def transform(self, rgb: FloatArray, library: Library) -> FloatArray:
        """Multiply by the matrix."""
        return mix_channels(rgb, leaks_of(self.leaks))
