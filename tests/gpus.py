"""Marks for tests that need a GPU: `pytest -m cuda` runs them, and so does `scripts/gpu_check`."""

import pytest
import torch

NEEDS_CUDA = (pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"))
# For tests that do the same on a CPU and on a GPU.
DEVICES = ("cpu", pytest.param("cuda", marks=NEEDS_CUDA))


def needs_cuda(test):
    """Mark a test that needs a GPU."""
    for mark in NEEDS_CUDA:
        test = mark(test)
    return test
