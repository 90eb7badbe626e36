"""The loss of the colorizer, and its figures on validation photographs."""

from collections.abc import Sequence
from typing import Literal, TypeAlias, cast, get_args

import torch
from torch import Tensor

from lutkit.colorizing.class_table import ClassTable, pixel_weights
from lutkit.colorizing.colorizer import Colorizer
from lutkit.colorizing.targets import TargetBatch
from lutkit.errors import LutkitError
from lutkit.nn.ab import AbBins, hard_classes, soft_classes
from lutkit.nn.ab_loss import class_cross_entropy
from lutkit.training.train import Training, TrainSettings

ClassEncoding: TypeAlias = Literal["soft", "hard"]


def require_encoding(name: str) -> ClassEncoding:
    """Return the name if it is a way to encode colours as classes.

    Raises:
        LutkitError: if it is not.
    """
    for kind in get_args(ClassEncoding):
        if name == kind:
            return kind
    raise LutkitError(f"--encoding is {name!r}", remedy=f"choose from {', '.join(get_args(ClassEncoding))}")


class ColorizerTraining(Training):
    """A colorizer in training.

    Args:
        network: the network.
        settings: how it is trained.
        bins: the classes and their weights.
        encoding: `soft` spreads a colour over the nearest classes; `hard` gives it to one.
        weighted: whether a pixel counts as much as the weight of its class.
    """

    def __init__(
        self,
        network: Colorizer,
        settings: TrainSettings,
        bins: AbBins,
        *,
        encoding: ClassEncoding,
        weighted: bool,
    ) -> None:
        super().__init__(network, settings)
        self.bins, self.encoding, self.weighted = bins, encoding, weighted

    def loss(self, batch: TargetBatch) -> Tensor:
        """Return the mean cross entropy of a batch."""
        return self._entropies(cast("Colorizer", self.network)(batch.lightness), batch.ab).mean()

    def error(self, batch: TargetBatch) -> Tensor:
        """Return the mean cross entropy of each photograph, (B,), weighted as in the loss."""
        logits = cast("Colorizer", self.network)(batch.lightness)
        return self._entropies(logits, batch.ab).flatten(1).mean(1)

    def transfer_batch_to_device(
        self, batch: TargetBatch, device: torch.device, dataloader_idx: int
    ) -> TargetBatch:
        """Move a batch to the device."""
        return batch.to(device)

    @torch.no_grad()
    def validated(self, validation: Sequence[TargetBatch]) -> float:
        """Return the mean cross entropy of validation photographs; moves the network to the CPU."""
        self.cpu().eval()
        return float(torch.cat([self.error(batch) for batch in validation]).mean())

    @torch.no_grad()
    def by_table(self, table: ClassTable, validation: Sequence[TargetBatch]) -> float:
        """Return the mean cross entropy of a table p(class | L) on the same photographs."""
        errors = [
            self._entropies(table.logits(batch.lightness), batch.ab).flatten(1).mean(1)
            for batch in validation
        ]
        return float(torch.cat(errors).mean())

    def _entropies(self, logits: Tensor, ab: Tensor) -> Tensor:
        """Return the cross entropy of each pixel, (B, h, w)."""
        encode = soft_classes if self.encoding == "soft" else hard_classes
        weights = pixel_weights(ab, self.bins) if self.weighted else None
        return class_cross_entropy(logits, encode(ab, self.bins), weights, reduction="none")
