"""Several processes that encode one dataset: who they are, and how they agree.

Owns what torchrun sets in the environment. A process alone is rank 0 of 1 and needs no network.
"""

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

from lutkit.errors import LutkitError

Value = TypeVar("Value")

# Ranks end at different times, and the slowest may have days to go; one that dies is torchrun's to notice.
_PATIENCE = timedelta(days=30)


@dataclass(frozen=True)
class Ranks:
    """This process among its equals.

    Args:
        rank: its number; 0 is the one that writes what belongs to the whole dataset.
        world: how many there are.
        local: its number on this machine: that of its card.
    """

    rank: int = 0
    world: int = 1
    local: int = 0

    def agree(self, value: Value) -> Value:
        """What rank 0 calls this with, for all; nobody goes on before all have called it.

        Raises:
            LutkitError: another rank is gone.
        """
        if self.world == 1:
            return value
        import torch.distributed

        shared: list[Any] = [value]
        try:
            torch.distributed.broadcast_object_list(shared, src=0)
            torch.distributed.barrier()
        except RuntimeError:
            raise LutkitError("another rank has stopped", remedy="see what it said") from None
        return cast("Value", shared[0])


def join_ranks() -> Ranks:
    """The ranks that torchrun, or `--devices`, started; one alone where there are none.

    Raises:
        LutkitError: an environment that is torchrun's in part only.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return Ranks()
    try:
        rank, world, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    except (KeyError, ValueError):
        what = "WORLD_SIZE is set, and RANK, WORLD_SIZE and LOCAL_RANK are not three numbers"
        raise LutkitError(what, remedy="start it with torchrun, or unset WORLD_SIZE") from None
    import torch.distributed

    torch.distributed.init_process_group("gloo", timeout=_PATIENCE)
    return Ranks(rank, world, local)


def leave_ranks(ranks: Ranks) -> None:
    """Say goodbye to the others."""
    if ranks.world > 1:
        import torch.distributed

        torch.distributed.destroy_process_group()
