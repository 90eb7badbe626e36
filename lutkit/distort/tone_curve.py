"""Tone curve: gamma, contrast, lifted blacks and lowered whites, the same for the three channels."""

import math
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.distort.draws import Range, Rng, log_uniform_in, require_in, rounded, towards, uniform
from lutkit.distort.family import Library, Space, Stage

# Uniform in log gamma, so that darker and lighter images are equally likely.
GAMMA: tuple[Range, ...] = ((0.5, 2.0),)
GAMMA_LOSSY: tuple[Range, ...] = ((0.2, 0.4), (2.2, 4.0))
CONTRAST: Range = (0.0, 4.0)
CONTRAST_LOSSY: Range = (6.0, 12.0)
BLACK: Range = (0.0, 0.2)
WHITE: Range = (0.75, 1.0)


@dataclass(frozen=True)
class ToneCurve:
    """y = black + (white - black) S(x^gamma) on encoded values, S a sigmoid through (0, 0) and (1, 1).

    Args:
        gamma: above 1 darkens; 0.1..10.
        contrast: k of S(x) = 1/2 + tanh(k (x - 1/2) / 2) / (2 tanh(k / 4)); 0 is a straight line; 0..20.
        black: what black becomes, 0..0.45.
        white: what white becomes, 0.5..1.
    """

    name: ClassVar[str] = "tone_curve"
    stage: ClassVar[Stage] = "camera"
    space: ClassVar[Space] = "encoded"
    per_channel: ClassVar[bool] = True
    affine: ClassVar[bool] = False

    gamma: float
    contrast: float
    black: float
    white: float

    def __post_init__(self) -> None:
        require_in(self.name, "gamma", self.gamma, (0.1, 10))
        require_in(self.name, "contrast", self.contrast, (0, 20))
        require_in(self.name, "black", self.black, (0, 0.45))
        require_in(self.name, "white", self.white, (0.5, 1))

    @classmethod
    def draw(cls, rng: Rng, library: Library, *, lossy: bool) -> Self:
        """Draw a curve; half of them are plain gammas."""
        gamma = log_uniform_in(rng, GAMMA_LOSSY if lossy else GAMMA)
        if rng.random() < 0.5:
            return cls(gamma, 0.0, 0.0, 1.0)
        contrast = uniform(rng, CONTRAST_LOSSY if lossy else CONTRAST)
        return cls(gamma, contrast, uniform(rng, BLACK), uniform(rng, WHITE))

    def scaled(self, amount: float) -> Self:
        """Bring the curve nearer to a straight line."""
        return type(self)(
            rounded(self.gamma**amount),
            rounded(self.contrast * amount),
            rounded(self.black * amount),
            towards(1, self.white, amount),
        )

    def transform(self, rgb: FloatArray, library: Library) -> FloatArray:
        """Apply gamma, then the sigmoid, then black and white."""
        curved = np.copysign(np.abs(rgb) ** self.gamma, rgb)
        if (
            self.contrast > 0.001
        ):  # below this the sigmoid is a line to 1e-7, and 0 would cause a division by 0
            half = 2 * math.tanh(self.contrast / 4)
            curved = 0.5 + np.tanh(self.contrast / 2 * (curved - 0.5)) / half
        return self.black + (self.white - self.black) * curved
