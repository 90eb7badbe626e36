"""The direct network: from the pixels of a damaged image to those of the correct image, without a VAE.

It exists to be compared with: the latent balancer and the adaptive LUT are the networks to use.
"""

from collections.abc import Sequence

from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from lutkit.balancing.unet import UNet
from lutkit.errors import LutkitError


class PixelUnet(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="lutkit",
    tags=["color", "white-balance", "image-to-image"],
):
    """A network from images to images, fully convolutional; at first it changes nothing.

    Args:
        widths: channels at each resolution of the U-Net, multiples of 8.
        dropout: the share of values that training sets to 0 in each block, 0..1.
    Raises:
        LutkitError: if an argument is out of range.
    """

    def __init__(self, widths: Sequence[int] = (16, 32, 64, 128), dropout: float = 0.0) -> None:
        super().__init__()
        if not isinstance(dropout, int | float) or not 0 <= dropout < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            remedy = "choose from 0 to below 1"
            raise LutkitError(f"dropout is {dropout!r}", where="PixelUnet", remedy=remedy)
        self.widths, self.dropout = tuple(widths), dropout
        self.change = UNet(3, 3, widths, dropout=dropout)

    def forward(self, images: Tensor) -> Tensor:
        """Return the correct images for images (B, 3, H, W), sRGB-encoded, floating, 0..1; not clamped."""
        return images + self.change(2 * images - 1)
