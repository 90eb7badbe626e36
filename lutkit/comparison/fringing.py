"""Fringing: displaced channels, each compared with what its reference would give at that place.

Owns the positions of channels. `lutkit.comparison.registration` registers planes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.comparison.artefact import (
    Artefact,
    Artefacts,
    Chart,
    Column,
    ImagePair,
    channels_text,
    known_medians,
)
from lutkit.comparison.blocks import Blocks, free_blocks
from lutkit.comparison.registration import find_shift, solve_three
from lutkit.measure.color_summary import CHANNELS
from lutkit.photos.resize import Uint8Image

_MOVED_PX = 0.1
_PASSES, _CHANNEL_DONE_PX = 3, 0.02
_LEAST_SIDE_PX = 16  # of what is left without margins, to fit a mix to
_TILES, _LEAST_TILE_PX, _LEAST_PLACED = 3, 48, 4  # along each side; and how many must be registered
_HOLDS_PX, _HOLDS_SHARE = 0.1, 0.05  # how much the shift of a tile may differ from that of the whole image
_OUTWARD_PX = 0.3


@dataclass(frozen=True, eq=False)
class Fringing(Artefact):
    """The displacement of the channels of one image.

    Args:
        shifts: (3, 2), x and y in pixels of red, green and blue, from their places in the reference; or, for
            a single image, from green's place. NaN if unknown.
    """

    shifts: FloatArray

    name = "fringing"
    limit = 0.15  # px
    margin = limit
    amount = "{:.2f} px"
    per_channel = True
    relative_to_green = True
    shifts_chroma = True
    told_of_swapped = True
    column = Column("fringe r g b", "fringe (px)", ".2f", "median_fringing_px", "fringe px")
    chart = Chart("Fringing of channels, px")
    help = """\
  fringe       the distance of a channel from the others, in pixels; - if it
               is too flat, or too unlike its reference, to measure that"""
    help_limit = "{:g} px of fringing"

    @classmethod
    def of_pair(cls, pair: ImagePair, earlier: Artefacts) -> Self:
        """Measure the fringing of a pair; see `channel_shifts`."""
        return cls(channel_shifts(pair.reference, pair.output, pair.blocks))

    @classmethod
    def of_image(cls, image: Uint8Image, earlier: Artefacts) -> Self:
        """Register red and blue with green."""
        red, green, blue = planes_of(image)
        return cls(np.array([find_shift(green, red), (0.0, 0.0), find_shift(green, blue)]))

    def place(self) -> FloatArray:
        """Return (2,), where most channels lie: the median of x and of y.

        If the shift of a channel is unknown, this is the smallest known shift; if all are unknown, NaN.
        """
        known = self.shifts[np.isfinite(self.shifts).all(axis=1)]
        if not len(known):
            return np.full(2, np.nan)
        return np.median(known, axis=0) if len(known) == 3 else known[np.hypot(*known.T).argmin()]

    def amounts(self) -> FloatArray:
        """Return (3,), the distance of each channel from `place` in pixels; NaN if unknown."""
        return np.hypot(*(self.shifts - self.place()).T)

    @classmethod
    def level(cls, images: Sequence[Self]) -> FloatArray:
        """Return (3,), the length of the median shift from green."""
        shifts = np.stack([one.shifts for one in images])
        return np.array([np.hypot(*known_medians(shifts[:, c])) for c in range(3)], np.float64)

    @classmethod
    def sentence(cls, value: float, channels: tuple[str, ...], images: Sequence[Self]) -> str:
        """Return which channels are displaced and how far; for one channel also where, if images agree."""
        text = f"Fringing: {channels_text(channels)} misregistered by {value:.2f} px"
        if len(channels) != 1:
            return text
        channel = CHANNELS.index(channels[0])
        apart = np.stack([one.shifts[channel] - one.place() for one in images])
        known = apart[np.isfinite(apart).all(axis=1)]
        x, y = (float(value) for value in np.median(known, axis=0))
        if np.hypot(x, y) < 0.5 * value:
            return f"{text}, in different directions from image to image"
        sides = [f"{abs(x):.2f} {'right' if x > 0 else 'left'}", f"{abs(y):.2f} {'down' if y > 0 else 'up'}"]
        seen = [side for side, size in zip(sides, (x, y), strict=True) if abs(size) >= 0.05]
        return f"{text} ({', '.join(seen)})"


def channel_shifts(reference: Uint8Image, output: Uint8Image, blocks: Blocks) -> FloatArray:
    """Measure how far each channel of the output lies from its place in the reference.

    Each channel is registered with the mix of the reference's channels that fits it best in the means of
    blocks free of clipping, clipped like the output. Neither fringes of the reference itself nor a change of
    colours count. A shift of the whole image must also be found at several places in it. In an image that is
    slightly larger, for example, the channels agree at each place, and a shift of the whole depends only on
    where the edges of a channel happen to be.

    For a displaced channel the mix is fitted to a displaced image, and by chance absorbs some of the shift,
    2% and more in small images. So the mix is fitted again after the channels are moved back, and they are
    registered with that.

    Args:
        reference: (H, W, 3) uint8 sRGB.
        output: the same shape.
        blocks: as `free_blocks` returns them.
    Returns:
        (3, 2), x and y in pixels; NaN if unknown.
    Source: our own.
    """
    expected, found = expected_planes(reference, blocks), planes_of(output)
    shifts = np.array([find_shift(*both) for both in zip(expected, found, strict=True)])
    moved = np.flatnonzero(np.nan_to_num(np.hypot(*shifts.T)) > _MOVED_PX).tolist()
    for _ in range(_PASSES if moved else 0):
        reach = int(np.ceil(np.nan_to_num(np.abs(shifts)).max())) + 1
        if min(reference.shape[:2]) < _LEAST_SIDE_PX + 2 * reach:
            break
        # Linear interpolation between pixels.
        planes = [_read_at(*one, reach) for one in zip(found, np.nan_to_num(shifts), strict=True)]
        back = np.rint(np.stack(planes, axis=2)).astype(np.uint8)
        expected = expected_planes(reference, free_blocks(reference[reach:-reach, reach:-reach], back))
        before = shifts[moved]
        for c in moved:
            shifts[c] = find_shift(expected[c], found[c])
        if not np.abs(shifts[moved] - before).max() > _CHANNEL_DONE_PX:
            break
    return _confirmed(shifts, expected, found) if moved else shifts


def _confirmed(shifts: FloatArray, expected: list[FloatArray], found: list[FloatArray]) -> FloatArray:
    """Return the shifts if they hold at the tiles of the image; otherwise return those of the tiles."""
    places, middles = _placed_tiles(shifts, expected, found)
    if len(places) < _LEAST_PLACED:
        return shifts
    off = np.median(np.hypot(*np.moveaxis(places - shifts, 2, 0)), axis=0)
    if (off <= _HOLDS_PX + _HOLDS_SHARE * np.hypot(*shifts.T)).all():
        return shifts
    own_middles = np.median(places, axis=1)
    apart = places - own_middles[:, None]
    typical, sizes = np.median(apart, axis=0), np.median(np.hypot(apart[..., 0], apart[..., 1]), axis=0)
    # The middle of an enlarged channel is in its place, and everything around the middle is not.
    lengths = np.hypot(*typical.T)
    outward = (sizes >= _OUTWARD_PX) & (lengths > 0)
    typical *= np.where(outward, sizes / np.where(outward, lengths, 1), 1)[:, None]
    # The place of the image's middle, also if the image is enlarged or rotated.
    plane = np.column_stack([np.ones(len(middles)), middles - np.array(expected[0].shape[::-1]) / 2])
    return np.linalg.lstsq(plane, own_middles)[0][0] + typical


def _placed_tiles(
    shifts: FloatArray, expected: list[FloatArray], found: list[FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Return (n, 3, 2), shifts at tiles where all channels have one; and (n, 2), x and y of these tiles."""
    height, width = expected[0].shape
    high, wide = height // _TILES, width // _TILES
    placed, middles = list[FloatArray](), list[tuple[float, float]]()
    if min(high, wide) < _LEAST_TILE_PX or not np.isfinite(shifts).all():
        return np.empty((0, 3, 2)), np.empty((0, 2))
    for top in range(0, high * _TILES, high):
        for left in range(0, wide * _TILES, wide):
            one = np.full((3, 2), np.nan)
            for c, (right, down) in enumerate(np.rint(shifts).astype(int).tolist()):
                # The part of the tile that has its counterpart within the image.
                x, y = max(left, -right), max(top, -down)
                w, h = min(left + wide, width - right) - x, min(top + high, height - down) - y
                before = expected[c][y : y + h, x : x + w]
                after = found[c][y + down : y + down + h, x + right : x + right + w]
                one[c] = np.array([right, down]) + find_shift(before, after)
            if np.isfinite(one).all():
                placed.append(one)
                middles.append((left + wide / 2, top + high / 2))
    return np.reshape(placed, (-1, 3, 2)), np.reshape(middles, (-1, 2))


def planes_of(image: Uint8Image) -> list[FloatArray]:
    """Return red, green and blue, (H, W) float64 each, new."""
    return [np.ascontiguousarray(image[..., c]).astype(np.float64) for c in range(3)]


def _read_at(plane: FloatArray, shift: FloatArray, reach: int) -> FloatArray:
    """Return the plane read further right and down by a shift, without the margin."""
    left, top = np.floor(shift).astype(int).tolist()
    fx, fy = (shift - np.floor(shift)).tolist()
    height, width = plane.shape[0] - 2 * reach, plane.shape[1] - 2 * reach
    wide = plane[reach + top : reach + top + height + 1, reach + left : reach + left + width + 1]
    rows = (1 - fy) * wide[:-1] + fy * wide[1:]
    return (1 - fx) * rows[:, :-1] + fx * rows[:, 1:]


def expected_planes(reference: Uint8Image, blocks: Blocks) -> list[FloatArray]:
    """Return each channel of the output as the best mix of the reference's channels, by means of blocks.

    If blocks cannot tell channels apart, a channel is made from the same channel of the reference.
    """
    before, after = blocks[:, 0].astype(np.float64), blocks[:, 1].astype(np.float64)
    middle, became = before.mean(axis=0), after.mean(axis=0)
    before, after = before - middle, after - became
    squares = np.array([[(before[:, i] * before[:, j]).mean() for j in range(3)] for i in range(3)])
    squares += np.eye(3) * (1e-4 * squares.trace() + 1e-6)
    channels, expected = planes_of(reference), list[FloatArray]()
    for c in range(3):
        own = (before[:, c] * after[:, c]).mean() / squares[c, c]
        rest = after[:, c] - own * before[:, c]
        parts = list(solve_three(squares, (before * rest[:, None]).mean(axis=0)))
        parts[c] += float(own)
        mixed = parts[0] * channels[0] + parts[1] * channels[1] + parts[2] * channels[2]
        offset = became[c] - sum(parts[i] * float(middle[i]) for i in range(3))
        expected.append(np.clip(mixed + offset, 0, 255))
    return expected
