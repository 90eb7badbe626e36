"""The balancer of `train_balancer.py` as a Lightning module, on one or several GPUs.

    pip install lightning
    python scripts/train_balancer_lightning.py data/latents

Lightning is not a dependency of lutkit.
"""

import argparse

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from train_balancer import FLOOR, Balancer

from lutkit.nn.latents import Latents
from lutkit.nn.posterior import posterior_kl

try:
    import lightning
except ModuleNotFoundError:
    raise SystemExit("train_balancer_lightning.py needs Lightning; run `pip install lightning`") from None


class LatentData(lightning.LightningDataModule):
    """The splits of a folder of latents."""

    def __init__(self, folder: str, batch: int = 64, workers: int = 2, seed: int = 0) -> None:
        super().__init__()
        self.batch, self.workers = batch, workers
        # Even: a rank that ran out of batches before the others would leave them waiting forever.
        self.latents = Latents(
            folder, "train", scaled=True, shuffle=2048, seed=seed, metadata=False, even=True
        )

    def train_dataloader(self) -> DataLoader:
        # The trainer calls this for each epoch, so each epoch has its own order.
        self.latents.set_epoch(self.trainer.current_epoch)
        return DataLoader(self.latents, self.batch, num_workers=self.workers)


class BalancerModule(lightning.LightningModule):
    """A balancer, its loss and its optimizer."""

    def __init__(self, channels: int, learning_rate: float = 3e-4) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.balancer = Balancer(channels)
        self.learning_rate = learning_rate

    def forward(self, moments: Tensor) -> Tensor:
        return self.balancer(moments)

    def training_step(self, batch: dict[str, Tensor], batch_number: int) -> Tensor:
        loss = posterior_kl(self(batch["input"]), batch["target"], log_variance_floor=FLOOR)
        self.log("nats", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(batch["input"]))
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=self.learning_rate)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("latents", help="a folder of latents")
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()
    data = LatentData(options.latents)
    # `Latents` distributes its samples over ranks and workers itself.
    trainer = lightning.Trainer(
        max_epochs=options.epochs, reload_dataloaders_every_n_epochs=1, use_distributed_sampler=False
    )
    trainer.fit(BalancerModule(data.latents.index.encoding.latent_shape[0]), datamodule=data)


if __name__ == "__main__":
    main()
