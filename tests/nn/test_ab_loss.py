"""Losses on the ab plane: torch's own cross entropy against a whole target is the oracle."""

import pytest
import torch
from ab_planes import few_weights, random_ab, random_logits, weights_of
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lutkit.errors import ArrayError
from lutkit.nn import logits as logits_module
from lutkit.nn.ab import AbBins, hard_classes, soft_classes
from lutkit.nn.ab_loss import class_cross_entropy, rebalanced_cross_entropy

HALVES = (torch.float16, torch.bfloat16)
TENS = AbBins(weights_of("10"))
Q = len(TENS)


def whole(logits, ab, bins):
    """Return (B, H, W) cross entropies by a target of all classes."""
    indices, shares = soft_classes(ab, bins)
    target = torch.zeros_like(logits).scatter_add_(1, indices.long(), shares.to(logits.dtype))
    return functional.cross_entropy(logits, target, reduction="none") * bins.weights[hard_classes(ab, bins)]


class Sizes(TorchDispatchMode):
    """Keeps the bytes of whatever new memory operations return."""

    def __init__(self):
        super().__init__()
        self.found = []
        self.known = {}  # tensors too, so that no address is given out twice

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        for tensor in tensors_in(args):
            self.known.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        result = func(*args, **(kwargs or {}))
        for tensor in tensors_in([result]):
            if self.known.setdefault(tensor.untyped_storage().data_ptr(), tensor) is tensor:
                self.found.append(tensor.untyped_storage().nbytes())
        return result


def tensors_in(values):
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)]


# Values and gradients.


@pytest.mark.parametrize("grid", ["10", "zhang313", "16"])
def test_losses_and_gradients_are_those_of_a_whole_target(grid):
    bins, ab = AbBins(weights_of(grid)), random_ab()
    logits = random_logits(len(bins), dtype=torch.float64).requires_grad_()
    scale = torch.rand(2, 6, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    ours, theirs = rebalanced_cross_entropy(logits, ab, bins, reduction="none"), whole(logits, ab, bins)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
    found, expected = (torch.autograd.grad((loss * scale).sum(), logits)[0] for loss in (ours, theirs))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)
    for reduction in ("mean", "sum"):
        loss = rebalanced_cross_entropy(logits, ab, bins, reduction=reduction)
        torch.testing.assert_close(loss, getattr(theirs, reduction)(), rtol=1e-6, atol=1e-6)


@settings(max_examples=25)
@given(
    pixels=st.integers(1, 40_000),
    images=st.integers(1, 3),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    layout=st.sampled_from(["plain", "channels_last", "turned", "cut"]),
)
def test_chunks_sizes_and_memory_formats_make_no_difference(pixels, images, height, width, layout):
    ab = random_ab(images, height, width)
    logits = random_logits(Q, images, height, width)
    if layout == "channels_last":
        logits = logits.to(memory_format=torch.channels_last)
    elif layout == "turned":
        logits = logits.mT.contiguous().mT
    elif layout == "cut":
        logits = torch.cat([logits, logits], 3)[..., :width]
    logits.requires_grad_()
    before = logits_module._CPU_LOGITS
    logits_module._CPU_LOGITS = pixels
    try:
        ours = rebalanced_cross_entropy(logits, ab, TENS)
        (found,) = torch.autograd.grad(ours, logits)
    finally:
        logits_module._CPU_LOGITS = before
    theirs = whole(logits, ab, TENS).mean()
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found, torch.autograd.grad(theirs, logits)[0], rtol=1e-4, atol=1e-7)


def test_gradcheck():
    bins = AbBins(few_weights(), nearest=3)
    ab, logits = random_ab(2, 1, 2), random_logits(len(bins), 2, 1, 2, torch.float64).requires_grad_()
    for reduction in ("mean", "none"):
        assert torch.autograd.gradcheck(
            lambda x, how=reduction: rebalanced_cross_entropy(x, ab, bins, reduction=how), logits
        )
    shares = torch.rand(2, 3, 1, 2, dtype=torch.float64)  # of any sum
    indices = torch.randint(0, len(bins), (2, 3, 1, 2))
    assert torch.autograd.gradcheck(lambda x: class_cross_entropy(x, (indices, shares)), logits)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("scale", [1, 3000])
def test_half_precision_is_computed_in_float32(dtype, scale):
    ab, logits = random_ab(), (random_logits(Q) * scale).to(dtype).requires_grad_()
    assert logits.isfinite().all()
    exact = logits.detach().double().requires_grad_()
    ours, theirs = (rebalanced_cross_entropy(x, ab, TENS) for x in (logits, exact))
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours.double(), theirs, rtol=1e-5, atol=1e-5)
    (found,), (expected,) = torch.autograd.grad(ours, logits), torch.autograd.grad(theirs, exact)
    assert found.dtype == dtype
    torch.testing.assert_close(found, expected.to(dtype), rtol=1e-2, atol=1e-6)


def test_autocast_makes_no_difference():
    ab, logits = random_ab(), random_logits(Q)
    with torch.autocast("cpu", torch.bfloat16):
        inside = rebalanced_cross_entropy(logits, ab, TENS)
    assert torch.equal(inside, rebalanced_cross_entropy(logits, ab, TENS))


def test_arguments_are_left_alone():
    ab, logits = random_ab(), random_logits(Q).requires_grad_()
    kept = ab.clone(), logits.detach().clone()
    rebalanced_cross_entropy(logits, ab, TENS).backward()
    assert torch.equal(ab, kept[0])
    assert torch.equal(logits, kept[1])


# Classes at hand.


def test_hard_classes_are_those_of_torch():
    logits = random_logits(Q).requires_grad_()
    classes, weight = hard_classes(random_ab(), TENS), torch.rand(2, 6, 7)
    theirs = functional.cross_entropy(logits, classes, reduction="none") * weight
    for kind in (torch.int64, torch.int32, torch.int16):
        ours = class_cross_entropy(logits, classes.to(kind), weight, reduction="none")
        torch.testing.assert_close(ours, theirs)
    (found,), (expected,) = (torch.autograd.grad(loss.sum(), logits) for loss in (ours, theirs))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)


def test_soft_classes_at_hand_give_the_same_as_ab():
    logits, ab = random_logits(Q), random_ab()
    ours = class_cross_entropy(logits, soft_classes(ab, TENS), TENS.weights[hard_classes(ab, TENS)])
    assert torch.equal(ours, rebalanced_cross_entropy(logits, ab, TENS))
    collated = list(soft_classes(ab, TENS))  # what torch's loaders make of tuples
    assert class_cross_entropy(logits, collated) == class_cross_entropy(logits, soft_classes(ab, TENS))


# Memory.


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nothing_of_the_size_of_the_logits_is_made_but_their_gradient(dtype, monkeypatch):
    monkeypatch.setattr(logits_module, "_CPU_LOGITS", 1 << 14)
    ab, logits = random_ab(4, 32, 32), random_logits(Q, 4, 32, 32).to(dtype).requires_grad_()
    size = logits.numel() * logits.element_size()
    with Sizes() as forward:
        loss = rebalanced_cross_entropy(logits, ab, TENS)
    assert max(forward.found) < logits.numel() * 4 / 10
    with Sizes() as backward:
        loss.backward()
    assert sorted(backward.found)[-1] == size
    assert sorted(backward.found)[-2] < logits.numel() * 4 / 10
    with Sizes() as other:
        whole(logits.detach().float(), ab, TENS)
    assert max(other.found) >= size  # so that it can be told


def test_what_is_kept_for_the_gradient_is_the_logits_and_a_few_planes():
    ab, logits = random_ab(), random_logits(Q).requires_grad_()
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda x: x):
        rebalanced_cross_entropy(logits, ab, TENS)
    pixels = 2 * 6 * 7
    assert sum(tensor.numel() for tensor in kept) <= logits.numel() + (2 * TENS.nearest + 3) * pixels


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_in_place_the_gradient_takes_the_place_of_the_logits(dtype):
    layer = nn.Conv2d(4, Q, 1, dtype=dtype)
    features, ab = torch.rand(2, 4, 6, 7, dtype=dtype), random_ab()
    rebalanced_cross_entropy(layer(features), ab, TENS).backward()
    expected = [parameter.grad.clone() for parameter in layer.parameters()]
    layer.zero_grad()
    logits = layer(features)
    loss = rebalanced_cross_entropy(logits, ab, TENS, inplace=True)
    size = logits.numel() * logits.element_size()
    with Sizes() as found:
        loss.backward()
    for parameter, gradient in zip(layer.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
    assert logits.sum(1).abs().max() < 0.2  # a gradient of cross entropy sums to 0 over the classes
    if dtype == torch.float32:
        assert max(found.found) < size


def test_in_place_logits_without_a_gradient_are_left_alone():
    logits, ab = random_logits(Q), random_ab()  # as in evaluation
    kept = logits.clone()
    loss = rebalanced_cross_entropy(logits, ab, TENS, inplace=True)
    assert torch.equal(loss, rebalanced_cross_entropy(logits, ab, TENS))
    assert torch.equal(logits, kept)


def test_in_place_no_other_use_of_the_logits_goes_unnoticed():
    base, ab = random_logits(Q).requires_grad_(), random_ab()
    logits = base.exp()  # whose own gradient needs its result
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        rebalanced_cross_entropy(logits, ab, TENS, inplace=True).backward()
    loss = rebalanced_cross_entropy(base * 2, ab, TENS, inplace=True)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    with pytest.raises(ArrayError, match="would overwrite a leaf tensor; use the output of a layer"):
        rebalanced_cross_entropy(base, ab, TENS, inplace=True)


# What is refused.


def spoilt(value, dtype=torch.float32):
    logits = random_logits(Q, dtype=dtype)
    logits[1, 3, 2, 4] = value
    return logits


@pytest.mark.parametrize("dtype", [torch.float32, *HALVES])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_not_finite(value, dtype):
    with pytest.raises(ArrayError, match="rebalanced_cross_entropy: the logits hold NaN or infinity; lower"):
        rebalanced_cross_entropy(spoilt(value, dtype), random_ab(), TENS)
    with pytest.raises(ArrayError, match="class_cross_entropy: the logits hold NaN or infinity; lower"):
        class_cross_entropy(spoilt(value, dtype), torch.zeros(2, 6, 7, dtype=torch.int64))


def test_a_class_may_be_ruled_out_where_it_has_no_share():
    logits, classes = spoilt(-float("inf")).requires_grad_(), torch.full((2, 6, 7), 5)
    loss = class_cross_entropy(logits, classes)
    torch.testing.assert_close(loss, functional.cross_entropy(logits, classes))
    assert torch.autograd.grad(loss, logits)[0].isfinite().all()
    with pytest.raises(ArrayError, match="NaN or infinity"):
        class_cross_entropy(logits, torch.full((2, 6, 7), 3))


def nan_ab():
    ab = random_ab()
    ab[1, 0, 3, 3] = float("nan")
    return ab


@pytest.mark.parametrize(
    ("logits", "ab", "words"),
    [
        (
            random_logits(313),
            random_ab(),
            r"313 logits for each pixel, but 261 bins \(grid 10\); use weights",
        ),
        (random_logits(Q), nan_ab(), "ab holds NaN"),
        (random_logits(Q), random_ab() * 3, "ab is outside the range of sRGB"),
        (
            random_logits(Q),
            random_ab(3),
            r"logits are \(2, 261, 6, 7\), but ab \(3, 2, 6, 7\); resize one of them: B, H and W",
        ),
        (random_logits(Q), random_ab(2, 7, 6), r"but ab \(2, 2, 7, 6\)"),
        (random_logits(Q), random_ab()[0], r"ab must be \(B, 2, H, W\), not \(2, 6, 7\)"),
        (random_logits(Q), random_ab().long(), "ab must be a tensor of floats, not torch.int64"),
        (random_logits(Q)[0], random_ab(), r"logits must be \(B, Q, H, W\), not \(261, 6, 7\)"),
        (random_logits(Q)[:0], random_ab(), r"logits must be \(B, Q, H, W\), not \(0, 261, 6, 7\)"),
        (random_logits(Q).int(), random_ab(), "logits must be a tensor of floats, not torch.int32"),
        ([1.0], random_ab(), "logits must be a tensor of floats, not list"),
        (random_logits(Q).to("meta"), random_ab(), "bins are on cpu, but a tensor is on meta"),
    ],
)
def test_what_does_not_fit(logits, ab, words):
    with pytest.raises(ArrayError, match=words) as caught:
        rebalanced_cross_entropy(logits, ab, TENS)
    assert str(caught.value).startswith("rebalanced_cross_entropy: ")
    assert "\n" not in str(caught.value)


ZEROS = torch.zeros(2, 6, 7, dtype=torch.int64)
SOFT = torch.zeros(2, 5, 6, 7, dtype=torch.int64), torch.zeros(2, 5, 6, 7)


@pytest.mark.parametrize(
    ("classes", "weight", "words"),
    [
        (ZEROS + Q, None, "classes are 261..261, but logits are 0..260"),
        (ZEROS - 1, None, "classes are -1..-1"),
        (ZEROS.float(), None, "classes must be integers and their shares floats, not torch.float32"),
        ((SOFT[0], SOFT[0]), None, "not torch.int64 and torch.int64"),
        (
            (SOFT[0], SOFT[1][:, :4]),
            None,
            r"classes of shape \(2, 5, 6, 7\) and shares of shape \(2, 4, 6, 7\); use",
        ),
        ((*SOFT, SOFT[1]), None, "soft classes must be indices and shares, not 3 tensors"),
        (ZEROS[:1], None, r"logits are \(2, 261, 6, 7\), but classes \(1, 1, 6, 7\)"),
        (ZEROS.to("meta"), None, "the logits are on cpu, but some of the classes are not"),
        (ZEROS, torch.ones(2, 1, 6, 7), r"weight must be \(2, 6, 7\), floating, not \(2, 1, 6, 7\)"),
        (ZEROS, ZEROS, "not .* torch.int64"),
    ],
)
def test_classes_and_weights_that_do_not_fit(classes, weight, words):
    with pytest.raises(ArrayError, match=words):
        class_cross_entropy(random_logits(Q), classes, weight)


def test_no_such_reduction():
    with pytest.raises(ArrayError, match="no reduction 'median'; choose 'mean', 'sum' or 'none'"):
        rebalanced_cross_entropy(random_logits(Q), random_ab(), TENS, reduction="median")
