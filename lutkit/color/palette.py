"""The 64 natural colours that severity and verdicts are measured on, each for an equal share of pixels.

They come from a median cut in CIELAB over 2,304 pixels of each of 512 photos (500 of ImageNet's validation
classes, one a class, and twelve of the Kodak suite); `scripts/make_palette.py` states the whole rule. The
numbers are frozen, because another palette would be another definition of severity.
"""

from functools import cache

import numpy as np

from lutkit.color.lab import srgb_to_lab
from lutkit.color.srgb import FloatArray, srgb_to_linear

_HEX = """
    000000 120a07 0b0d08 1a1a1c 1c1d22 1e2015 2e1e14 1e2037
    202521 2a2220 4a2618 39381c 294016 3c3e31 513d2b 71331e
    44474e 4e4546 424944 972620 4c5769 405783 815538 596551
    705e52 686437 4c6c29 6a6253 7a5e39 626863 64676e 706667
    81858e 818785 8f8687 a88162 878f60 838f7b a3857a 918c7c
    978b7d 8294ac 7195cf ca9261 81ac43 d49335 9fa6b0 a1a7a5
    aca6a6 bbb356 c3b0a2 b4b5a3 d8b190 bfbfbd c5c796 b6cae5
    c8ccd5 d7cebf d5d5d3 f2ecdc e7f1f2 f4eff3 ffffff ffffff
"""


def _read_only(values: FloatArray) -> FloatArray:
    values.setflags(write=False)
    return values


# (64, 3), darkest first: sRGB-encoded 0..1, multiples of 1/255, and the same in linear light.
PALETTE_SRGB = _read_only(np.frombuffer(bytes.fromhex(_HEX), np.uint8).reshape(-1, 3) / 255.0)
PALETTE_LINEAR = _read_only(srgb_to_linear(PALETTE_SRGB))


@cache
def natural_mixtures() -> FloatArray:
    """Return the palette and mixtures of its colours, which edges, gradients and blur add: (n, 3), read-only.

    Each pair of palette colours is mixed 1:3, 1:1 and 3:1, encoded, and rounded to 8 bits. Equal results
    count once, which leaves 5,858. If a look folds any colours of photos, it folds about the same share of
    these mixtures as of photos' pixels (for example, 0.43% of both). The 64 colours alone are too few to show
    that.
    """
    one, other = np.triu_indices(len(PALETTE_SRGB), 1)
    shares = np.array([0.25, 0.5, 0.75])[:, None, None]
    mixed = PALETTE_SRGB[one] + shares * (PALETTE_SRGB[other] - PALETTE_SRGB[one])
    colors = np.concatenate([PALETTE_SRGB, mixed.reshape(-1, 3)])
    return _read_only(np.unique(np.rint(255 * colors), axis=0) / 255)


@cache
def palette_lab() -> FloatArray:
    """Return the palette in CIELAB, (64, 3), read-only; computed on first use: loops are slow to start."""
    return _read_only(srgb_to_lab(PALETTE_SRGB))
