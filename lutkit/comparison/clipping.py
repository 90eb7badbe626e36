"""Pixels that an output has clipped and its reference has not, and which of them its colours explain.

Knows nothing of other artefacts.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lutkit.color.srgb import FloatArray
from lutkit.comparison.explanation import Blocks, Picture, Signed, explain
from lutkit.compiled import compiled

CLIP_MARGIN = 16  # codes that the reference was away from the end: less than that is little lost
_WORTH_EXPLAINING = 0.005  # share of pixels, of a channel
_SLACK, _MOST_SLACK = 4.0, 16.0  # codes: how near the end a colour has to be expected
NEAR_END = 24  # codes: what was clipped lies so near the end after compression too

Mask: TypeAlias = npt.NDArray[np.bool_]


def newly_clipped(
    reference: Picture, output: Picture, noise: FloatArray, blocks: Blocks
) -> tuple[FloatArray, FloatArray]:
    """Shares of pixels at 0 and at 255 whose reference is `CLIP_MARGIN` codes and three times the noise away.

    Explained are those which a change of colours that the rest of the picture shows (`explain`, of blocks
    free of clipping) takes to the end as well: a strong cast, say. A highlight cut off by itself is not.

    Args:
        reference: (H, W, 3) uint8.
        output: the same shape.
        noise: (3,), of each channel, codes; NaN for unknown.
        blocks: as `free_blocks` gives them.
    Returns:
        Newly clipped, and of these what is explained: (2, 3) each, at 0 and at 255, a channel.
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


def swept_to_ends(reference: Picture, output: Picture) -> Mask:
    """Which codes of a channel the output has moved to an end, with most that lie between.

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
def was_swept(reference: Signed, output: Signed, i: int, j: int, c: int, swept: Mask) -> bool:
    """Whether clipping made a pixel stand out: it or a neighbour went to an end with most that were as near.

    Args:
        reference: (H, W, 3) signed codes.
        output: the same shape.
        i: the pixel's row, not at the border.
        j: its column, not at the border.
        c: the channel.
        swept: as `swept_to_ends` gives it.
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
