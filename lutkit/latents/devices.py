"""CPUs and GPUs: found by name, given work, and what they raise when it fails.

Owns devices' names, memory that runs out, what float32 means on a GPU, and transfers. Must not know VAEs.
"""

import ctypes
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
from torch import Tensor

from lutkit.errors import VaeError

# Memory that runs out, a GPU's or the machine's: told from other errors, and gone on from.


_Found = TypeVar("_Found")

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
_OF_A_GPU = ("CUDA error", "cuDNN error", "CUDA driver error")


def within_memory(work: Callable[[], _Found], *, with_less: bool = True) -> _Found | None:
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
    """Whether memory ran out: a GPU's, which has an error of its own, or the machine's, which has not."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    texts = (*_OUT_OF_MEMORY, *_PERHAPS_OUT_OF_MEMORY)
    return isinstance(error, RuntimeError) and any(text in str(error) for text in texts)


def _no_memory(error: BaseException, what: str) -> VaeError:
    if any(text in str(error) for text in _PERHAPS_OUT_OF_MEMORY):
        what = f"{what}, or the GPU cannot compute it ({first_line(error)})"
    return VaeError(what, remedy="use smaller images, another --dtype, or --device cpu")


@contextmanager
def plain_device_errors() -> Generator[None]:
    """Within the block, memory that runs out and GPUs that fail are one line.

    Raises:
        VaeError: instead of torch's error.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise _no_memory(error, "memory runs out") from error
        if isinstance(error, RuntimeError) and str(error).startswith(_OF_A_GPU):
            remedy = "look at the system's log, and run the same command again: it goes on where it stopped"
            raise VaeError(f"the GPU failed: {first_line(error)}", remedy=remedy) from error
        raise


def first_line(error: BaseException) -> str:
    """What an error says, without what it adds below."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def require_device(name: str) -> torch.device:
    """The device of that name; takes none of a GPU's memory.

    Raises:
        VaeError: no such device; CUDA, and this torch or this machine has none.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        raise VaeError(f"no device {name!r}", remedy="choose cpu, cuda or cuda:0, cuda:1, ...") from None
    if device.type == "cuda":
        # GPUs are counted even where their driver is too old for this torch.
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if not count:
            why, remedy = (
                f"torch {torch.__version__} is built without it",
                "install one that is built with it",
            )
            if torch.backends.cuda.is_built():
                why, remedy = "torch finds no GPU that it can use", "see what `nvidia-smi` says"
            raise VaeError(f"CUDA was asked for, and {why}", remedy=f"choose --device cpu, or {remedy}")
        if cast("int | None", device.index) not in (None, *range(count)):
            raise VaeError(f"no {name}: GPUs are numbered 0 to {count - 1}", remedy="choose one of them")
    elif device.type != "cpu":
        raise VaeError(f"no device {name!r}", remedy="choose cpu, cuda or cuda:0, cuda:1, ...")
    return device


def open_device(name: str | torch.device) -> torch.device:
    """The device of that name, which has computed something: a GPU may be there and refuse.

    Raises:
        VaeError: see `require_device`; a GPU that another process holds, that is full, or that this torch
            has no code for.
    """
    device = require_device(str(name))
    if device.type == "cuda":
        try:
            torch.ones(1, device=device).add(1).item()
        except RuntimeError as error:
            what = f"{name} cannot be used: {first_line(error)}"
            raise VaeError(what, remedy="choose another, or see what `nvidia-smi` says") from error
    return device


@contextmanager
def computing_on(device: torch.device, dtype: torch.dtype) -> Generator[None]:
    """Within the block, float32 is float32 and half floats are as fast as can be; flags are put back then.

    By default GPUs compute float32's convolutions with 10 bits of mantissa, and in some environments its
    products, too. Of algorithms the fastest is tried out for half floats; for float32 they stay those that
    torch takes by itself.

    Args:
        device: where; on CPUs nothing is to do.
        dtype: of weights and activations.
    """
    if device.type != "cuda":
        yield
        return
    exact = dtype == torch.float32
    cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul
    wanted: list[tuple[object, str, object]] = [(cudnn, "benchmark", not exact)]
    if exact:
        for older, newer in ((products, products), (cudnn, getattr(cudnn, "conv", None))):
            # Where the newer of torch's two names was used, the older one cannot be read; and without its
            # leave the newer one may still follow what was chosen for all that a GPU computes.
            wanted += [(older, "allow_tf32", False), (newer, "fp32_precision", "ieee")]
    undo: list[tuple[object, str, object]] = []
    try:
        for of, name, value in wanted:
            before = _read(of, name)
            # What is so already is not written: torch would hold it against what is chosen later.
            if before not in (None, value) and before != "none":
                undo.append((of, name, before))
                setattr(of, name, value)
        yield
    finally:
        for of, name, value in reversed(undo):
            setattr(of, name, value)


def _read(of: object, name: str) -> object:
    """A flag, or None where this torch has it not, or not any more."""
    try:
        return getattr(of, name, None)
    except RuntimeError:
        return None


# Work on a device, and its results on the way back.


@dataclass(frozen=True)
class Transfer:
    """The result of some work, on its way from a device to the CPU.

    Args:
        on_device: the result, where it was made.
        on_cpu: the same on the CPU, once `wait` has been called.
        wait: waits for it, and gives the seconds that the device took.
    """

    on_device: Tensor
    on_cpu: Tensor
    wait: Callable[[], float]


def cpu_memory(device: torch.device, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Memory on the CPU to be copied to or from a device; a GPU copies it while the CPU goes on.

    torch does not use such memory for anything else before the GPU has copied it, though nobody holds it.
    """
    return torch.empty(shape, dtype=dtype, pin_memory=device.type == "cuda")


def start_transfer(device: torch.device, work: Callable[[Tensor], Tensor], values: Tensor) -> Transfer:
    """Start `work` on `values`, and the copying of its result to the CPU.

    Args:
        device: where.
        work: from `values`, wherever they lie, to float32 on `device`.
        values: of `cpu_memory`, or on the device.
    Returns:
        On a GPU before it is done; on a CPU afterwards.
    """
    if device.type != "cuda":
        began = time.perf_counter()
        found = work(values)
        spent = time.perf_counter() - began
        return Transfer(found, found, lambda: spent)
    with torch.cuda.device(device):
        start = torch.cuda.Event(enable_timing=True)
        # Blocking: who waits for it sleeps, and leaves the core to those who decode.
        end = torch.cuda.Event(enable_timing=True, blocking=True)
        start.record()
        found = work(values).contiguous()
        on_cpu = cpu_memory(device, tuple(found.shape), found.dtype)
        on_cpu.copy_(found, non_blocking=True)
        end.record()

    def wait() -> float:
        end.synchronize()
        return start.elapsed_time(end) / 1e3

    return Transfer(found, on_cpu, wait)


# Memory that a process keeps: on a CPU, a VAE asks for and frees hundreds of megabytes in every layer.


# From malloc.h.
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
_KEPT_BYTES = 1 << 30


def keep_freed_memory() -> None:
    """Keep what is freed, up to a gigabyte, for the blocks that come next; nothing happens without glibc.

    It holds for the main thread, whose heap alone can grow so far, and to the end of the process.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_TRIM_THRESHOLD, 2 * _KEPT_BYTES - 1)
