"""A tiny network whose training is a script: Lightning starts it again for each device.

    python tiny_training.py OUT --steps 6 --devices 2 [--bad-sample 5]

Each process writes the keys that it saw and its weights to OUT/process-N.json.
"""

import argparse
import itertools
import json
import math
from pathlib import Path

import torch
from torch import nn

from lutkit.balancing.balancer_training import Batch
from lutkit.errors import LutkitError
from lutkit.training.order import samples_at
from lutkit.training.processes import process_number
from lutkit.training.train import Training, TrainSettings, train

SAMPLES = 12


class Numbered:
    """Batches of samples that are drawn from their numbers."""

    def __init__(self, size, bad=-1):
        self.size, self.bad, self.step, self.every = size, bad, 0, 1

    def __iter__(self):
        return map(self.at, itertools.count(self.step, self.every))

    def at(self, step):
        chosen = samples_at(step, self.size, SAMPLES, seed=3)
        images = [torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(one)) for one in chosen]
        inputs = torch.stack(images)
        targets = inputs.flip(1) * torch.tensor([0.5, 0.7, 0.9])[:, None, None]
        if self.bad in chosen:
            targets = targets * math.nan
        return Batch(inputs, targets, tuple(f"sample-{one}" for one in chosen))


class Tiny(Training):
    def __init__(self, settings, out):
        torch.manual_seed(100 + process_number())  # processes begin with different weights: process 0's count
        super().__init__(nn.Conv2d(3, 3, 3, padding=1), settings)
        self.out, self.keys = out, []

    def loss(self, batch):
        self.keys.append(batch.keys)
        return (self.network(batch.inputs) - batch.targets).square().mean()

    def error(self, batch):
        return (self.network(batch.inputs) - batch.targets).square().mean((1, 2, 3))

    def transfer_batch_to_device(self, batch, device, dataloader_idx):
        return batch

    def on_train_end(self):
        weights = {name: values.tolist() for name, values in self.network.state_dict().items()}
        found = {"keys": self.keys, "weights": weights}
        (self.out / f"process-{process_number()}.json").write_text(json.dumps(found))


def run(out, *, steps, devices, size, bad=-1):
    settings = TrainSettings(
        steps=steps, minutes=0.0, validate=2, learning_rate=0.02, weight_decay=0.01, seed=0, device="cpu",
        devices=devices, precision="32-true", log="csv",
    )  # fmt: skip
    module = Tiny(settings, out)
    validation = [Numbered(5).at(0)]
    notes = []
    trained = train(
        module, Numbered(size, bad), validation, out, settings.that_decide(),
        lambda now: notes.extend(now.notes),
    )  # fmt: skip
    return module, trained, notes


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    for name in ("--steps", "--devices", "--bad-sample"):
        parser.add_argument(name, type=int, default=-1)
    given = parser.parse_args()
    try:
        _, trained, notes = run(
            given.out, steps=given.steps, devices=given.devices, size=2, bad=given.bad_sample
        )
    except LutkitError as error:
        print(error)
    else:
        print(*notes, f"goes on after {trained.steps} steps", sep="\n")
        (given.out / f"went-on-{process_number()}").touch()
