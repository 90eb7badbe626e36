"""What the trainings of all balancing networks share: batches of pairs, and figures on validation pairs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from lutkit.nn.color import srgb_to_lab
from lutkit.nn.color_losses import delta_e_2000
from lutkit.results import six_digits
from lutkit.training.train import Training


@dataclass(frozen=True, eq=False)
class Batch:
    """Pairs to train on.

    Args:
        inputs: (B, C, H, W) float32: images, 0..1, or moments of latents.
        targets: the same for the correct images.
        keys: the B samples' keys.
    """

    inputs: Tensor
    targets: Tensor
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Measured:
    """Mean errors of validation pairs.

    Args:
        before: of the inputs.
        validation: of the corrected inputs.
        undamaged: of the corrected targets.
    """

    before: float
    validation: float
    undamaged: float


class BalancerTraining(Training):
    """A network in training that balances pairs. Subclasses define the loss, `corrected` and `difference`."""

    unit: ClassVar[str] = "delta E 2000"

    def corrected(self, values: Tensor) -> Tensor:
        """Return the network's result for inputs of a batch."""
        raise NotImplementedError

    def difference(self, found: Tensor, targets: Tensor) -> Tensor:
        """Return the error of each result, (B,), in `unit`."""
        return picture_difference(found, targets)

    def error(self, batch: Batch) -> Tensor:
        """Return the error of each pair after correction, (B,)."""
        return self.difference(self.corrected(batch.inputs), batch.targets)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move a batch to the device."""
        return replace(batch, inputs=batch.inputs.to(device), targets=batch.targets.to(device))

    @torch.no_grad()
    def measured(self, validation: Sequence[Batch]) -> Measured:
        """Return the errors of validation pairs; moves the network to the CPU."""
        self.cpu().eval()
        before, after, undamaged = (
            six_digits(float(torch.cat(found).mean()))
            for found in zip(
                *(
                    (
                        self.difference(batch.inputs, batch.targets),
                        self.error(batch),
                        self.difference(self.corrected(batch.targets), batch.targets),
                    )
                    for batch in validation
                ),
                strict=True,
            )
        )
        return Measured(before, after, undamaged)


def picture_difference(images: Tensor, targets: Tensor) -> Tensor:
    """Return the mean delta E 2000 of each image (B, 3, H, W), sRGB-encoded, clamped to 0..1."""
    labs = (srgb_to_lab(each.float().clamp(0, 1)) for each in (images, targets))
    return delta_e_2000(*labs).flatten(1).mean(1)
