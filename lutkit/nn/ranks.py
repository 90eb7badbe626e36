"""The samples of each rank: readers distribute samples over torch's ranks, or leave that to others."""

from typing import Any, cast

from webdataset import utils

from lutkit.errors import DatasetError


def own_rank(ranks: str | None) -> tuple[int, int]:
    """Return this process's rank and the number of ranks, from torchrun's environment or torch.distributed.

    Args:
        ranks: None for a reader that gives all samples to every rank: then this is rank 0 of 1.
    """
    if ranks is None:
        return 0, 1
    rank, world, _, _ = cast("tuple[int, int, int, int]", cast("Any", utils).pytorch_worker_info())
    return rank, world


def require_ranks(ranks: object, where: str) -> None:
    """Raise DatasetError unless `ranks` is one of the two values that a reader accepts."""
    if ranks not in ("torch", None):
        what = f'ranks is {ranks!r}, not "torch" or None'
        raise DatasetError(what, where=where, remedy="None leaves the distribution to others")
