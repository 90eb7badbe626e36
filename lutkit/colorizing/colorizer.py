"""The colorizer: a network from lightness to the chances of classes of ab.

Owns the network, and the classes that its outputs mean. Must not know how it is trained, or where photos come
from.
"""

from itertools import pairwise
from typing import Any, cast

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn
from torch.nn import functional

from lutkit.ab.weights import AbWeights
from lutkit.errors import LutkitError

STRIDE = 4  # input pixels, along each axis, of an output
COARSEST = 8  # the network's smallest resolution; sides of inputs are multiples of it
LIGHTNESS_LEVELS = 50  # of lightness
_WIDTHS = range(2, 129)
_MOST_DROPOUT = 0.9


class Colorizer(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="lutkit",
    tags=["colorization", "image-to-image"],
):
    """A network of eight blocks, fully convolutional.

    Each block has two or three convolutions of 3 x 3 and a batch norm. The first three blocks halve the
    resolution, the fifth and the sixth are dilated, and the eighth doubles the resolution again.

    Args:
        grid: the name of the grid of its classes.
        classes: the number of classes, Q.
        width: channels of the first block, 2..128; the blocks in the middle have eight times as many. 64 is
            the source's.
        dropout: the share of channels after the fourth to seventh block that training leaves out, 0..0.9.
    Raises:
        LutkitError: if an argument is out of range.
    Source: Zhang, Isola and Efros, "Colorful image colorization", ECCV 2016, with the network of its released
        code. Here the eighth block enlarges bilinearly: a transposed convolution leaves a checkerboard. The
        logits of a table of classes by lightness are added to the network's: with few photographs, the
        network would spend its training on finding that table, and would find a worse one.
    """

    bins: Tensor  # (Q, 2) float32, a and b of each class
    prior: Tensor  # (Q,) float32, the share of each class in the data, smoothed
    table: Tensor  # (LIGHTNESS_LEVELS, Q) float32, logarithms of the shares of classes by lightness

    def __init__(self, grid: str, classes: int, width: int = 16, dropout: float = 0.0) -> None:
        super().__init__()
        if type(width) is not int or width not in _WIDTHS:
            raise LutkitError(f"--width is {width!r}", remedy=f"choose {_WIDTHS[0]} to {_WIDTHS[-1]}")
        if type(classes) is not int or not 1 <= classes < 1 << 15:
            raise LutkitError(f"classes is {classes!r}", where="Colorizer", remedy="give the number of bins")
        if type(dropout) not in (int, float) or not 0 <= dropout <= _MOST_DROPOUT:
            raise LutkitError(f"--dropout is {dropout!r}", remedy=f"choose 0 to {_MOST_DROPOUT}")
        self.grid, self.classes, self.width = grid, classes, width
        self.down = nn.Sequential(
            _block((1, width, width), stride=2),
            _block((width, 2 * width, 2 * width), stride=2),
            _block((2 * width, 4 * width, 4 * width, 4 * width), stride=2),
            _block((4 * width, *3 * (8 * width,)), dropout=dropout),
            _block(4 * (8 * width,), dilation=2, dropout=dropout),
            _block(4 * (8 * width,), dilation=2, dropout=dropout),
            _block(4 * (8 * width,), dropout=dropout),
        )
        self.up = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            _block((8 * width, 4 * width, 4 * width)),
            nn.Conv2d(4 * width, classes, 1),
        )
        self.register_buffer("bins", torch.zeros(classes, 2))
        self.register_buffer("prior", torch.full((classes,), 1 / classes))
        self.register_buffer("table", torch.zeros(LIGHTNESS_LEVELS, classes))

    def forward(self, lightness: Tensor) -> Tensor:
        """Return logits (B, Q, H / 4, W / 4) for lightness (B, 1, H, W), L 0..100; H and W multiples of 8."""
        logits: Tensor = self.up(self.down(lightness / 50 - 1))
        return logits.float() + at_levels(self.table, lightness)


def at_levels(table: Tensor, lightness: Tensor) -> Tensor:
    """Return the rows of a table (LIGHTNESS_LEVELS, Q) for the mean lightness of each output.

    Rows are the levels' middles; between them, the table is interpolated, so that smooth areas stay smooth.

    Args:
        table: (LIGHTNESS_LEVELS, Q).
        lightness: (B, 1, H, W), L 0..100.
    Returns:
        (B, Q, H / 4, W / 4).
    """
    mean = cast("Tensor", cast("Any", functional).avg_pool2d(lightness, STRIDE))[:, 0]
    places = (mean * (LIGHTNESS_LEVELS / 100) - 0.5).clamp(0, LIGHTNESS_LEVELS - 1)
    below = places.long().clamp(max=LIGHTNESS_LEVELS - 2)
    rows = torch.lerp(table[below], table[below + 1], (places - below)[..., None])
    return rows.permute(0, 3, 1, 2).contiguous()


def colorizer_of(weights: AbWeights, width: int, dropout: float = 0.0) -> Colorizer:
    """Return an untrained colorizer for the classes of a dataset.

    Args:
        weights: the classes.
        width: as for `Colorizer`.
        dropout: as for `Colorizer`.
    """
    network = Colorizer(weights.grid.name, len(weights.grid.bins), width, dropout)
    network.bins.copy_(torch.from_numpy(weights.grid.bins.copy()))
    network.prior.copy_(torch.from_numpy(weights.smoothed.copy()))
    # It begins with the shares of the data; training replaces them by those of each lightness.
    network.table.copy_(network.prior.clamp(min=1e-6).log().expand(LIGHTNESS_LEVELS, -1))
    last = cast("nn.Conv2d", network.up[-1])
    nn.init.normal_(last.weight, std=1e-2)
    nn.init.zeros_(cast("Tensor", last.bias))
    return network


def _block(
    widths: tuple[int, ...], *, stride: int = 1, dilation: int = 1, dropout: float = 0.0
) -> nn.Sequential:
    """Return convolutions between these numbers of channels; the last one has the stride."""
    layers: list[nn.Module] = []
    for number, (before, after) in enumerate(pairwise(widths), 2):
        step = stride if number == len(widths) else 1
        layers += [
            nn.Conv2d(before, after, 3, stride=step, padding=dilation, dilation=dilation),
            nn.ReLU(inplace=True),
        ]
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            # Torch's own start makes signals a third as large with each convolution, and learning slower.
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(cast("Tensor", layer.bias))
    return nn.Sequential(*layers, nn.BatchNorm2d(widths[-1]), nn.Dropout2d(dropout))
