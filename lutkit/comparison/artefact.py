"""What an artefact of `lutkit compare` is: a measure of one image, a limit, and how it is told.

Owns the shape that all artefacts have, and knows none of them: `lutkit.comparison.artefacts` has the table.
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
    """An image and what became of it.

    Args:
        reference: (H, W, 3) uint8 sRGB.
        output: the same shape.
    Raises:
        ArrayError: another shape or dtype.
    """

    reference: Uint8Image
    output: Uint8Image

    def __post_init__(self) -> None:
        require_pair(self.reference, self.output)

    @cached_property
    def blocks(self) -> Blocks:
        """Mean colours of blocks, as `free_blocks` gives them."""
        return free_blocks(self.reference, self.output)


@dataclass(frozen=True)
class Column:
    """Where an artefact stands in the table of sets, and in JSON.

    Args:
        head: of the column.
        note: its name in the note below the table, with its unit.
        format: of a number.
        json_name: of the number, or of the three numbers, of a set.
        channel_head: of the column in the table of channels; empty where the artefact is not one of channels.
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
        heading: of the panel. Artefacts of channels have a panel each, all others share one.
        label: in the legend of the shared panel.
        drawn: from a level to what is drawn of it.
    """

    heading: str
    label: str = ""
    drawn: Callable[[float], float] = float


class Artefact(Protocol):
    """One way in which networks spoil images: a frozen dataclass, one file each.

    An instance says how much of it one image has: beyond its reference, or by itself. How a set came by an
    artefact is told by who else has it by itself.
    """

    name: ClassVar[str]  # of the finding
    limit: ClassVar[float]  # an image that has more of it has the artefact
    margin: ClassVar[float]  # by how much a set has more of it by itself than another
    amount: ClassVar[str]  # the format of a level with its unit
    per_channel: ClassVar[bool]  # whether `amounts` are of red, green and blue
    relative_to_green: ClassVar[
        bool
    ]  # whether by itself green has none, since the others are held against it
    shifts_chroma: ClassVar[bool]  # whether it alone makes colours more vivid
    told_of_swapped: ClassVar[bool]  # whether it is still one where channels are swapped
    column: ClassVar[Column]
    chart: ClassVar[Chart]
    help: ClassVar[str]  # lines of `lutkit compare --help`, under the head they explain
    help_limit: ClassVar[str]  # the format of the limit, for the same

    @classmethod
    def of_pair(cls, pair: ImagePair, earlier: "Artefacts") -> Self:
        """What the output has and its reference has not.

        Args:
            pair: the images.
            earlier: what the pair has of the artefacts before this one in the table.
        """
        ...

    @classmethod
    def of_image(cls, image: Uint8Image, earlier: "Artefacts") -> Self:
        """What an image, (H, W, 3) uint8 sRGB, has by itself.

        Such numbers hold the image's own colours and detail as well: compare them between sets, not with 0.
        """
        ...

    def amounts(self) -> FloatArray:
        """(3,) of channels, or (1,) of the whole image; NaN where it is not known."""
        ...

    def faults(self, *, explained: bool) -> FloatArray:
        """(3,) of channels, or (1,): what counts against the image.

        Args:
            explained: whether one change of colours explains the set: then some may follow from that.
        """
        return self.amounts()

    def most(self, faults: FloatArray) -> float:
        """How much of it the image has, all channels together: what is held against the limit, and told.

        Args:
            faults: as `faults` gives them.
        """
        return float(np.nan_to_num(faults).max())

    def consequences(self) -> FloatArray:
        """(3,) or (1,): what follows from the change of colours, and is no fault beside that."""
        return np.zeros(1)

    @classmethod
    def level(cls, images: Sequence[Self]) -> FloatArray:
        """(3,), how much images by themselves have of it, a channel; NaN where nothing could be measured."""
        ...

    @classmethod
    def sentence(cls, value: float, channels: tuple[str, ...], images: Sequence[Self]) -> str:
        """What a set has, without the number of images.

        Args:
            value: how much.
            channels: that have it.
            images: the artefact of each pair of the set.
        """
        ...


@dataclass(frozen=True, eq=False)
class Artefacts:
    """What one image has of each artefact.

    Args:
        each: in the order of the table; while an image is measured, those before the next.
    """

    each: tuple[Artefact, ...]

    def __getitem__(self, kind: type[OneArtefact]) -> OneArtefact:
        """What it has of one kind."""
        return next(one for one in self.each if isinstance(one, kind))


def known_medians(values: FloatArray) -> FloatArray:
    """The median of each column, of what is known of it; NaN where nothing is."""
    known = [column[np.isfinite(column)] for column in values.T]
    return np.array([float(np.median(column)) if len(column) else np.nan for column in known], np.float64)


def channels_text(names: tuple[str, ...]) -> str:
    """`red and blue`, `all channels`."""
    return "all channels" if len(names) == 3 else " and ".join(names) or "one channel or another"
