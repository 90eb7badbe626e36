"""The temperature of the annealed mean: how vivid a colorizer's colours are, and which temperature fits.

Owns the criterion: outputs should be as colourful as photographs are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lutkit.colorizing.colorizer import Colorizer
from lutkit.colorizing.targets import TargetBatch
from lutkit.nn.ab_decode import annealed_mean

PAPER_TEMPERATURE = 0.38  # of Zhang, Isola and Efros, who chose it by eye
TEMPERATURES = (1.0, 0.77, 0.58, 0.38, 0.29, 0.2, 0.14, 0.09, 0.05)
_MOST_CHROMA = 160  # above what sRGB reaches, 133.8


@dataclass(frozen=True)
class ChosenTemperature:
    """A temperature, and what it does to validation photographs.

    Args:
        temperature: the temperature.
        chroma: the mean chroma of the outputs at it.
        own_chroma: the mean chroma of the photographs themselves.
    """

    temperature: float
    chroma: float
    own_chroma: float


@torch.no_grad()
def choose_temperature(network: Colorizer, validation: Sequence[TargetBatch]) -> ChosenTemperature:
    """Choose the temperature whose outputs have chroma most like the photographs' own.

    The criterion is the Wasserstein distance of the two distributions of chroma over all pixels. The error in
    ab would not do: it is least at T = 1, whose colours are the greyest.

    Args:
        network: the network, in evaluation mode, on the CPU.
        validation: photographs; at least one batch.
    """
    own = torch.zeros(_MOST_CHROMA)
    found = torch.zeros(len(TEMPERATURES), _MOST_CHROMA)
    sums, own_sum, pixels = torch.zeros(len(TEMPERATURES)), 0.0, 0
    for batch in validation:
        logits = network(batch.lightness)
        chroma = torch.hypot(batch.ab[:, 0], batch.ab[:, 1])
        own += _histogram(chroma)
        own_sum, pixels = own_sum + float(chroma.sum()), pixels + chroma.numel()
        for number, temperature in enumerate(TEMPERATURES):
            ab = annealed_mean(logits, temperature, network.bins)
            chroma = torch.hypot(ab[:, 0], ab[:, 1])
            found[number] += _histogram(chroma)
            sums[number] += chroma.sum()
    distances = (found.cumsum(1) - own.cumsum(0)).abs().sum(1)
    best = int(distances.argmin())
    return ChosenTemperature(TEMPERATURES[best], float(sums[best]) / pixels, own_sum / pixels)


def _histogram(chroma: Tensor) -> Tensor:
    return torch.bincount(chroma.flatten().long(), minlength=_MOST_CHROMA)[:_MOST_CHROMA].float()
