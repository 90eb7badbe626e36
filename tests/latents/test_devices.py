"""Devices, and how work reaches them, as far as tests need no GPU: torch's events are faked."""

import subprocess
import sys
from typing import ClassVar

import numpy as np
import pytest
import torch
from small_vaes import StandInVae

from lutkit.errors import VaeError
from lutkit.latents import batches
from lutkit.latents.batches import BatchEncoder, BatchSize, stacked
from lutkit.latents.devices import (
    computing_on,
    open_device,
    plain_device_errors,
    require_device,
    within_memory,
)

CUDA = torch.device("cuda", 0)


class Event:
    """An event of a stream that does everything at once: every recording comes a millisecond later."""

    clock = 0
    made: ClassVar = []

    def __init__(self, *, enable_timing=False, blocking=False):
        assert enable_timing
        self.blocking, self.at, self.waited = blocking, 0, False
        Event.made.append(self)

    def record(self):
        Event.clock += 1
        self.at = Event.clock

    def synchronize(self):
        self.waited = True

    def elapsed_time(self, end):
        assert end.waited
        return end.at - self.at


class On:
    """A GPU that is chosen for a block."""

    def __init__(self, device):
        assert device == CUDA

    def __enter__(self):
        pass

    def __exit__(self, *_):
        pass


@pytest.fixture
def gpu(monkeypatch):
    """A fake GPU for torch that records (shapes of pinned memory, shapes copied back)."""
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    pinned, copied = [], []
    empty, copy = torch.empty, torch.Tensor.copy_

    def pinned_empty(*arguments, pin_memory=False, **options):
        pinned.extend(arguments if pin_memory else ())
        return empty(*arguments, **options)

    def noted_copy(self, source, non_blocking=False):
        if non_blocking:
            copied.append(tuple(source.shape))
        return copy(self, source)

    monkeypatch.setattr(torch, "empty", pinned_empty)
    monkeypatch.setattr(torch.Tensor, "copy_", noted_copy)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "device", On)
    Event.made.clear()
    return pinned, copied


def test_a_gpu_is_given_pinned_memory_and_waited_for_last(gpu):
    pinned, copied = gpu
    images = list(np.random.default_rng(0).integers(0, 256, (5, 6, 4, 3), dtype=np.uint8))
    encoder = BatchEncoder(StandInVae(device=CUDA), BatchSize(3, fixed=True))
    launched = encoder.launch(images, [1])
    assert not any(event.waited for event in Event.made)
    # In and out for two batches of three, of which one is filled up; and out for one decoding, which is made
    # of what is on the GPU.
    assert pinned == [(3, 6, 4, 3), (3, 24, 3, 2), (3, 6, 4, 3), (3, 24, 3, 2), (1, 3, 6, 4)]
    assert copied == [(3, 24, 3, 2), (3, 24, 3, 2), (1, 3, 6, 4)]
    found = encoder.fetch(launched)
    starts, ends = Event.made[::2], Event.made[1::2]
    assert all(end.waited and end.blocking for end in ends)
    assert not any(start.waited for start in starts)
    assert encoder.busy_s == pytest.approx(2e-3)
    assert np.array_equal(found.moments, StandInVae().encode(stacked(images)).numpy())
    np.testing.assert_allclose(found.decodings[1].transpose(1, 2, 0), images[1] / 255, atol=1e-6)


def test_a_decoding_that_a_gpu_cannot_count_is_not_started(gpu, monkeypatch):
    _, copied = gpu
    images = list(np.zeros((3, 6, 4, 3), np.uint8))
    encoder = BatchEncoder(StandInVae(device=CUDA), BatchSize(3, fixed=True))
    for elements, decoded in ((128 * 7 * 5, [(1, 3, 6, 4)]), (128 * 7 * 5 - 1, [])):
        monkeypatch.setattr(batches, "_GPU_ELEMENTS", elements)
        found = encoder.fetch(encoder.launch(images, [1]))
        assert copied == [(3, 24, 3, 2), *decoded]
        assert (len(found.moments), list(found.decodings)) == (3, [1] if decoded else [])
        copied.clear()


def test_a_size_that_is_not_settled_is_waited_for_and_timed(gpu):
    images = list(np.zeros((4, 4, 4, 3), np.uint8))
    encoder = BatchEncoder(StandInVae(device=CUDA), BatchSize(4, now=2))
    encoder.launch(images)
    assert all(end.waited for end in Event.made[1::2])
    assert (encoder.size.now, encoder.size.settled) == (4, False)


# What float32 means.


def flags():
    backends = torch.backends
    return backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32, backends.cudnn.benchmark


@pytest.mark.parametrize(
    ("dtype", "inside"),
    [
        (torch.float32, (False, False, False)),
        (torch.float16, (True, True, True)),
        (torch.bfloat16, (True, True, True)),
    ],
)
def test_float32_is_float32_within_the_block_alone(dtype, inside):
    before = flags()
    # What some containers set by an environment variable.
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        outside = flags()
        with computing_on(CUDA, dtype):
            assert flags() == inside
        assert flags() == outside == (True, True, False)
        with computing_on(torch.device("cpu"), dtype):
            assert flags() == outside
        with pytest.raises(ValueError, match="x"), computing_on(CUDA, dtype):
            raise ValueError("x")
        assert flags() == outside
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before[0]


@pytest.mark.skipif(not hasattr(torch.backends.cudnn, "conv"), reason="this torch has one name for it")
@pytest.mark.parametrize("chosen", ["", "cuda.matmul", "cudnn.conv", "fp32_precision", "legacy"])
def test_flags_are_put_back_by_whatever_name_they_were_set(chosen):
    """Run in a separate process: names that were used once cannot be unused."""
    code = f"""
import torch
from lutkit.latents.devices import computing_on
backends, chosen = torch.backends, {chosen!r}
if chosen == "legacy":
    backends.cuda.matmul.allow_tf32 = True
elif chosen == "fp32_precision":
    backends.fp32_precision = "tf32"
elif chosen:
    of = backends.cuda.matmul if chosen == "cuda.matmul" else backends.cudnn.conv
    of.fp32_precision = "tf32" if chosen == "cuda.matmul" else "ieee"
def found():
    return backends.cuda.matmul.fp32_precision, backends.cudnn.conv.fp32_precision
before = found()
with computing_on(torch.device("cuda", 0), torch.float32):
    assert "tf32" not in found(), found()
assert found() == before, (found(), before)
backends.fp32_precision = "tf32"
if not chosen:
    assert found() == ("tf32", "tf32"), found()
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


# What is refused.


def test_a_driver_too_old_is_told_from_a_torch_without_cuda(monkeypatch):
    # GPUs are counted without their driver.
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    with pytest.raises(VaeError, match="CUDA is requested, but torch finds no usable GPU"):
        require_device("cuda")
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: False)
    with pytest.raises(VaeError, match="is built without it"):
        require_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert require_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(VaeError, match="no cuda:2: GPUs are numbered 0 to 1"):
        require_device("cuda:2")


def test_a_gpu_that_refuses_is_one_line(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    def refuse(*_, device):
        raise RuntimeError(f"CUDA error: no kernel image is available for {device}.\nCompile with")

    monkeypatch.setattr(torch, "ones", refuse)
    with pytest.raises(VaeError) as caught:
        open_device("cuda:0")
    said = "cuda:0 cannot be used: CUDA error: no kernel image is available for cuda:0; choose"
    assert str(caught.value).startswith(said)
    assert open_device("cpu") == torch.device("cpu")


def test_only_what_is_known_becomes_one_line():
    def failing(error):
        raise error

    for error in (ValueError("x"), RuntimeError("shapes do not match")):
        with pytest.raises(type(error)), plain_device_errors():
            failing(error)
        with pytest.raises(type(error)):
            within_memory(lambda error=error: failing(error))
    engine = RuntimeError("FIND was unable to find an engine to execute this computation\nmore")
    assert within_memory(lambda: failing(engine)) is None
    said = r"a single image, or the GPU cannot compute it \(FIND was unable .* computation\); use smaller"
    with pytest.raises(VaeError, match=said):
        within_memory(lambda: failing(engine), with_less=False)
    full = torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(VaeError, match="runs out with a single image; use smaller"):
        within_memory(lambda: failing(full), with_less=False)
    with pytest.raises(VaeError, match="the GPU failed: cuDNN error: X; check"), plain_device_errors():
        failing(RuntimeError("cuDNN error: X\nmore"))
