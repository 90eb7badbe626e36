"""Which rank reads what: readers share samples out to the ranks of torch, or leave that to others."""

from typing import Any, cast

from webdataset import utils

from lutkit.errors import DatasetError


def own_rank(ranks: str | None) -> tuple[int, int]:
    """This process's rank and how many there are: those of torchrun's environment or of torch.distributed.

    Args:
        ranks: None for a reader that gives every rank all samples: it is rank 0 of 1 then.
    """
    if ranks is None:
        return 0, 1
    rank, world, _, _ = cast("tuple[int, int, int, int]", cast("Any", utils).pytorch_worker_info())
    return rank, world


def require_ranks(ranks: object, where: str) -> None:
    """Raise DatasetError unless `ranks` is one of the two that a reader knows."""
    if ranks not in ("torch", None):
        what = f'ranks is {ranks!r}, not "torch" or None'
        raise DatasetError(what, where=where, remedy="None leaves sharing out to others")
