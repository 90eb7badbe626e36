"""The numbers of the recipes that a process draws: no two processes and no two epochs have one in common.

Owns how numbers are divided among ranks, the workers of a `DataLoader`, and epochs, and the state to resume
from. Draws nothing itself.
"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from lutkit.errors import RecipeError
from lutkit.nn.ranks import own_rank

# Each epoch has this many numbers. 2^40 recipes of one epoch are more than any training draws.
EPOCH_BITS = 40
_UNSET = -1
_MOST = 1 << 62


class OwnDraws:
    """The sequence of numbers of one process.

    In a process that is no worker of a `DataLoader`, numbers go up from 0, over all epochs. In a worker, each
    epoch begins anew: workers that live for one epoch get the epoch from the `DataLoader`'s own seed, which
    torch draws for each iteration. Ranks and workers take turns, so that rank r of n takes every n-th number.
    `set_epoch` gives the epoch by number instead, for results that depend on nothing else.
    """

    def __init__(self) -> None:
        self._rank: tuple[int, int] | None = None
        # In shared memory, because otherwise persistent workers would not see the next epoch.
        self._epoch: Tensor = torch.full((), _UNSET, dtype=torch.int64)
        self._epoch.share_memory_()
        self._taken = 0
        self._of = self._process()

    def __getstate__(self) -> dict[str, Any]:
        # A spawned worker does not know its parent's torch.distributed.
        return {**self.__dict__, "_rank": self._rank or own_rank("torch")}

    def set_epoch(self, epoch: int) -> None:
        """Begin an epoch, whose numbers no other epoch has.

        Raises:
            RecipeError: if it is not an integer of 0 to 2^62.
        """
        _require_number(epoch, "an epoch", 0, where="set_epoch")
        self._epoch.fill_(int(epoch))

    def upcoming(self, count: int) -> tuple[int, ...]:
        """Return the next `count` numbers, without taking them."""
        process = self._process()
        if process != self._of:
            self._of, self._taken = process, 0
        worker = get_worker_info()
        rank, ranks = self._rank or own_rank("torch")
        own, all_of_them = (
            (rank, ranks)
            if worker is None
            else (
                rank * worker.num_workers + worker.id,
                ranks * worker.num_workers,
            )
        )
        epoch = int(self._epoch)
        if epoch == _UNSET:
            # The seed of the `DataLoader` itself, before each worker adds its own number.
            epoch = 0 if worker is None else worker.seed - worker.id
        first = (epoch << EPOCH_BITS) + self._taken * all_of_them + own
        return tuple(range(first, first + count * all_of_them, all_of_them))

    def take(self, count: int) -> tuple[int, ...]:
        """Take the next `count` numbers.

        Raises:
            RecipeError: if the count is not an integer of 0 or above.
        """
        _require_number(count, "a number of recipes", 0, where="RandomDamage")
        numbers = self.upcoming(count)
        self._taken += count
        return numbers

    def state(self) -> dict[str, int]:
        """Return the epoch, -1 if none was set, and how many numbers this process has taken in it."""
        self.upcoming(0)
        return {"epoch": int(self._epoch), "taken": self._taken}

    def restore(self, state: Mapping[str, int]) -> None:
        """Go on where `state` was saved.

        Raises:
            RecipeError: if a number in it cannot be.
        """
        _require_number(state["epoch"], "the epoch of a state", _UNSET, where="RandomDamage")
        _require_number(state["taken"], "the number taken of a state", 0, where="RandomDamage")
        self._epoch.fill_(state["epoch"])
        self._of, self._taken = self._process(), state["taken"]

    def _process(self) -> tuple[int, int]:
        """Return what a new count begins with: another process, or another epoch that was set."""
        return os.getpid(), int(self._epoch)


def _require_number(number: object, name: str, low: int, *, where: str) -> None:
    if not isinstance(number, int | np.integer) or isinstance(number, bool) or not low <= number <= _MOST:
        raise RecipeError(f"{name} must be an integer of {low} to 2^62, not {number!r}", where=where)
