"""Adaptive LUTs whose map is known, and small datasets to train on."""

import torch
from small_datasets import build, make_photos, manifest_of

from lutkit.balancing.adaptive_lut import KNOTS, AdaptiveLut


def config_of(cube_size):
    """What config.json must say of a network that these functions make."""
    return {
        "architecture": "adaptive-lut",
        "cube_size": cube_size,
        "threshold": 0.0,
        "pooling": "statistics",
    }


def known_model(*, matrix=None, curves=None, cube=None, cube_size=0, threshold=0.0):
    """A network that predicts the same map for every image: what is added to the identity's numbers."""
    model = AdaptiveLut(cube_size, threshold).eval()
    last = model.say[-1]
    with torch.no_grad():
        last.weight.zero_()
        parts = [torch.zeros(KNOTS, 3), torch.zeros(9, 3), torch.zeros(cube_size, cube_size, cube_size, 3)]
        for number, part in enumerate((curves, matrix, cube)):
            if part is not None:
                parts[number] += torch.as_tensor(part, dtype=torch.float32)
        last.bias.copy_(torch.cat([part.flatten() for part in parts]) / 0.3)
    return model


def gain_model(red=0.7, green=1.0, blue=0.9, threshold=0.0):
    """A network that multiplies the channels."""
    matrix = torch.zeros(9, 3)
    matrix[[0, 1, 2], [0, 1, 2]] = torch.tensor([red, green, blue]) - 1
    return known_model(matrix=matrix, threshold=threshold)


def sensitive_model(seed=3):
    """A network whose map depends strongly on the image."""
    torch.manual_seed(seed)
    model = AdaptiveLut(3).eval()
    with torch.no_grad():
        model.say[-1].weight.normal_(0, 0.3)
    return model


def build_pairs(folder, n=48, splits=(("train", 0.75), ("val", 0.25))):
    """A dataset of small pairs with the splits train and val."""
    return build(manifest_of(make_photos(folder / "photos", 24), n=n, splits=splits), folder / "pairs")
