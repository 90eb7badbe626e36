"""The order of samples in a training: a pure function of the seed and the step."""

import numpy as np

_ORDER, _CHANGES = 0, 1  # streams of random numbers; `train` has another


def samples_at(step: int, size: int, count: int, seed: int) -> list[int]:
    """Return the numbers of the samples of a step, each sample once before any comes again.

    Args:
        step: from 0.
        size: samples in a batch.
        count: the number of samples.
        seed: the seed of the order.
    """
    places = range(step * size, (step + 1) * size)
    orders = {
        epoch: _generator(seed, _ORDER, epoch).permutation(count)
        for epoch in {place // count for place in places}
    }
    return [int(orders[place // count][place % count]) for place in places]


def changes_at(step: int, seed: int) -> np.random.Generator:
    """Return the generator of what changes the samples of a step: windows, mirrors, and the like."""
    return _generator(seed, _CHANGES, step)


def _generator(seed: int, stream: int, index: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(stream, index)))
