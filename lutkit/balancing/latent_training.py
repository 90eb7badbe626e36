"""The loss of the latent balancer, and its error on decoded images."""

from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from lutkit.balancing.balancer_training import BalancerTraining, Batch, picture_difference
from lutkit.balancing.latent_unet import LatentUnet
from lutkit.latents.vae import Vae
from lutkit.nn.posterior import posterior_kl
from lutkit.training.train import TrainSettings

# In units of each channel's spread, so that it means the same for every VAE: errors of a mean below a third
# of the spread count alike. With the VAE's own variances, near e^-20 for Stable Diffusion's, the loss would
# mostly be about details that no balancing changes.
LOG_VARIANCE_FLOOR = -2.0


class NatsTraining(BalancerTraining):
    """A latent balancer in training: its loss and its error are KL(target || predicted).

    This direction divides by the network's own variance, which grows where the network is unsure. Moments are
    normalised by the network's mean and spread of each channel; that changes no divergence, but gives the
    floor of log-variances its unit.
    """

    unit: ClassVar[str] = "nats"

    def loss(self, batch: Batch) -> Tensor:
        """Return the divergence in nats per element of a latent."""
        return self._divergence(self.corrected(batch.inputs), batch.targets).mean()

    def corrected(self, values: Tensor) -> Tensor:
        """Return moments after correction."""
        found: Tensor = self.network(values)
        return found

    def difference(self, found: Tensor, targets: Tensor) -> Tensor:
        """Return the divergence of each latent, (B,), in nats per element."""
        return self._divergence(found, targets).flatten(1).mean(1)

    def _divergence(self, found: Tensor, targets: Tensor) -> Tensor:
        """Return the divergence of each element, (B, C, h, w)."""
        network = cast("LatentUnet", self.network)
        return posterior_kl(
            network.normalised(found),
            network.normalised(targets),
            log_variance_floor=LOG_VARIANCE_FLOOR,
            reduction="none",
        )


class DecodedTraining(NatsTraining):
    """The same, with its error measured on images: both means are decoded by the latents' VAE.

    Args:
        network: the network.
        settings: how it is trained.
        vae: the VAE of the latents.
    """

    unit: ClassVar[str] = "delta E 2000"

    def __init__(self, network: nn.Module, settings: TrainSettings, vae: Vae) -> None:
        super().__init__(network, settings)
        self.vae = vae

    def difference(self, found: Tensor, targets: Tensor) -> Tensor:
        """Return the mean delta E 2000 between the decodings of two means, (B,)."""
        # A precision of 16 bits is for the network: decodings in it differ by themselves.
        with torch.autocast(found.device.type, enabled=False):
            images = (self.vae.decode(moments.chunk(2, 1)[0].float()) for moments in (found, targets))
            return picture_difference(*images)
