"""Channel gamma: the plain 1D family, a power curve for each channel."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.distort.draws import Range, Rng, log_uniform_in, require_in, rounded
from lutkit.distort.family import Library, Space, Stage

# Exponents whose curves mostly keep the 35 dB of the gate on photos, and exponents whose curves mostly do
# not.
GAMMA: tuple[Range, ...] = ((0.4, 2.2),)
GAMMA_LOSSY: tuple[Range, ...] = ((0.2, 0.4), (2.2, 4.0))


@dataclass(frozen=True)
class ChannelGamma:
    """y = x^gamma on encoded values, for each channel.

    Args:
        gammas: the exponents of red, green and blue; above 1 darkens; 0.1..10.
    """

    name: ClassVar[str] = "channel_gamma"
    stage: ClassVar[Stage] = "editing"
    space: ClassVar[Space] = "encoded"
    per_channel: ClassVar[bool] = True
    affine: ClassVar[bool] = False

    gammas: tuple[float, ...]

    def __post_init__(self) -> None:
        require_in(self.name, "number of gammas", len(self.gammas), (3, 3))
        for gamma in self.gammas:
            require_in(self.name, "gammas", gamma, (0.1, 10))

    @classmethod
    def draw(cls, rng: Rng, library: Library, *, lossy: bool) -> Self:
        """Draw an exponent for each channel, uniform in its logarithm."""
        ranges = GAMMA_LOSSY if lossy else GAMMA
        return cls(tuple(log_uniform_in(rng, ranges) for _ in range(3)))

    def scaled(self, amount: float) -> Self:
        """Bring the exponents nearer to 1."""
        return type(self)(tuple(rounded(gamma**amount) for gamma in self.gammas))

    def transform(self, rgb: FloatArray, library: Library) -> FloatArray:
        """Raise each channel to its exponent, mirrored below 0."""
        return np.copysign(np.abs(rgb) ** np.array(self.gammas), rgb)
