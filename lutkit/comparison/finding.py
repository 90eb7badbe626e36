"""Faults of a set as a noun, and what is kept of a pair to find them.

Knows no limits and no wording.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from lutkit.comparison.artefacts import Artefacts
from lutkit.comparison.explanation import Blocks

Kind: TypeAlias = Literal[
    "flat", "unlike", "strangers",
    "unexplained", "channels", "saturation", "hue", "cast", "lightness", "contrast",
    "shift", "fringing", "noise", "speckle", "clipping",
]  # fmt: skip
ARTEFACTS: tuple[Kind, ...] = ("fringing", "noise", "speckle", "clipping")
CHANNELS = ("red", "green", "blue")


@dataclass(frozen=True, eq=False)
class PairMeasure:
    """What is kept of one pair.

    Args:
        key: its name.
        found: artefacts beyond the reference's.
        before: the reference by itself.
        delta_e: the mean delta E 2000.
        blocks: some of its colours, as `lutkit.comparison.explanation` takes them.
        likeness: of the output to the reference, as `lutkit.comparison.likeness` gives it.
    """

    key: str
    found: Artefacts
    before: Artefacts
    delta_e: float
    blocks: Blocks
    likeness: float


@dataclass(frozen=True)
class Finding:
    """One fault of a set.

    Args:
        kind: of what kind.
        value: how much: a factor, degrees, units of Lab, pixels, codes, in a million, a share; the median of
            the images that have it.
        channels: those concerned, or none in particular; where they are swapped, which of the reference's
            is the output's red, green and blue.
        images: how many have it; 0 where it is of the whole set.
        worst: the names of those that have most of it, worst first.
        explained: it follows from the images' change of colours, and is no fault beside that.
        rare: fewer than one image in ten has it, as compression alone may give it to some: no fault of a set.
        of: where colours are left unexplained, how much there was to explain.
    """

    kind: Kind
    value: float
    channels: tuple[str, ...] = ()
    images: int = 0
    worst: tuple[str, ...] = ()
    explained: bool = False
    of: float = 0.0
    rare: bool = False

    @property
    def is_alone(self) -> bool:
        """Whether beside it nothing of a set can be judged."""
        return self.kind in ("flat", "unlike")

    @property
    def is_fault(self) -> bool:
        """Whether it counts against the set: neither a consequence nor rare."""
        return not self.explained and not self.rare
