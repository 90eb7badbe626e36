"""What a damage family is: drawn parameters, an amount to scale them by, and what it does to colours.

There are two kinds. Families that change the light on a camera's sensor give a gain for each of its channels,
since light adds and sensors count. All others map colours, in linear light or encoded.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal, Protocol, Self, TypeAlias, TypeGuard

from lutkit.color.srgb import FloatArray, linear_to_srgb, srgb_to_linear
from lutkit.distort.draws import Rng
from lutkit.distort.rendering import Gains, Rendering
from lutkit.lut.model import Lut

Stage: TypeAlias = Literal["light", "camera", "medium", "editing"]
STAGES: tuple[Stage, ...] = ("light", "camera", "medium", "editing")  # in the order of damage

Space: TypeAlias = Literal["linear", "encoded"]
Library: TypeAlias = Mapping[str, Lut]  # sha256 of a LUT file -> the LUT


class Family(Protocol):
    """One way in which colours go wrong: a frozen dataclass, one small file each.

    Its fields are what a recipe records: numbers at 6 significant digits, strings, and tuples of numbers.
    `__post_init__` raises RecipeError for values that mean nothing.
    """

    name: ClassVar[str]
    stage: ClassVar[Stage]

    @classmethod
    def draw(cls, rng: Rng, library: Library, *, lossy: bool) -> Self:
        """Draw parameters: from the ranges that stay recoverable, or from those that mostly do not."""
        ...

    def scaled(self, amount: float) -> Self:
        """The same damage, weaker: 0 is the identity, 1 these parameters."""
        ...


class LightFamily(Family, Protocol):
    """A family that changes the light on the sensor: light, exposure, white balance."""

    def gains(self, rendering: Rendering) -> Gains:
        """What each channel of the camera, in linear light, is multiplied by; all above 0."""
        ...


class ColorFamily(Family, Protocol):
    """A family that maps colours."""

    space: ClassVar[Space]
    # Whether each output channel depends on its own input channel alone: it bakes to curves.
    per_channel: ClassVar[bool]
    # Whether channels mix by a matrix and an offset: it bakes to a cube of 2^3, exactly.
    affine: ClassVar[bool]

    def transform(self, rgb: FloatArray, library: Library) -> FloatArray:
        """Map (..., 3) colours in `space`, 0..1 nominal and not clamped, to new ones.

        A family that is neither per-channel nor affine clamps its input to 0..1, which is where its cube
        ends.
        """
        ...


def is_light(family: Family) -> TypeGuard[LightFamily]:
    """Whether a family changes the light on the sensor."""
    return hasattr(family, "gains")


def is_color(family: Family) -> TypeGuard[ColorFamily]:
    """Whether a family maps colours."""
    return hasattr(family, "transform")


def transform_families(
    families: tuple[ColorFamily, ...], rgb: FloatArray, space: Space, library: Library
) -> tuple[FloatArray, Space]:
    """Run colours through families, going over to the other space only where the next family needs it.

    Args:
        families: in order.
        rgb: (..., 3) float64, 0..1 nominal.
        space: what `rgb` is in.
        library: the LUT files that families may name.
    Returns:
        New colours of the same shape, not clamped, and the space they are in.
    """
    for family in families:
        rgb, space = in_space(rgb, space, family.space), family.space
        rgb = family.transform(rgb, library)
    return rgb, space


def in_space(rgb: FloatArray, space: Space, wanted: Space) -> FloatArray:
    """Colours (..., 3) float64 in `space`, brought to the wanted one; the same array where that is it."""
    if space == wanted:
        return rgb
    return srgb_to_linear(rgb) if wanted == "linear" else linear_to_srgb(rgb)
