"""Batches: sizes, memory that runs out, overflow; and which dtype is taken."""

import numpy as np
import pytest
import torch
from small_vaes import StandInVae, one_thread

from lutkit.errors import VaeError
from lutkit.nn import precision
from lutkit.nn.batch_size import BatchSize, batch_size_for
from lutkit.nn.batches import BatchEncoder, stacked
from lutkit.nn.precision import choose_dtype, fast_dtypes


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    with one_thread():
        yield


def pictures(count, seed=0):
    return list(np.random.default_rng(seed).integers(0, 256, (count, 6, 4, 3), dtype=np.uint8))


def settle(rate_of):
    """Run a size until it settles, on a device that does `rate_of(size)` images a second."""
    size = BatchSize(64)
    for _ in range(100):
        if size.settled:
            break
        size.took(size.now, size.now / rate_of(size.now))
    return size


def test_batches_grow_as_long_as_that_is_faster():
    assert settle(lambda size: size).now == 64
    assert settle(lambda size: min(size, 8)).now == 8
    assert settle(lambda size: 10).now == 1
    assert settle(lambda size: {1: 1, 2: 3}.get(size, 2)).now == 2


def test_a_first_batch_of_a_size_says_nothing():
    size = BatchSize(64)
    size.took(1, 1e9)
    assert (size.now, size.settled) == (1, False)
    size.took(1, 1.0)
    assert size.now == 2
    size.took(1, 1e-9)  # the rest of a shard, smaller than what was asked
    assert size.now == 2


def test_the_size_that_is_asked_for():
    vae = StandInVae()
    size = batch_size_for(vae, 16, 16, 7)
    assert (size.now, size.settled) == (7, True)
    with pytest.raises(VaeError, match="at least 1"):
        batch_size_for(vae, 16, 16, 0)
    assert batch_size_for(vae, 256, 256, None).largest == 16
    assert batch_size_for(vae, 4096, 4096, None).largest == 1


def test_out_of_memory_halves_and_goes_on():
    encoder = BatchEncoder(StandInVae(most=3), BatchSize(16, fixed=True))
    images = pictures(16)
    moments = encoder.fetch(encoder.launch(images)).moments
    expected = StandInVae().encode(stacked(images)).numpy()
    assert np.array_equal(moments, expected)
    assert encoder.size.now == 2
    assert encoder.busy_s > 0


def test_out_of_memory_at_one_image_is_an_error():
    encoder = BatchEncoder(StandInVae(most=0), BatchSize(4, fixed=True))
    with pytest.raises(VaeError, match="memory runs out with a single image"):
        encoder.launch(pictures(4))


def test_what_overflows_is_encoded_again_in_float32():
    vae = StandInVae(overflows=0.9, dtype="float16")
    encoder = BatchEncoder(vae, BatchSize(8, fixed=True))
    images = pictures(8)
    images[2][:], images[5][:] = 250, 249
    moments = encoder.fetch(encoder.launch(images)).moments
    assert np.array_equal(moments, StandInVae().encode(stacked(images)).numpy())
    assert encoder.again == 2


def test_what_is_not_finite_in_float32_either_is_left_so():
    encoder = BatchEncoder(StandInVae(overflows=0.9, stays=True), BatchSize(8, fixed=True))
    images = [np.full((4, 4, 3), value, np.uint8) for value in (10, 255, 20)]
    finite = np.isfinite(encoder.fetch(encoder.launch(images)).moments).all((1, 2, 3))
    assert finite.tolist() == [True, False, True]


def test_some_are_decoded_too():
    for vae in (StandInVae(), StandInVae(most=2)):
        encoder = BatchEncoder(vae, BatchSize(8, fixed=True))
        images = pictures(5)
        decodings = encoder.fetch(encoder.launch(images, [1, 4])).decodings
        assert list(decodings) == [1, 4]
        for i, decoding in decodings.items():
            np.testing.assert_allclose(decoding.transpose(1, 2, 0), images[i] / 255, atol=1e-6)


def test_a_decoding_that_overflows_is_made_again_in_float32():
    class Overflowing(StandInVae):
        def decode(self, latents):
            return super().decode(latents) if self.dtype == "float32" else latents * torch.nan

    encoder = BatchEncoder(Overflowing(dtype="float16"), BatchSize(8, fixed=True))
    images = pictures(2)
    decoding = encoder.fetch(encoder.launch(images, [1])).decodings[1]
    np.testing.assert_allclose(decoding.transpose(1, 2, 0), images[1] / 255, atol=1e-6)


def test_other_errors_are_not_taken_for_memory():
    class Broken(StandInVae):
        def encode(self, images):
            raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        BatchEncoder(Broken(), BatchSize(4, fixed=True)).launch(pictures(4))


def test_a_compiled_encoder_always_sees_one_size():
    seen = []

    class Compiled(StandInVae):
        def encode(self, images):
            seen.append(len(images))
            return super().encode(images)

    encoder = BatchEncoder(Compiled(), BatchSize(4, fixed=True), compiled=True)
    images = pictures(6)
    moments = encoder.fetch(encoder.launch(images)).moments
    assert seen == [4, 4]
    assert np.array_equal(moments, StandInVae().encode(stacked(images)).numpy())


def test_stacked_images_keep_their_channels_last():
    images = pictures(2)
    batch = stacked(images)
    assert batch.shape == (2, 3, 6, 4)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert np.array_equal(batch[1, 2].numpy(), images[1][..., 2])


# Dtypes.


class Noisy(StandInVae):
    """Off by as much as is said, in half floats: in the mean, and in the log-variance by half of it."""

    def encode(self, images):
        moments = super().encode(images)
        off = {"float32": 0.0, "bfloat16": 0.02, "float16": 0.04}[self.dtype]
        mean, logvar = moments.chunk(2, 1)
        return torch.cat([mean * (1 + off), logvar * (1 + off / 2)], 1)


def timed_as(monkeypatch, seconds):
    true = precision._timed
    monkeypatch.setattr(precision, "_timed", lambda vae, images: (true(vae, images)[0], seconds[vae.dtype]))


def test_the_fastest_dtype_within_the_tolerance_is_taken(monkeypatch):
    timed_as(monkeypatch, {"float32": 9.0, "bfloat16": 3.0, "float16": 1.0})
    images = stacked(pictures(5))
    vae, trials = choose_dtype(Noisy(), images, ("float16", "bfloat16"))
    assert vae.dtype == "bfloat16"
    rows = {trial.dtype: trial for trial in trials}
    assert [trial.dtype for trial in trials if trial.taken] == ["bfloat16"]
    assert rows["float16"].l2_mean == pytest.approx(0.04, rel=1e-3)
    assert rows["bfloat16"].l2_logvar == pytest.approx(0.01, rel=1e-3)
    mean = StandInVae().encode(images).chunk(2, 1)[0].double()
    off, ratio = 0.02 * mean / np.exp(-2), -0.04
    assert rows["bfloat16"].sigmas == pytest.approx(float(off.square().mean().sqrt()), rel=1e-3)
    nats = 0.5 * (off.square() + np.exp(ratio) - 1 - ratio)
    assert rows["bfloat16"].nats == pytest.approx(float(nats.flatten(1).sum(1).mean()), rel=1e-3)
    assert rows["float32"].images_per_s == pytest.approx(5 / 9)
    assert rows["float16"].psnr < rows["bfloat16"].psnr < rows["float32"].psnr


def test_float32_stays_where_nothing_is_faster_or_close(monkeypatch):
    images = stacked(pictures(2))
    timed_as(monkeypatch, {"float32": 1.0, "bfloat16": 3.0, "float16": 0.5})
    assert choose_dtype(Noisy(), images, ("float16", "bfloat16"))[0].dtype == "float32"


def test_what_overflows_is_not_taken(monkeypatch):
    images = stacked(pictures(2))
    timed_as(monkeypatch, {"float32": 9.0, "float16": 1.0})
    vae, trials = choose_dtype(StandInVae(overflows=-2.0), images, ("float16",))
    assert vae.dtype == "float32"
    assert [trial.finite for trial in trials] == [True, False]
    assert all(isinstance(value, str | bool | float) for trial in trials for value in trial.row().values())


def test_a_cpu_says_whether_it_has_bfloat16(monkeypatch):
    for has, expected in (({"amx_bf16": True}, ("bfloat16",)), ({"avx512_f": True}, ())):
        monkeypatch.setattr("torch.cpu.get_capabilities", lambda has=has: has)
        assert fast_dtypes(torch.device("cpu")) == expected
