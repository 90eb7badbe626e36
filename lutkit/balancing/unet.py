"""A fully convolutional U-Net, for latents and for images; it knows neither.

Owns the network. Must not know what its channels mean, or how it is trained.
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from lutkit.errors import LutkitError

_GROUP = 8  # channels that are normalised together


class UNet(nn.Module):
    """A U-Net of residual blocks; at first its output is 0.

    At its lowest resolution, the mean over the whole image is added to each place: a cast belongs to the
    whole image.

    Args:
        channels_in: the channels of its input.
        channels_out: the channels of its output.
        widths: channels at each resolution, each a multiple of 8; each resolution is half the one before.
        dropout: the share of values that training sets to 0 in each block, 0 to below 1.
    Raises:
        LutkitError: if a width is no multiple of 8.
    Source: Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation",
        MICCAI 2015, with the residual blocks of He et al., "Identity Mappings in Deep Residual Networks",
        ECCV 2016.
    """

    def __init__(
        self, channels_in: int, channels_out: int, widths: Sequence[int], *, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if not widths or any(type(width) is not int or width < _GROUP or width % _GROUP for width in widths):
            remedy = f"give multiples of {_GROUP}, such as 64, 96, 128"
            raise LutkitError(f"widths are {list(widths)}", remedy=remedy)
        self.first = nn.Conv2d(channels_in, widths[0], 3, padding=1)
        steps = list(pairwise(widths))
        self.down_blocks = nn.ModuleList(_Block(fine, dropout) for fine, _ in steps)
        self.shrink = nn.ModuleList(nn.Conv2d(fine, coarse, 4, stride=2, padding=1) for fine, coarse in steps)
        self.middle = nn.ModuleList(_Block(widths[-1], dropout) for _ in range(2))
        self.whole = nn.Sequential(
            nn.Linear(widths[-1], widths[-1]), nn.GELU(), nn.Linear(widths[-1], widths[-1])
        )
        self.grow = nn.ModuleList(nn.Conv2d(coarse, fine, 3, padding=1) for fine, coarse in steps[::-1])
        self.up_blocks = nn.ModuleList(_Block(fine, dropout) for fine, _ in steps[::-1])
        self.last = nn.Conv2d(widths[0], channels_out, 3, padding=1)
        for weights in self.last.parameters():
            nn.init.zeros_(weights)

    def forward(self, values: Tensor) -> Tensor:
        """Return (B, channels_out, h, w) for (B, channels_in, h, w), floating, of any height and width."""
        height, width = values.shape[-2:]
        multiple = 2 ** len(self.shrink)
        padding = (0, -width % multiple, 0, -height % multiple)
        now = self.first(functional.pad(values, padding, mode="replicate"))
        kept: list[Tensor] = []
        for block, shrink in zip(self.down_blocks, self.shrink, strict=True):
            now = block(now)
            kept.append(now)
            now = shrink(now)
        now = self.middle[0](now)
        now = self.middle[1](now + self.whole(now.mean((2, 3)))[:, :, None, None])
        for grow, block in zip(self.grow, self.up_blocks, strict=True):
            now = block(grow(functional.interpolate(now, scale_factor=2.0, mode="nearest")) + kept.pop())
        found: Tensor = self.last(now)
        return found[..., :height, :width]


class _Block(nn.Module):
    """Two convolutions whose result is added to their input."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.GroupNorm(width // _GROUP, width),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(width // _GROUP, width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, values: Tensor) -> Tensor:
        return values + self.change(values)
