"""CPUs and GPUs: find them by name, give them work, and explain their errors.

Owns device names, out-of-memory errors, the meaning of float32 on a GPU, and transfers. Must not know VAEs.
"""

import ctypes
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from lutkit.errors import VaeError, first_line

# Out-of-memory errors, of a GPU or of the machine: how to recognize them and how to continue.


_Found = TypeVar("_Found")

# Messages from below torch: from the machine's allocator, the driver, and the libraries for matrix products
# and convolutions, which find no room for their working memory and then no algorithm.
_OUT_OF_MEMORY = (
    "can't allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
)
# These messages have other causes too, which fewer images do not fix.
_PERHAPS_OUT_OF_MEMORY = (
    "CUDNN_STATUS_NOT_SUPPORTED",
    "Unable to find a valid cuDNN algorithm",
    "unable to find an engine to execute this computation",
)
_OF_A_GPU = ("CUDA error", "cuDNN error", "CUDA driver error")


def within_memory(work: Callable[[], _Found], *, with_less: bool = True) -> _Found | None:
    """Return what `work` returns, or None if memory runs out; everything it held is freed by then.

    Args:
        work: the function to call.
        with_less: whether the caller tries again with less work when this returns None.
    Raises:
        VaeError: if memory runs out and `with_less` is False.
        Exception: any other error that `work` raises.
    """
    try:
        return work()
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        if not with_less:
            raise _no_memory(error, "memory runs out with a single image") from error
    # The memory is free only here, because the error's traceback held it.
    torch.cuda.empty_cache()
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out: on a GPU, whose error has its own type, or on the machine."""
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
    """Turn out-of-memory errors and GPU failures inside the block into errors of one line.

    Raises:
        VaeError: instead of torch's error.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise _no_memory(error, "memory runs out") from error
        if isinstance(error, RuntimeError) and str(error).startswith(_OF_A_GPU):
            remedy = "check the system log, then run the same command again: it continues where it stopped"
            raise VaeError(f"the GPU failed: {first_line(error)}", remedy=remedy) from error
        raise


def require_device(name: str) -> torch.device:
    """Return the device of that name without allocating GPU memory.

    Raises:
        VaeError: if there is no such device, or CUDA is requested and this torch or this machine has none.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        raise VaeError(f"no device {name!r}", remedy="choose cpu, cuda or cuda:0, cuda:1, ...") from None
    if device.type == "cuda":
        # torch counts GPUs even if their driver is too old for it.
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if not count:
            why, remedy = (
                f"torch {torch.__version__} is built without it",
                "install one that is built with it",
            )
            if torch.backends.cuda.is_built():
                why, remedy = "torch finds no usable GPU", "check what `nvidia-smi` says"
            raise VaeError(f"CUDA is requested, but {why}", remedy=f"choose --device cpu, or {remedy}")
        if cast("int | None", device.index) not in (None, *range(count)):
            raise VaeError(f"no {name}: GPUs are numbered 0 to {count - 1}", remedy="choose one of them")
    elif device.type != "cpu":
        raise VaeError(f"no device {name!r}", remedy="choose cpu, cuda or cuda:0, cuda:1, ...")
    return device


def open_device(name: str | torch.device) -> torch.device:
    """Return the device of that name after a trial computation, because a GPU can exist and still not work.

    Raises:
        VaeError: as `require_device`; or if the GPU is held by another process, is full, or is not supported
            by this torch.
    """
    device = require_device(str(name))
    if device.type == "cuda":
        try:
            torch.ones(1, device=device).add(1).item()
        except RuntimeError as error:
            what = f"{name} cannot be used: {first_line(error)}"
            raise VaeError(what, remedy="choose another, or check what `nvidia-smi` says") from error
    return device


@contextmanager
def computing_on(device: torch.device, dtype: torch.dtype) -> Generator[None]:
    """Inside the block, compute in true float32, and in half floats as fast as possible; then restore flags.

    By default GPUs compute float32 convolutions with a mantissa of 10 bits, and in some environments matrix
    products too. For half floats the fastest algorithm is found by trying; for float32 torch's own choice
    stays.

    Args:
        device: the device; on a CPU nothing changes.
        dtype: the dtype of weights and activations.
    """
    if device.type != "cuda":
        yield
        return
    exact = dtype == torch.float32
    cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul
    wanted: list[tuple[object, str, object]] = [(cudnn, "benchmark", not exact)]
    if exact:
        for older, newer in ((products, products), (cudnn, getattr(cudnn, "conv", None))):
            # After torch's newer name was used, the older name cannot be read. Unless the older name is set
            # too, the newer one may still follow the global setting for everything that a GPU computes.
            wanted += [(older, "allow_tf32", False), (newer, "fp32_precision", "ieee")]
    undo: list[tuple[object, str, object]] = []
    try:
        for of, name, value in wanted:
            before = _read(of, name)
            # A flag that has the right value already is not written: torch would treat it as an explicit
            # choice.
            if before not in (None, value) and before != "none":
                undo.append((of, name, before))
                setattr(of, name, value)
        yield
    finally:
        for of, name, value in reversed(undo):
            setattr(of, name, value)


def _read(of: object, name: str) -> object:
    """Return a flag, or None if this version of torch does not have it."""
    try:
        return getattr(of, name, None)
    except RuntimeError:
        return None


# Weights that stay on the CPU while a device computes with them.


def is_lent(layer: nn.Module) -> bool:
    """Return whether `lent_layers` lends the weights of this layer: those of convolutions and products."""
    # Nearly all weights are theirs. The others may be used outside of their module's `forward`.
    return isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d)


@contextmanager
def lent_layers(module: nn.Module, device: torch.device) -> Generator[None]:
    """Inside the block, lend each layer's weights to a device while the layer computes.

    The device therefore never holds the weights of more than one layer. They are on the CPU again as soon as
    the layer is done, also after an error.

    Args:
        module: a module whose layers for which `is_lent` is true are on the CPU, and all others on `device`.
        device: the device that computes.
    """
    handles: list[RemovableHandle] = []

    def lend(layer: nn.Module) -> None:
        own = dict(layer.named_parameters(recurse=False))

        def take(_layer: nn.Module, _values: object) -> None:
            for name, weight in own.items():
                setattr(layer, name, nn.Parameter(weight.detach().to(device), requires_grad=False))

        def give_back(_layer: nn.Module, _values: object, _found: object) -> None:
            for name, weight in own.items():
                setattr(layer, name, weight)

        handles.append(layer.register_forward_pre_hook(take))
        handles.append(layer.register_forward_hook(give_back, always_call=True))

    try:
        for layer in filter(is_lent, module.modules()):
            lend(layer)
        yield
    finally:
        for handle in handles:
            handle.remove()


# Work on a device and the transfer of its results.


@dataclass(frozen=True)
class Transfer:
    """The result of some work on its way from a device to the CPU.

    Args:
        on_device: the result on the device.
        on_cpu: the result on the CPU, valid once `wait` has been called.
        wait: waits for the result and returns the seconds that the device took.
    """

    on_device: Tensor
    on_cpu: Tensor
    wait: Callable[[], float]


def cpu_memory(device: torch.device, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Return CPU memory for copies to or from a device; a GPU copies it while the CPU continues.

    torch does not reuse such memory before the GPU has copied it, even if nothing refers to it.
    """
    return torch.empty(shape, dtype=dtype, pin_memory=device.type == "cuda")


def start_transfer(device: torch.device, work: Callable[[Tensor], Tensor], values: Tensor) -> Transfer:
    """Start `work` on `values` and the copy of its result to the CPU.

    Args:
        device: the device.
        work: maps `values`, wherever they are, to float32 on `device`.
        values: a tensor from `cpu_memory`, or on the device.
    Returns:
        The transfer; on a GPU before the work is done, on a CPU after.
    """
    if device.type != "cuda":
        began = time.perf_counter()
        found = work(values)
        spent = time.perf_counter() - began
        return Transfer(found, found, lambda: spent)
    with torch.cuda.device(device):
        start = torch.cuda.Event(enable_timing=True)
        # A blocking event: the thread that waits sleeps and leaves the core to the threads that decode.
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


# Memory that a process keeps. On a CPU, a VAE allocates and frees hundreds of megabytes in every layer.


# Constants from malloc.h.
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
_KEPT_BYTES = 1 << 30


def keep_freed_memory() -> None:
    """Keep up to a gigabyte of freed memory for the next allocations; without glibc nothing happens.

    This applies to the main thread, whose heap alone can grow so far, until the process ends.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_TRIM_THRESHOLD, 2 * _KEPT_BYTES - 1)
