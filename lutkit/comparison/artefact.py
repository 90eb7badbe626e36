"""The parts of an artefact of `lutkit compare`: a measure of one image, a limit, and the text about it.

Owns the interface that all artefacts share, and knows none of them: `lutkit.comparison.artefacts` lists them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol, Self, TypeVar

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.comparison.blocks import Blocks, free_blocks, require_pair
from lutkit.photos.resize import Uint8Image

OneArtefact = TypeVar("OneArtefact", bound="Artefact")


@dataclass(frozen=True, eq=False)
class ImagePair:
    """An image before and after a network.

    Args:
        reference: (H, W, 3) uint8 sRGB.
        output: the same shape.
    Raises:
        ArrayError: if the shape or dtype is wrong.
    """

    reference: Uint8Image
    output: Uint8Image

    def __post_init__(self) -> None:
        require_pair(self.reference, self.output)

    @cached_property
    def blocks(self) -> Blocks:
        """Return mean colours of blocks, as `free_blocks` does."""
        return free_blocks(self.reference, self.output)


@dataclass(frozen=True)
class Column:
    """The place of an artefact in the table of sets and in JSON.

    Args:
        head: the heading of the column.
        note: its name in the note below the table, with its unit.
        format: the format of a number.
        json_name: the JSON name of a set's number, or of its three numbers.
        channel_head: the heading in the table of channels; empty if the artefact has no value for each
            channel.
    """

    head: str
    note: str
    format: str
    json_name: str
    channel_head: str = ""


@dataclass(frozen=True)
class Chart:
    """How an artefact is drawn.

    Args:
        heading: the heading of the panel. Artefacts with a value for each channel have their own panel; all
            others share one.
        label: the label in the legend of the shared panel.
        drawn: converts a level to the value that is drawn.
    """

    heading: str
    label: str = ""
    drawn: Callable[[float], float] = float


class Artefact(Protocol):
    """One way in which networks spoil images: a frozen dataclass in its own file.

    An instance holds how much of the artefact one image has: beyond its reference, or on its own. The origin
    of a set's artefact is found from who else has the artefact on their own: references, training set, other
    sets.
    """

    name: ClassVar[str]  # the name of the finding
    limit: ClassVar[float]  # an image with more than this has the artefact
    margin: ClassVar[float]  # how much more one group of images must have on its own than another
    amount: ClassVar[str]  # the format of a level with its unit
    per_channel: ClassVar[bool]  # whether `amounts` are of red, green and blue
    relative_to_green: ClassVar[
        bool
    ]  # whether green has none on its own, because the others are measured against green
    shifts_chroma: ClassVar[bool]  # whether it alone makes colours more vivid
    told_of_swapped: ClassVar[bool]  # whether it is still an artefact if channels are swapped
    column: ClassVar[Column]
    chart: ClassVar[Chart]
    help: ClassVar[str]  # lines of `lutkit compare --help`, below the heading of the columns
    help_limit: ClassVar[str]  # the format of the limit in the help

    @classmethod
    def of_pair(cls, pair: ImagePair, earlier: "Artefacts") -> Self:
        """Measure what the output has and its reference does not.

        Args:
            pair: the images.
            earlier: the pair's amounts of the artefacts before this one in the table.
        """
        ...

    @classmethod
    def of_image(cls, image: Uint8Image, earlier: "Artefacts") -> Self:
        """Measure what an image, (H, W, 3) uint8 sRGB, has on its own.

        Such numbers include the image's own colours and detail: compare them between sets, not with 0.
        """
        ...

    def amounts(self) -> FloatArray:
        """Return (3,) values of channels, or (1,) value of the whole image; NaN if unknown."""
        ...

    def faults(self, *, explained: bool) -> FloatArray:
        """Return (3,) values of channels, or (1,) value: the part that counts as a fault.

        Args:
            explained: whether one change of colours explains the set; some of the artefact may follow from
                it.
        """
        return self.amounts()

    def most(self, faults: FloatArray) -> float:
        """Return the amount of the whole image, which is compared with the limit and reported.

        Args:
            faults: as `faults` returns them.
        """
        return float(np.nan_to_num(faults).max())

    def consequences(self) -> FloatArray:
        """Return (3,) or (1,): the part that follows from the change of colours and is therefore no fault."""
        return np.zeros(1)

    @classmethod
    def level(cls, images: Sequence[Self]) -> FloatArray:
        """Return (3,), the level of images on their own, by channel; NaN if nothing could be measured."""
        ...

    @classmethod
    def sentence(cls, value: float, channels: tuple[str, ...], images: Sequence[Self]) -> str:
        """Return a sentence about a set's artefact, without the number of images.

        Args:
            value: how much.
            channels: the channels that have it.
            images: the artefact of each pair of the set.
        """
        ...


@dataclass(frozen=True, eq=False)
class Artefacts:
    """The amounts of all artefacts in one image.

    Args:
        each: the amounts in the order of the table; during a measurement, those of the artefacts measured so
            far.
    """

    each: tuple[Artefact, ...]

    def __getitem__(self, kind: type[OneArtefact]) -> OneArtefact:
        """Return the amount of one artefact."""
        return next(one for one in self.each if isinstance(one, kind))


def known_medians(values: FloatArray) -> FloatArray:
    """Return the median of the known values in each column; NaN if none is known."""
    known = [column[np.isfinite(column)] for column in values.T]
    return np.array([float(np.median(column)) if len(column) else np.nan for column in known], np.float64)


def channels_text(names: tuple[str, ...]) -> str:
    """Return text such as `red and blue` or `all channels`."""
    return "all channels" if len(names) == 3 else " and ".join(names) or "single channels"
