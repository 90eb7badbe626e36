"""Train a colorization network for a few steps on a dataset of `lutkit synth`: an example to start from.

    lutkit synth --n 5000 --images PHOTOS --out data/pairs
    lutkit ab-hist data/pairs -o data/ab/counts.npz
    lutkit ab-weights data/ab/counts.npz -o data/ab/weights.npz
    python scripts/train_colorizer.py data/pairs data/ab/weights.npz --steps 200

From lightness the network learns the bin of the ab plane for each square of 4 x 4 pixels; rare colours have
more weight. It prints the loss during training, and at the end how far the predicted colours are from the
true ones.
"""

import argparse
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lutkit.errors import LutkitError
from lutkit.nn.ab import AbBins, read_ab_bins
from lutkit.nn.ab_decode import annealed_mean
from lutkit.nn.ab_loss import class_cross_entropy
from lutkit.nn.ab_reader import AbTargets, TargetOptions

STRIDE = 4  # the network's output is a quarter of its input's size
TEMPERATURE = 0.38


def colorizer(classes: int) -> nn.Module:
    """Return a network from (B, 1, H, W) lightness to (B, classes, H / 4, W / 4) logits."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=2, dilation=2), nn.ReLU(),
        nn.Conv2d(64, classes, 1),
    )  # fmt: skip


def normalized(lightness: Tensor) -> Tensor:
    """Return L, 0..100, centred on 0."""
    return lightness / 50 - 1


def train(network: nn.Module, loader: DataLoader, steps: int, device: torch.device) -> None:
    """Train for `steps` steps, over as many epochs as they need."""
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    step = epoch = 0
    while step < steps:
        loader.dataset.set_epoch(epoch)
        epoch += 1
        for lightness, (indices, shares), weight in islice(loader, steps - step):
            logits = network(normalized(lightness.to(device)))
            classes = indices.to(device), shares.to(device)
            # In place, the gradient of the logits, the largest tensor of all, needs no memory of its own.
            loss = class_cross_entropy(logits, classes, weight.to(device), inplace=True)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            print(f"step {step}: loss {loss.item():.4f}")


@torch.no_grad()
def mean_error(network: nn.Module, loader: DataLoader, bins: AbBins) -> float:
    """Return the mean distance in ab from the predicted colours of a batch to those of their true classes."""
    lightness, (indices, _), _ = next(iter(loader))
    logits = network(normalized(lightness.to(bins.bins.device)))
    guessed = annealed_mean(logits, TEMPERATURE, bins)
    true = bins.bins[indices[:, 0].long().to(guessed.device)].permute(0, 3, 1, 2)
    return (guessed - true).norm(dim=1).mean().item()


def main() -> None:
    """Read the data, train, and report the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path, help="what lutkit synth made")
    parser.add_argument("weights", type=Path, help="what lutkit ab-weights made of it")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument(
        "--workers", type=int, default=0, help="processes that read; at most as many as shards"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        bins = read_ab_bins(options.weights)
        reading = TargetOptions(soft=True, stride=STRIDE, seed=options.seed)
        targets = AbTargets(options.dataset, bins, reading)
        loader = DataLoader(targets, options.batch, num_workers=options.workers)
        network = colorizer(len(bins)).to(device)
        print(f"{targets.samples} targets, {len(bins)} bins, on {device}")
        train(network, loader, options.steps, device)
        print(f"mean error in ab {mean_error(network, loader, bins.to(device)):.2f}")
    except LutkitError as error:
        parser.exit(2, f"train_colorizer: {error}\n")


if __name__ == "__main__":
    main()
