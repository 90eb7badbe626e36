"""Train a small colour balancer on latents: a plain PyTorch loop as a starting point.

    lutkit synth --n 50000 --images PHOTOS
    lutkit encode-latents
    python scripts/train_balancer.py data/latents

The network maps the posterior of a damaged image to that of the undamaged image. Data, loss and VAE come from
the folder; the network is the smallest that learns something.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lutkit.nn.latents import Latents
from lutkit.nn.posterior import posterior_kl

# Stable Diffusion's log-variances are near -20: below this floor, errors of the mean would count too much.
FLOOR = -10.0


class Balancer(nn.Module):
    """Maps moments of the input's posterior to moments of the target's, as a change to them."""

    def __init__(self, channels: int, width: int = 64) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(width, channels, 3, padding=1),
        )
        # The network starts with no change, so the loss starts at that of doing nothing.
        nn.init.zeros_(self.change[-1].weight)
        nn.init.zeros_(self.change[-1].bias)

    def forward(self, moments: Tensor) -> Tensor:
        return moments + self.change(moments)


def nats(balancer: nn.Module, batch: dict[str, Tensor], device: str) -> Tensor:
    """Return KL(target || predicted), in nats for each element of a latent."""
    predicted = balancer(batch["input"].to(device))
    return posterior_kl(predicted, batch["target"].to(device), log_variance_floor=FLOOR)


@torch.no_grad()
def validate(balancer: nn.Module, loader: DataLoader, device: str) -> float:
    """Return the mean over all samples, which takes into account that the last batch is smaller."""
    sizes_and_losses = [(len(batch["input"]), nats(balancer, batch, device).item()) for batch in loader]
    return sum(size * loss for size, loss in sizes_and_losses) / sum(size for size, _ in sizes_and_losses)


def train(options: argparse.Namespace) -> list[float]:
    """Train, print the loss of each epoch, and return the losses."""
    torch.manual_seed(options.seed)
    # Networks on latents expect scaled moments: centred on 0, about 1 wide.
    latents = Latents(
        options.latents, "train", scaled=True, shuffle=2048, seed=options.seed, metadata=False, even=True
    )
    loader = DataLoader(latents, options.batch, num_workers=options.workers)
    # Opened before training: otherwise a missing split would be noticed only after it.
    held_out = None
    if options.validate:
        held_out = Latents(options.latents, options.validate, scaled=True, metadata=False)
    balancer = Balancer(latents.index.encoding.latent_shape[0]).to(options.device)
    optimizer = torch.optim.AdamW(balancer.parameters(), lr=options.learning_rate)
    losses: list[float] = []
    for epoch in range(options.epochs):
        latents.set_epoch(epoch)  # another order
        total = torch.zeros((), device=options.device)
        steps = 0
        for batch in loader:
            loss = nats(balancer, batch, options.device)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
            steps += 1
        losses.append(total.item() / max(steps, 1))
        print(f"epoch {epoch}: {losses[-1]:.4f} nats an element", flush=True)
    if held_out is not None:
        found = validate(balancer, DataLoader(held_out, options.batch), options.device)
        print(f"{options.validate}: {found:.4f} nats an element")
    # Saved with everything that is needed to use it again: the VAE's factors are part of its input.
    vae = latents.index.vae
    facts = {"vae": vae.name, "sha256": vae.sha256, "scaling": vae.scaling_factor, "shift": vae.shift_factor}
    torch.save({"balancer": balancer.state_dict(), **facts}, options.out)
    return losses


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("latents", nargs="+", help="a folder of latents, or tars of one")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--validate", default="", metavar="SPLIT", help="score this split at the end")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=Path("balancer.pt"))
    options = parser.parse_args(arguments)
    if len(options.latents) == 1:
        options.latents = options.latents[0]
    return options


if __name__ == "__main__":
    train(options_of())
