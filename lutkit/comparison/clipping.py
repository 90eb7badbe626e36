"""Clipping: pixels that an output clips and its reference does not, and which of them its colours explain."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

from lutkit.color.srgb import FloatArray
from lutkit.comparison.artefact import Artefact, Artefacts, Chart, Column, ImagePair, channels_text
from lutkit.comparison.blocks import Blocks, Signed
from lutkit.comparison.explanation import explain
from lutkit.comparison.noise import Noise
from lutkit.compiled import compiled
from lutkit.lut.quality import MAX_CLIPPED_SHARE
from lutkit.photos.resize import Uint8Image

CLIP_MARGIN = 16  # the reference must be this many codes away from the end, or little is lost
_WORTH_EXPLAINING = 0.005  # share of a channel's pixels
_SLACK, _MOST_SLACK = 4.0, 16.0  # codes: how close to the end the explained colour must be
_MOST = 2 / 3  # if so much of a channel's clipping is explained, all of it is: no fit is exact at the ends
NEAR_END = 24  # codes: clipped pixels are still this close to the ends after compression

Swept: TypeAlias = npt.NDArray[np.bool_]  # the result of `swept_to_ends`


@dataclass(frozen=True, eq=False)
class Clipping(Artefact):
    """How much of one image is clipped.

    Args:
        shares: (2, 3), the share of pixels at 0 and at 255, by channel; for a pair, of newly clipped pixels.
        explained: (2, 3), the part of `shares` that the pair's change of colours explains; 0 for a single
            image.
    """

    shares: FloatArray
    explained: FloatArray

    name = "clipping"
    limit = MAX_CLIPPED_SHARE
    margin = 0.01
    amount = "{:.1%}"
    per_channel = False
    relative_to_green = False
    shifts_chroma = False
    told_of_swapped = True
    column = Column("new clip", "new clip", ".2%", "mean_newly_clipped")
    chart = Chart("new clipping", "clipped, %", lambda share: 100 * share)
    help = """\
  new clip     the share of pixels newly at 0 or 255, 16 codes or more from
               the reference, in the channel with most"""
    help_limit = "{:.0%} newly clipped"

    @classmethod
    def of_pair(cls, pair: ImagePair, earlier: Artefacts) -> Self:
        """Measure the clipping of a pair; see `newly_clipped`."""
        return cls(*newly_clipped(pair.reference, pair.output, earlier[Noise].codes, pair.blocks))

    @classmethod
    def of_image(cls, image: Uint8Image, earlier: Artefacts) -> Self:
        """Return the share of all pixels at each end."""
        ends = np.stack([(image == end).sum(axis=(0, 1)) for end in (0, 255)])
        return cls(ends / (image.shape[0] * image.shape[1]), np.zeros((2, 3)))

    def amounts(self) -> FloatArray:
        """Return (1,), the share of the channel and the end with most."""
        return np.array([self.shares.max()])

    def faults(self, *, explained: bool) -> FloatArray:
        """Return (3,), newly clipped shares that the colours do not explain; 0 if they explain most."""
        unexplained = np.where(self.explained >= _MOST * self.shares, 0, self.shares - self.explained)
        return (unexplained if explained else self.shares).max(axis=0)

    def consequences(self) -> FloatArray:
        """Return (3,), the clipping that follows from the change of colours, such as a strong cast."""
        return self.explained.max(axis=0)

    @classmethod
    def level(cls, images: Sequence[Self]) -> FloatArray:
        """Return (3,), the mean share of each image's end with more."""
        return np.stack([one.shares.max(axis=0) for one in images]).mean(axis=0)

    @classmethod
    def sentence(cls, value: float, channels: tuple[str, ...], images: Sequence[Self]) -> str:
        """Return how much is clipped, and in which channels."""
        return f"Clipping: {value:.1%} of pixels newly at 0 or 255 in {channels_text(channels)}"


def newly_clipped(
    reference: Uint8Image, output: Uint8Image, noise: FloatArray, blocks: Blocks
) -> tuple[FloatArray, FloatArray]:
    """Return shares of pixels at 0 and 255 whose reference is `CLIP_MARGIN` codes and 3 times the noise away.

    Clipping is explained if the change of colours that the rest of the image shows (`explain`, from blocks
    free of clipping) moves the pixels to the end too, as a strong cast does. A clipped highlight alone is
    not.

    Args:
        reference: (H, W, 3) uint8.
        output: the same shape.
        noise: (3,), of each channel, codes; NaN if unknown.
        blocks: as `free_blocks` returns them.
    Returns:
        Newly clipped shares, and the explained part of them: (2, 3) each, at 0 and at 255, by channel.
    """
    margin = CLIP_MARGIN + 3 * np.nan_to_num(noise)
    masks = ((output == 0) & (reference >= margin)), ((output == 255) & (reference <= 255 - margin))
    pixels = reference.shape[0] * reference.shape[1]
    found = np.stack([mask.sum(axis=(0, 1)) for mask in masks]) / pixels
    explained = np.zeros((2, 3))
    if found.max() < _WORTH_EXPLAINING:
        return found, explained
    fit = explain(blocks).fit
    before, after = blocks[:, 0].astype(np.float64), blocks[:, 1].astype(np.float64)
    apart = np.sqrt(((fit(before) - after) ** 2).mean(axis=0))
    slack = np.minimum(_SLACK + 3 * apart, _MOST_SLACK)
    for end, mask in enumerate(masks):
        some = mask.any(axis=2)
        if some.any():
            expected = fit(reference[some].astype(np.float64))
            there = expected >= 255 - slack if end else expected <= slack
            explained[end] = (there & mask[some]).sum(axis=0) / pixels
    return found, explained


def swept_to_ends(reference: Uint8Image, output: Uint8Image) -> Swept:
    """Find the codes of a channel that the output has moved to an end, with most codes in between.

    Args:
        reference: (H, W, 3) uint8.
        output: the same shape.
    Returns:
        (2, 3, 256): to 0, to 255; by channel and the reference's code.
    """
    swept = np.zeros((2, 3, 256), bool)
    for c in range(3):
        before, after = reference[..., c].reshape(-1), output[..., c].reshape(-1)
        every = np.bincount(before, minlength=256)
        low, high = (np.bincount(before[there], minlength=256)
                     for there in (after <= NEAR_END, after >= 255 - NEAR_END))  # fmt: skip
        swept[0, c] = 2 * low.cumsum() > every.cumsum()
        swept[1, c] = (2 * high[::-1].cumsum() > every[::-1].cumsum())[::-1]
    return swept


@compiled
def was_swept(reference: Signed, output: Signed, i: int, j: int, c: int, swept: Swept) -> bool:
    """Return whether clipping made a pixel stand out: it or a neighbour went to an end with most like it.

    Args:
        reference: (H, W, 3) signed codes.
        output: the same shape.
        i: the pixel's row, not at the border.
        j: its column, not at the border.
        c: the channel.
        swept: as `swept_to_ends` returns it.
    """
    for y in range(i - 1, i + 2):
        for x in range(j - 1, j + 2):
            code, became = int(reference[y, x, c]), int(output[y, x, c])
            to_end = (became <= NEAR_END and swept[0, c, code]) or (
                became >= 255 - NEAR_END and swept[1, c, code]
            )
            if to_end and abs(became - code) >= CLIP_MARGIN:
                return True
    return False
