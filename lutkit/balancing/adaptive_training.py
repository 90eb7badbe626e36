"""The loss of the adaptive LUT."""

from typing import cast

from torch import Tensor

from lutkit.balancing.adaptive_lut import AdaptiveLut
from lutkit.balancing.balancer_training import BalancerTraining, Batch
from lutkit.nn.color_losses import delta_e_2000_loss

# A ninth of the pixels is enough, because the network corrects colours, not edges.
_PART = (..., slice(None, None, 3), slice(None, None, 3))


class AdaptiveTraining(BalancerTraining):
    """An adaptive LUT in training: its loss is the mean delta E 2000 to the target."""

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean delta E 2000 after correction, on a ninth of the pixels."""
        maps = cast("AdaptiveLut", self.network)(batch.inputs)
        return delta_e_2000_loss(maps(batch.inputs[_PART].contiguous()), batch.targets[_PART].contiguous())

    def corrected(self, values: Tensor) -> Tensor:
        """Return thumbnails after correction."""
        return cast("AdaptiveLut", self.network)(values)(values)
