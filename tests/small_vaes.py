"""A small VAE with random weights, saved as diffusers saves one, and stand-ins that misbehave."""

import dataclasses
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL

from lutkit.dataset.latent_index import VaeIdentity


@contextmanager
def one_thread():
    """torch on one thread within the block: for VAEs this small, waiting for a second one is all it does."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small_autoencoder(channels=4, seed=0, **changes):
    """An `AutoencoderKL` that halves sides once, or as often as `block_out_channels` say."""
    torch.manual_seed(seed)
    blocks = changes.pop("block_out_channels", (8, 8))
    model = AutoencoderKL(
        block_out_channels=blocks,
        down_block_types=("DownEncoderBlock2D",) * len(blocks),
        up_block_types=("UpDecoderBlock2D",) * len(blocks),
        latent_channels=channels,
        norm_num_groups=4,
        **changes,
    )
    # As diffusers starts them, biases are 0 and channels look alike.
    with torch.no_grad():
        for weights in model.parameters():
            weights.add_(0.05 * torch.randn_like(weights))
    return model.eval()


def save_vae(folder, **changes):
    """Save one to `folder`, and give the model back: the oracle."""
    model = small_autoencoder(**changes)
    model.save_pretrained(folder)
    return model


def oracle(model, images):
    """diffusers' own posterior of (B, 3, H, W) uint8 images, fed in -1..1."""
    with torch.no_grad():
        found = model.encode(images.float() / 255 * 2 - 1).latent_dist
    return torch.cat([found.mean, found.logvar], 1)


CPU = torch.device("cpu")
STAND_IN = VaeIdentity("stand-in", "", "0" * 64, {}, 1.0, 0.0, 12)


@dataclass(frozen=True)
class StandInVae:
    """A VAE that folds 2 x 2 pixels into channels and back: exact, until something is made of it.

    Args:
        most: how many images fit into memory at once.
        overflows: a picture without a value as dark as this becomes NaN in half floats.
        stays: whether float32 does so, too.
        clip: what its values are clamped to; outside, it knows nothing.
        red_only: whether what comes first is kept exactly, and what comes last halved.
    """

    most: int = 1000
    overflows: float = 1e9
    stays: bool = False
    clip: tuple[float, float] = (-1e9, 1e9)
    red_only: bool = False
    dtype: str = "float32"
    input_range: str = "-1,1"
    device: torch.device = CPU
    factor: int = 2
    identity: VaeIdentity = STAND_IN
    layout: str | None = None

    def encode(self, images):
        if len(images) > self.most:
            raise torch.OutOfMemoryError("out of memory")
        values = images.float() / 255 if images.dtype == torch.uint8 else images.float()
        if self.input_range == "-1,1":
            values = values * 2 - 1
        values = values.clamp(*self.clip)
        if self.red_only:
            values = values * torch.tensor([1, 1, 0.3]).view(3, 1, 1)
        mean = torch.nn.functional.pixel_unshuffle(values, 2)
        if self.dtype != "float32" or self.stays:
            mean = torch.where(mean.amin((1, 2, 3), keepdim=True) > self.overflows, torch.nan, mean)
        return torch.cat([mean, torch.full_like(mean, -4)], 1)

    def decode(self, latents):
        values = torch.nn.functional.pixel_shuffle(latents, 2)
        return ((values + 1) / 2 if self.input_range == "-1,1" else values).clamp(0, 1)

    def in_dtype(self, dtype):
        return dataclasses.replace(self, dtype=dtype)

    def in_range(self, input_range):
        return dataclasses.replace(self, input_range=input_range)

    def in_layout(self, layout):
        return dataclasses.replace(self, layout=layout)

    def compiled(self):
        return self
