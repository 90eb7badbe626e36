"""Make the literals of lutkit/color/palette.py: colours that each represent an equal share of photos' pixels.

    python scripts/make_palette.py FOLDER [FOLDER ...]

Every photo contributes the same number of pixels, on a fixed grid. The pool is cut in two at the median of
its widest CIELAB axis, and each half again, until there are 64 boxes of equal population. A box is
represented by its pixel nearest to its mean, or by its most frequent colour if that makes up a tenth of it,
so that clipped black and white represent themselves.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from lutkit.color.lab import srgb_to_lab

SIDE = 48
LEVELS = 6


def main() -> None:
    """Print the palette as rows of hexadecimal sRGB triplets, darkest first."""
    paths = sorted(path for folder in sys.argv[1:] for path in Path(folder).rglob("*") if path.is_file())
    pixels = np.concatenate([grid_pixels(path) for path in paths])
    lab = srgb_to_lab(pixels / 255.0)
    boxes = [np.arange(len(lab))]
    for _ in range(LEVELS):
        boxes = [half for box in boxes for half in halves(box, lab)]
    chosen = [representative(box, pixels, lab) for box in boxes]
    chosen.sort(key=lambda i: lab[i, 0])
    words = ["".join(f"{v:02x}" for v in pixels[i]) for i in chosen]
    for start in range(0, len(words), 8):
        print("    " + " ".join(words[start : start + 8]))


def grid_pixels(path: Path) -> np.ndarray:
    """Return the pixels of a photo on a fixed grid, (SIDE * SIDE, 3) uint8."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    rows = ((np.arange(SIDE) + 0.5) * pixels.shape[0] / SIDE).astype(int)
    columns = ((np.arange(SIDE) + 0.5) * pixels.shape[1] / SIDE).astype(int)
    return pixels[rows][:, columns].reshape(-1, 3)


def halves(box: np.ndarray, lab: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut a box of pixel numbers at the median of its widest axis (by standard deviation)."""
    axis = int(np.argmax(lab[box].std(axis=0)))
    order = box[np.argsort(lab[box, axis], kind="stable")]
    return order[: len(order) // 2], order[len(order) // 2 :]


def representative(box: np.ndarray, pixels: np.ndarray, lab: np.ndarray) -> int:
    """Return the number of the pixel that represents a box."""
    _, first, counts = np.unique(pixels[box], axis=0, return_index=True, return_counts=True)
    if counts.max() >= 0.1 * len(box):
        return int(box[first[counts.argmax()]])
    return int(box[np.argmin(((lab[box] - lab[box].mean(axis=0)) ** 2).sum(axis=1))])


if __name__ == "__main__":
    main()
