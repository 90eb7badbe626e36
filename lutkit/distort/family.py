"""The definition of a damage family: drawn parameters, an amount to scale them by, and its effect on colours.

There are two kinds. Families that change the light on a camera's sensor give a gain for each of its channels,
because light adds and sensors are linear. All others map colours, in linear light or encoded.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal, Protocol, Self, TypeAlias, TypeGuard

from lutkit.color.density import density_to_linear, linear_to_density
from lutkit.color.srgb import FloatArray, linear_to_srgb, srgb_to_linear
from lutkit.distort.draws import Rng
from lutkit.distort.rendering import Gains, Rendering
from lutkit.lut.model import Lut

Stage: TypeAlias = Literal["light", "camera", "medium", "editing"]
STAGES: tuple[Stage, ...] = ("light", "camera", "medium", "editing")  # in the order of damage

# Linear light adds, and so does the density of dyes; editors work on encoded values.
Space: TypeAlias = Literal["linear", "density", "encoded"]
Library: TypeAlias = Mapping[str, Lut]  # sha256 of a LUT file -> the LUT


class Family(Protocol):
    """One way in which colours go wrong: a frozen dataclass, each in a small file of its own.

    Its fields are what a recipe records: numbers at 6 significant digits, strings, and tuples of numbers.
    `__post_init__` raises RecipeError for impossible values.
    """

    name: ClassVar[str]
    stage: ClassVar[Stage]

    @classmethod
    def draw(cls, rng: Rng, library: Library, *, lossy: bool) -> Self:
        """Draw parameters: from the ranges that stay recoverable, or from those that mostly do not."""
        ...

    def scaled(self, amount: float) -> Self:
        """Return the same damage, weaker: 0 is the identity, 1 these parameters."""
        ...


class LightFamily(Family, Protocol):
    """A family that changes the light on the sensor: light, exposure, white balance."""

    def gains(self, rendering: Rendering) -> Gains:
        """Return the gain of each channel of the camera, in linear light; all are above 0."""
        ...


class ColorFamily(Family, Protocol):
    """A family that maps colours."""

    space: ClassVar[Space]
    # Whether each output channel depends only on its own input channel, so that the family bakes to curves.
    per_channel: ClassVar[bool]
    # Whether channels mix by a matrix and an offset, so that the family bakes to a cube of 2^3, exactly.
    affine: ClassVar[bool]

    def transform(self, rgb: FloatArray, library: Library) -> FloatArray:
        """Map (..., 3) colours in `space`, 0..1 nominal (densities 0..3) and not clamped, to new colours.

        A family that is neither per-channel nor affine clamps its input to 0..1, where its cube ends.
        """
        ...


def is_light(family: Family) -> TypeGuard[LightFamily]:
    """Return whether a family changes the light on the sensor."""
    return hasattr(family, "gains")


def is_color(family: Family) -> TypeGuard[ColorFamily]:
    """Return whether a family maps colours."""
    return hasattr(family, "transform")


def transform_families(
    families: tuple[ColorFamily, ...], rgb: FloatArray, space: Space, library: Library
) -> tuple[FloatArray, Space]:
    """Map colours through families, changing the space only if the next family needs it.

    Args:
        families: in order.
        rgb: (..., 3) float64, 0..1 nominal.
        space: the space of `rgb`.
        library: the LUT files that families may name.
    Returns:
        New colours of the same shape, not clamped, and their space.
    """
    for family in families:
        rgb, space = in_space(rgb, space, family.space), family.space
        rgb = family.transform(rgb, library)
    return rgb, space


def in_space(rgb: FloatArray, space: Space, wanted: Space) -> FloatArray:
    """Return colours (..., 3) float64 in the wanted space; the same array if they are already in it."""
    if space == wanted:
        return rgb
    linear = rgb if space == "linear" else _LINEAR_OF[space](rgb)
    return linear if wanted == "linear" else _OF_LINEAR[wanted](linear)


_LINEAR_OF = {"encoded": srgb_to_linear, "density": density_to_linear}
_OF_LINEAR = {"encoded": linear_to_srgb, "density": linear_to_density}
