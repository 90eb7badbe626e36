"""The latent balancer's network: from the posterior of a damaged image to that of the correct image.

Owns the network. Must not know how it is trained, or how images become latents.
"""

from collections.abc import Sequence
from typing import cast

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from lutkit.balancing.unet import UNet
from lutkit.errors import LutkitError


class LatentUnet(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="lutkit",
    tags=["color", "white-balance", "image-to-image"],
):
    """A network from moments to moments, fully convolutional; at first it changes nothing.

    Args:
        channels: C, the channels of a latent; the moments have 2C.
        widths: channels at each resolution of the U-Net, multiples of 8.
    Raises:
        LutkitError: if an argument is out of range.
    """

    def __init__(self, channels: int, widths: Sequence[int] = (64, 96, 128)) -> None:
        super().__init__()
        if type(channels) is not int or channels < 1:
            raise LutkitError(f"channels is {channels!r}", where="LatentUnet", remedy="give 1 or more")
        self.channels, self.widths = channels, tuple(widths)
        self.change = UNet(2 * channels, 2 * channels, widths)
        # A VAE's channels differ in mean and spread, and log-variances can be near -20.
        self.register_buffer("mean", torch.zeros(2 * channels, 1, 1))
        self.register_buffer("spread", torch.ones(2 * channels, 1, 1))

    def normalise_by(self, moments: Tensor) -> None:
        """Set the mean and spread of each channel from moments (n, 2C, h, w), before training."""
        flat = moments.transpose(0, 1).flatten(1)
        cast("Tensor", self.mean).copy_(flat.mean(1)[:, None, None])
        cast("Tensor", self.spread).copy_(flat.std(1).clamp(min=1e-3)[:, None, None])

    def normalised(self, moments: Tensor) -> Tensor:
        """Return the posteriors of latents whose channels have the mean 0 and the spread 1."""
        mean, spread = (cast("Tensor", each)[: self.channels] for each in (self.mean, self.spread))
        means, log_variances = moments.chunk(2, 1)
        return torch.cat([(means - mean) / spread, log_variances - 2 * spread.log()], 1)

    def forward(self, moments: Tensor) -> Tensor:
        """Return the moments of the correct image, for moments (B, 2C, h, w), unscaled, floating."""
        mean, spread = cast("Tensor", self.mean), cast("Tensor", self.spread)
        return moments + spread * self.change((moments - mean) / spread)
