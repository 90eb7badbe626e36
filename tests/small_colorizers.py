"""Photographs whose colours follow from their lightness, small datasets of them, and tiny colorizers."""

import numpy as np
import torch
from PIL import Image
from small_datasets import build, manifest_of

import lutkit
from lutkit.ab.grid import ab_grid
from lutkit.ab.weights import weights_of_counts
from lutkit.color.lab import lab_to_srgb
from lutkit.colorizing.colorizer import Colorizer, colorizer_of

TINY = {"width": 2, "side": 32, "batch": 4, "device": "cpu", "learning_rate": 0.01}

SKY, LEAVES, EARTH = (-8.0, -24.0), (-24.0, 24.0), (8.0, 24.0)  # ab, in gamut
SKY_L, LEAVES_L, EARTH_L = 76.0, 52.0, 25.0


def landscape(seed, width=96, height=72):
    """A smooth bright blue sky above textured green leaves, and dark brown earth; (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    lab = np.empty((height, width, 3))
    horizon, ground = (int(height * share) for share in (rng.uniform(0.3, 0.5), rng.uniform(0.6, 0.8)))
    rows = np.arange(height)[:, None]
    for begin, end, lightness, ab, rough in (
        (0, horizon, SKY_L, SKY, 0.5),
        (horizon, ground, LEAVES_L, LEAVES, 6.0),
        (ground, height, EARTH_L, EARTH, 2.0),
    ):
        part = (rows >= begin) & (rows < end) & np.ones((1, width), bool)
        lab[part, 0] = lightness + rng.normal(0, rough, part.sum())
        lab[part, 1:] = ab + rng.normal(0, 1, 2)
    return np.rint(255 * np.clip(lab_to_srgb(lab), 0, 1)).astype(np.uint8)


def landscapes(folder, count=24, first=0):
    """Write landscapes as PNG."""
    folder.mkdir(parents=True)
    for number in range(first, first + count):
        Image.fromarray(landscape(number)).save(folder / f"land-{number:02d}.png")
    return folder


def build_landscapes(folder, count=24, splits=(("train", 0.75), ("val", 0.25))):
    """A dataset of landscapes as `folder/pairs`, and its classes and weights as `folder/weights.npz`."""
    photos = landscapes(folder / "photos", count)
    build(manifest_of(photos, n=count, codec="png", store="recipe", splits=splits), folder / "pairs")
    weigh(folder)
    return folder


def weigh(folder, grid="16", name="weights.npz"):
    counted = lutkit.count_colors(folder / "pairs", workers=1)
    return lutkit.ab_weights(counted, folder / name, grid=grid, observed=True, overwrite=True)


def uniform_weights(grid="16"):
    """All bins of a grid, equally frequent."""
    return weights_of_counts(np.ones((256, 256), np.int64), ab_grid(grid))


def nearest_class(network, ab):
    return int((network.bins - torch.tensor(ab)).norm(dim=1).argmin())


class Painter(Colorizer):
    """A colorizer that knows landscapes: by its lightness, a place is sky, leaves or earth.

    Its second choice, a bit less probable, is grey, so that a lower temperature is more colourful.
    """

    def forward(self, lightness):
        mean = torch.nn.functional.avg_pool2d(lightness, 4)[:, 0]
        logits = torch.full((len(mean), self.classes, *mean.shape[1:]), -30.0)
        logits[:, nearest_class(self, (0.0, 0.0))] = -0.5
        for low, high, ab in ((66, 200, SKY), (38, 66, LEAVES), (-1, 38, EARTH)):
            logits[:, nearest_class(self, ab)][(mean >= low) & (mean < high)] = 0.0
        return logits


def painter():
    """A `Painter` on the 16-unit grid."""
    network = Painter("16", 224, 2)
    network.load_state_dict(colorizer_of(uniform_weights(), 2).state_dict())
    return network.eval()
