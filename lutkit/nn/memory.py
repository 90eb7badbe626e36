"""Memory that runs out, a card's or the machine's: told from other errors, and gone on from.

Owns what torch calls it, and other ends of a card. Must not know what the memory was for.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

import torch

from lutkit.errors import VaeError

Found = TypeVar("Found")

# What those below torch say: the machine's allocator, the driver, and the libraries for products and
# convolutions, which find no room for what they need beside their arguments, and then no algorithm.
_OUT_OF_MEMORY = (
    "can't allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
)
# These are said of other things as well, which fewer images do not mend.
_PERHAPS_OUT_OF_MEMORY = (
    "CUDNN_STATUS_NOT_SUPPORTED",
    "Unable to find a valid cuDNN algorithm",
    "unable to find an engine to execute this computation",
)
_OF_A_CARD = ("CUDA error", "cuDNN error", "CUDA driver error")


def within_memory(work: Callable[[], Found], *, with_less: bool = True) -> Found | None:
    """What `work` gives, or None where memory ran out; all that it held is free again then.

    Args:
        work: what is done.
        with_less: whether the caller goes on with less where this gives None.
    Raises:
        VaeError: memory ran out, and there is no less.
        whatever else `work` raises.
    """
    try:
        return work()
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        if not with_less:
            raise _no_memory(error, "memory runs out with a single image") from error
    # Only here is it free: the error's traceback held it.
    torch.cuda.empty_cache()
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: a card's, which has an error of its own, or the machine's, which has not."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    texts = (*_OUT_OF_MEMORY, *_PERHAPS_OUT_OF_MEMORY)
    return isinstance(error, RuntimeError) and any(text in str(error) for text in texts)


def _no_memory(error: BaseException, what: str) -> VaeError:
    if any(text in str(error) for text in _PERHAPS_OUT_OF_MEMORY):
        what = f"{what}, or the card cannot compute it ({first_line(error)})"
    return VaeError(what, remedy="use smaller images, another --dtype, or --device cpu")


@contextmanager
def plain_device_errors() -> Generator[None]:
    """Within the block, memory that runs out and cards that fail are one line.

    Raises:
        VaeError: instead of torch's error.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise _no_memory(error, "memory runs out") from error
        if isinstance(error, RuntimeError) and str(error).startswith(_OF_A_CARD):
            remedy = "look at the system's log, and run the same command again: it goes on where it stopped"
            raise VaeError(f"the card failed: {first_line(error)}", remedy=remedy) from error
        raise


def first_line(error: BaseException) -> str:
    """What an error says, without what it adds below."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
