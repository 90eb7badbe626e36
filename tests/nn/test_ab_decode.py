"""From logits back to ab: scipy's softmax is the oracle."""

import numpy as np
import pytest
import torch
from ab_planes import few_weights, random_logits, weights_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from lutkit.errors import ArrayError
from lutkit.nn import logits as logits_module
from lutkit.nn.ab import AbBins
from lutkit.nn.ab_decode import annealed_mean

TENS, SIXTEENS = AbBins(weights_of("10")), AbBins(weights_of("16"))
HALVES = (torch.float16, torch.bfloat16)


def expected(logits, temperature, bins):
    chances = softmax(logits.double().numpy() / temperature, axis=1)
    return torch.from_numpy(np.tensordot(chances, bins.bins.double().numpy(), (1, 0))).permute(0, 3, 1, 2)


def modes(logits, bins):
    return bins.bins[logits.argmax(1)].permute(0, 3, 1, 2)


@settings(max_examples=30)
@given(
    temperature=st.floats(0.02, 50), part=st.integers(1, 30_000), layout=st.sampled_from(["plain", "turned"])
)
def test_it_is_the_mean_of_the_bins_by_softmax(temperature, part, layout):
    logits = random_logits(len(TENS), 2, 4, 5)
    if layout == "turned":
        logits = logits.mT.contiguous().mT
    before = logits_module._CPU_LOGITS
    logits_module._CPU_LOGITS = part
    try:
        ours = annealed_mean(logits, temperature, TENS)
    finally:
        logits_module._CPU_LOGITS = before
    assert ours.shape == (2, 2, 4, 5)
    torch.testing.assert_close(ours.double(), expected(logits, temperature, TENS), rtol=0, atol=1e-3)


@pytest.mark.parametrize("bins", [TENS, SIXTEENS], ids=["10", "16"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, *HALVES])
@pytest.mark.parametrize("temperature", [0, 5e-324, 1e-60, 1e-40, 1e-38, 1e-20, 1e-6])
def test_without_warmth_it_is_the_mode_exactly(temperature, dtype, bins):
    logits = (random_logits(len(bins)) * 1000).to(dtype)
    largest = logits.double().topk(2, dim=1).values
    clear = (largest[:, 0] > largest[:, 1]).unsqueeze(1)  # in half precision two may be equal
    ours, theirs = annealed_mean(logits, temperature, bins), modes(logits, bins)
    assert clear.float().mean() > 0.8
    assert torch.equal((ours * clear).double(), (theirs * clear).double())


@pytest.mark.parametrize("temperature", [0, 1e-44, 1e-9, 1])
def test_equal_modes_share(temperature):
    logits = torch.full((1, len(TENS), 1, 1), -1e30)
    logits[0, [3, 40]] = 1e30
    middle = (TENS.bins[3] + TENS.bins[40]) / 2
    assert torch.equal(annealed_mean(logits, temperature, TENS).flatten(), middle)


@pytest.mark.parametrize("temperature", [0, 1e-44, 1e-9])
def test_the_mode_is_the_largest_by_however_little(temperature):
    logits = torch.zeros(1, len(TENS), 1, 1)
    logits[0, 3] = 1
    logits[0, 40] = torch.nextafter(logits[0, 3], torch.tensor(2.0))
    assert torch.equal(annealed_mean(logits, temperature, TENS).flatten(), TENS.bins[40])


@pytest.mark.parametrize("temperature", [1e-6, 1e-20, 1e-37])
def test_a_little_warmth_is_no_mode(temperature):
    logits = torch.full((1, len(TENS), 1, 1), -1.0)
    logits[0, 3], logits[0, 40] = 0, -temperature / 2
    less = np.exp(-0.5)
    middle = (TENS.bins[3] + less * TENS.bins[40]) / (1 + less)
    torch.testing.assert_close(annealed_mean(logits, temperature, TENS).flatten(), middle)


def test_at_1_a_network_that_knows_nothing_gives_the_mean_of_all_bins():
    found = annealed_mean(torch.zeros(1, len(SIXTEENS), 1, 1), 1, SIXTEENS).flatten()
    torch.testing.assert_close(found, SIXTEENS.bins.mean(0), rtol=0, atol=1e-4)


def test_a_and_b_keep_their_places():
    logits = torch.zeros(1, len(TENS), 1, 1)
    number = int(((TENS.bins == torch.tensor([60.0, -90.0])).all(1)).nonzero())
    logits[0, number] = 1e4
    assert annealed_mean(logits, 0.38, TENS).flatten().tolist() == [60, -90]


@pytest.mark.parametrize("dtype", HALVES)
def test_half_precision_is_computed_in_float32(dtype):
    logits = random_logits(len(TENS)).to(dtype)
    ours = annealed_mean(logits, 0.38, TENS)
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours.double(), expected(logits, 0.38, TENS), rtol=0, atol=1e-3)


@pytest.mark.parametrize("temperature", [0.38, 1, 7.5])
def test_gradcheck(temperature):
    bins = AbBins(few_weights())
    logits = random_logits(len(bins), 2, 2, 2, torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: annealed_mean(x, temperature, bins), logits)


def test_the_mode_has_no_gradient():
    logits = random_logits(len(TENS)).requires_grad_()
    (found,) = torch.autograd.grad(annealed_mean(logits, 0, TENS).sum(), logits)
    assert not found.any()


def test_a_class_may_be_ruled_out():
    logits = random_logits(len(TENS))
    logits[:, 7] = -float("inf")
    for temperature in (0, 0.5):
        assert annealed_mean(logits, temperature, TENS).isfinite().all()


@pytest.mark.parametrize("temperature", [0, 1e-40, 0.38])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_not_finite(value, temperature):
    logits = random_logits(len(TENS))
    logits[1, 3, 2, 4] = value
    with pytest.raises(ArrayError, match="annealed_mean: the logits hold NaN or infinity"):
        annealed_mean(logits, temperature, TENS)


@pytest.mark.parametrize(
    ("logits", "temperature", "words"),
    [
        (random_logits(261), -0.1, "the temperature must be 0 or above, not -0.1"),
        (random_logits(261), float("nan"), "not nan"),
        (random_logits(261), float("inf"), "not inf"),
        (random_logits(313), 1, r"313 logits for each pixel, but 261 bins \(grid 10\)"),
        (random_logits(261)[0], 1, r"logits must be \(B, Q, H, W\)"),
        (random_logits(261).long(), 1, "logits must be a tensor of floats"),
    ],
)
def test_what_does_not_fit(logits, temperature, words):
    with pytest.raises(ArrayError, match=words):
        annealed_mean(logits, temperature, TENS)
