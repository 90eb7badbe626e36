"""The loss of the latent balancer, and its error on decoded images."""

from typing import ClassVar

from torch import Tensor, nn

from lutkit.balancing.balancer_training import BalancerTraining, Batch, picture_difference
from lutkit.latents.vae import Vae
from lutkit.nn.posterior import posterior_kl
from lutkit.training.train import TrainSettings

# Stable Diffusion's log-variances are near -20: below this floor, errors of the mean would count too much.
LOG_VARIANCE_FLOOR = -10.0


class NatsTraining(BalancerTraining):
    """A latent balancer in training: its loss and its error are KL(target || predicted).

    This direction divides by the network's own variance, which grows where the network is unsure.
    """

    unit: ClassVar[str] = "nats"

    def loss(self, batch: Batch) -> Tensor:
        """Return the divergence in nats per element of a latent."""
        found = self.corrected(batch.inputs)
        return posterior_kl(found, batch.targets, log_variance_floor=LOG_VARIANCE_FLOOR)

    def corrected(self, values: Tensor) -> Tensor:
        """Return moments after correction."""
        found: Tensor = self.network(values)
        return found

    def difference(self, found: Tensor, targets: Tensor) -> Tensor:
        """Return the divergence of each latent, (B,), in nats per element."""
        kl = posterior_kl(found, targets, log_variance_floor=LOG_VARIANCE_FLOOR, reduction="none")
        return kl.flatten(1).mean(1)


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
        images = (self.vae.decode(moments.chunk(2, 1)[0]) for moments in (found, targets))
        return picture_difference(*images)
