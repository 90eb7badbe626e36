"""The losses of the adaptive LUT, and its figures on validation pairs."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from lutkit.balancing.adaptive_lut import AdaptiveLut
from lutkit.balancing.batches import Batch
from lutkit.nn.color import srgb_to_lab
from lutkit.nn.color_losses import delta_e_2000, delta_e_2000_loss
from lutkit.results import six_digits
from lutkit.training.train import Training

# A ninth of the pixels is enough, because the network corrects colours, not edges.
_PART = (..., slice(None, None, 3), slice(None, None, 3))


class AdaptiveTraining(Training):
    """An adaptive LUT in training: its loss is the mean delta E 2000 to the target."""

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean delta E 2000 after correction, on a ninth of the pixels."""
        maps = cast("AdaptiveLut", self.network)(batch.inputs)
        return delta_e_2000_loss(maps(batch.inputs[_PART].contiguous()), batch.targets[_PART].contiguous())

    def error(self, batch: Batch) -> Tensor:
        """Return the mean delta E 2000 of each pair after correction, (B,)."""
        return _difference(self._corrected(batch.inputs), batch.targets)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move a batch to the device."""
        return Batch(batch.inputs.to(device), batch.targets.to(device), batch.keys)

    @torch.no_grad()
    def measured(self, validation: Sequence[Batch]) -> dict[str, float]:
        """Return mean delta E 2000: pairs `before` and after (`validation`), and targets (`undamaged`)."""
        self.cpu().eval()
        parts: dict[str, list[Tensor]] = {"before": [], "validation": [], "undamaged": []}
        for batch in validation:
            parts["before"].append(_difference(batch.inputs, batch.targets))
            parts["validation"].append(self.error(batch))
            parts["undamaged"].append(_difference(self._corrected(batch.targets), batch.targets))
        return {name: six_digits(float(torch.cat(found).mean())) for name, found in parts.items()}

    def _corrected(self, images: Tensor) -> Tensor:
        return cast("AdaptiveLut", self.network)(images)(images).clamp(0, 1)


def _difference(images: Tensor, targets: Tensor) -> Tensor:
    return delta_e_2000(srgb_to_lab(images.float()), srgb_to_lab(targets)).flatten(1).mean(1)
