"""Batches: sizes, memory that runs out, overflow; and which dtype is taken."""

import dataclasses
import weakref
from typing import ClassVar

import numpy as np
import pytest
import torch
from small_vaes import STAND_IN, StandInVae, one_thread, save_vae

from lutkit.errors import VaeError
from lutkit.latents import batches, precision
from lutkit.latents.batches import (
    BatchEncoder,
    BatchSize,
    batch_size_for,
    can_decode,
    cut_note,
    most_at_once,
    require_countable,
    require_decodable,
    stacked,
    undecoded_note,
)
from lutkit.latents.precision import choose_dtype, fast_dtypes
from lutkit.latents.vae import load_vae


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
    size.took(2, 1e9)
    assert (size.now, size.settled) == (2, False)


def test_the_size_that_is_asked_for():
    vae = StandInVae()
    size = batch_size_for(vae, 16, 16, 7)
    assert (size.now, size.settled) == (7, True)
    with pytest.raises(VaeError, match="give 1 or more"):
        batch_size_for(vae, 16, 16, 0)
    assert batch_size_for(vae, 256, 256, None).largest == 16
    assert batch_size_for(vae, 4096, 4096, None).largest == 1


def test_a_gpu_begins_with_some_and_ends_where_its_kernels_cannot_count():
    vae = StandInVae(device=torch.device("cuda"))
    for side, begins in ((64, 128), (256, 8), (512, 2), (4096, 1)):
        size = batch_size_for(vae, side, side, None)
        assert (size.now, size.settled) == (begins, False)
    # 128 channels as large as the picture.
    assert batch_size_for(vae, 256, 256, None).largest * 128 * 256 * 256 < 2**31
    assert batch_size_for(vae, 256, 256, None).largest > 250
    assert batch_size_for(vae, 64, 64, None).largest == 512
    assert batch_size_for(vae, 512, 512, 1000).now * 128 * 512 * 512 < 2**31
    identity = dataclasses.replace(STAND_IN, config={"block_out_channels": [256]})
    wide = StandInVae(device=vae.device, identity=identity)
    assert batch_size_for(wide, 256, 256, None).largest * 256 * 256 * 256 < 2**31


def test_a_batch_that_a_gpu_cannot_count_is_cut_and_said():
    gpu, cpu = StandInVae(device=torch.device("cuda")), StandInVae()
    size = batch_size_for(gpu, 256, 256, 300)
    assert (size.now, size.settled) == (254, True)
    said = cut_note(size, 300, 256, 250)
    assert "--batch-size 300 is reduced to 254: a GPU can count 2^31 elements" in said
    assert "254 images of 250 x 256 px" in said
    for vae, asked in ((gpu, 254), (gpu, None), (cpu, 300)):
        assert cut_note(batch_size_for(vae, 256, 256, asked), asked, 256, 256) == ""


@pytest.mark.parametrize(("widths", "largest"), [([128, 128, 128, 128], 4088), ([256, 256], 2894)])
def test_an_image_that_a_gpu_cannot_count_is_refused(widths, largest):
    # The first layer's elements, padded by a row and a column where it is halved.
    assert widths[0] * (largest + 1) ** 2 < 2**31
    factor = 2 ** (len(widths) - 1)
    assert widths[0] * (largest + factor + 1) ** 2 >= 2**31
    identity = dataclasses.replace(STAND_IN, config={"block_out_channels": widths})
    gpu = torch.device("cuda")
    require_countable(gpu, identity, (largest, largest))
    require_countable(torch.device("cpu"), identity, (9000, 9000))
    with pytest.raises(VaeError) as caught:
        require_countable(gpu, identity, (largest + factor, largest + factor), "here", can_cut=True)
    for word in ("here: ", f"{largest + factor} x {largest + factor} px", "2^31", f"--size {largest}", "cpu"):
        assert word in str(caught.value)
    with pytest.raises(VaeError, match=rf"9000 x 5000 px.*use images of {largest} px"):
        require_countable(gpu, identity, (5000, 9000))


@pytest.mark.parametrize("blocks", [(4, 8, 8), (8, 4, 4), (8, 24), (8,)])
def test_what_a_gpu_counts_is_no_less_than_the_largest_tensor(blocks, tmp_path, monkeypatch):
    save_vae(tmp_path / "vae", block_out_channels=blocks)
    vae, largest = load_vae(str(tmp_path / "vae")), []
    for part in (*vae.encoder.modules(), *vae.decoder.modules()):
        if isinstance(part, torch.nn.Conv2d | torch.nn.GroupNorm):
            part.register_forward_hook(
                lambda _, given, out: largest.append(max(given[0].numel(), out.numel()))
            )
    monkeypatch.setattr(batches, "_WIDTH", 1)
    gpu, (height, width) = torch.device("cuda"), (16, 24)
    moments = vae.encode(torch.zeros(1, 3, height, width, dtype=torch.uint8))
    encoding = max(largest)
    largest.clear()
    vae.decode(moments[:, :4])
    decoding, padding = max(largest), (height + 1) * (width + 1) / (height * width)
    # Counted are a row and a column more than there may be.
    for countable, elements in ((most_at_once, encoding), (can_decode, decoding)):
        for room, enough in ((elements - 1, False), (int(elements * padding) + 1, True)):
            monkeypatch.setattr(batches, "_GPU_ELEMENTS", room)
            assert bool(countable(gpu, vae.identity, height, width)) is enough
    assert can_decode(torch.device("cpu"), vae.identity, 1 << 20, 1 << 20)


def test_a_decoding_that_a_gpu_cannot_count_is_told_of_what_it_can_encode():
    identity = dataclasses.replace(STAND_IN, config={"block_out_channels": [128, 256, 512, 512]})
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    # 256 channels as large as the picture.
    assert 256 * 2888**2 < 2**31 < 256 * 2904**2
    require_decodable(gpu, identity, (2888, 2888))
    require_countable(gpu, identity, (2904, 4000))
    with pytest.raises(VaeError, match=r"4000 x 2904 px .* decodes to 2888 x 2888 px .*--device cpu"):
        require_decodable(gpu, identity, (2904, 4000))
    require_decodable(cpu, identity, (2904, 4000))
    said = undecoded_note(gpu, identity, 2904, 4000)
    assert "encodes 4000 x 2904 px but decodes to 2888 x 2888 px" in said
    assert "2888 x 2888 px" in said
    assert undecoded_note(gpu, identity, 2888, 2888) == undecoded_note(cpu, identity, 2904, 4000) == ""


def test_dtypes_are_tried_without_a_decoding_that_a_gpu_cannot_count(monkeypatch):
    identity = dataclasses.replace(STAND_IN, config={"block_out_channels": [128, 256]})
    vae = StandInVae(device=torch.device("cuda"), identity=identity)
    monkeypatch.setattr(precision, "_wait", lambda _: None)
    images = stacked(pictures(2))
    for elements, decodes in ((256 * 7 * 5, True), (256 * 7 * 5 - 1, False)):
        monkeypatch.setattr(batches, "_GPU_ELEMENTS", elements)
        _, trials = choose_dtype(vae, images, ("bfloat16",))
        assert [trial.psnr is not None for trial in trials] == [decodes] * 2
        assert all(trial.finite for trial in trials)


def test_out_of_memory_halves_and_goes_on():
    encoder = BatchEncoder(StandInVae(most=3), BatchSize(16, fixed=True))
    images = pictures(16)
    moments = encoder.fetch(encoder.launch(images)).moments
    expected = StandInVae().encode(stacked(images)).numpy()
    assert np.array_equal(moments, expected)
    assert encoder.size.now == 2
    assert encoder.busy_s > 0


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear if"),
        RuntimeError("Unable to find a valid cuDNN algorithm to run convolution"),
    ],
    ids=str,
)
def test_memory_runs_out_in_many_words(error):
    class Full(StandInVae):
        def encode(self, images):
            if len(images) > 2:
                raise error
            return super().encode(images)

    encoder = BatchEncoder(Full(), BatchSize(5, fixed=True))
    images = pictures(5)
    moments = encoder.fetch(encoder.launch(images)).moments
    assert np.array_equal(moments, StandInVae().encode(stacked(images)).numpy())
    assert encoder.size.now == 2


def test_what_ran_out_of_memory_is_free_before_it_is_tried_again(monkeypatch):
    held, alive, emptied = [], [], []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(len(alive)))

    class Full(StandInVae):
        def encode(self, images):
            alive.append(sum(one() is not None for one in held))
            layer = torch.zeros(len(images))
            held.append(weakref.ref(layer))
            if len(images) > 1:
                raise torch.OutOfMemoryError("out of memory")
            return super().encode(images)

    encoder = BatchEncoder(Full(), BatchSize(4, fixed=True))
    encoder.launch(pictures(4))
    assert alive == [0] * 6
    assert emptied == [1, 2]


def test_a_batch_that_was_filled_up_is_halved_as_a_full_one():
    encoder = BatchEncoder(StandInVae(most=3), BatchSize(4, fixed=True), compiled=True)
    encoder.launch(pictures(1))
    assert encoder.size.now == 2


def test_a_decoding_that_does_not_fit_is_left_out():
    class Undecoding(StandInVae):
        def decode(self, latents):
            raise torch.OutOfMemoryError("out of memory")

    encoder = BatchEncoder(Undecoding(), BatchSize(4, fixed=True))
    images = pictures(4)
    found = encoder.fetch(encoder.launch(images, [0, 2]))
    assert np.array_equal(found.moments, StandInVae().encode(stacked(images)).numpy())
    assert (found.decodings, encoder.size.now) == ({}, 4)


def test_a_decoding_that_overflows_and_does_not_fit_in_float32_is_left_out():
    class Overflowing(StandInVae):
        def decode(self, latents):
            if self.dtype == "float32":
                raise torch.OutOfMemoryError("out of memory")
            return super().decode(latents) * torch.nan

    encoder = BatchEncoder(Overflowing(dtype="float16"), BatchSize(2, fixed=True))
    assert encoder.fetch(encoder.launch(pictures(2), [1])).decodings == {}


def test_what_overflows_is_encoded_again_in_as_many_batches_as_float32_needs():
    encoder = BatchEncoder(
        StandInVae(overflows=-2.0, dtype="float16"),
        BatchSize(5, fixed=True),
        load_float32=lambda: StandInVae(most=2),
    )
    images = pictures(5)
    moments = encoder.fetch(encoder.launch(images)).moments
    assert np.array_equal(moments, StandInVae().encode(stacked(images)).numpy())
    assert encoder.again == 5
    encoder._exact = StandInVae(most=0)
    with pytest.raises(VaeError, match="memory runs out with a single image"):
        encoder.fetch(encoder.launch(images))


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


def test_sizes_that_grow_lose_no_image_and_are_compiled_once_settled():
    seen = []

    class Compiled(StandInVae):
        def encode(self, images):
            seen.append(len(images))
            return super().encode(images)

    class Plain(StandInVae):
        def compiled(self):
            return Compiled()

    encoder = BatchEncoder(Plain(), BatchSize(4), compiled=True)
    images = pictures(40)
    # Each twice as large is twice as fast, whatever the clock says.
    encoder.size.took = lambda count, _: BatchSize.took(encoder.size, count, 1.0)
    moments = encoder.fetch(encoder.launch(images)).moments
    assert np.array_equal(moments, StandInVae().encode(stacked(images)).numpy())
    # 1, 1, 2, 2, 4, 4 were tried before.
    assert seen == [4] * 7


def test_stacked_images_keep_their_channels_last():
    images = pictures(2)
    batch = stacked(images)
    assert batch.shape == (2, 3, 6, 4)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert np.array_equal(batch[1, 2].numpy(), images[1][..., 2])


# Dtypes.


class Noisy(StandInVae):
    """A VAE that is off by a known amount in half floats, and by half of it in the log-variance."""

    OFF: ClassVar = {"float32": 0.0, "bfloat16": 0.02, "float16": 0.04}

    def encode(self, images):
        moments = super().encode(images)
        off = self.OFF[self.dtype]
        mean, logvar = moments.chunk(2, 1)
        return torch.cat([mean * (1 + off), logvar * (1 + off / 2)], 1)


def timed_as(monkeypatch, seconds):
    true = precision.timed
    monkeypatch.setattr(precision, "timed", lambda vae, images: (true(vae, images)[0], seconds[vae.dtype]))


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


def test_the_worst_image_counts():
    class LastOff(StandInVae):
        def encode(self, images):
            moments = super().encode(images)
            moments[-1, :12] *= 1.0 if self.dtype == "float32" else 1.5
            return moments

    _, trials = choose_dtype(LastOff(), stacked(pictures(3)), ("bfloat16",))
    assert trials[1].l2_mean == pytest.approx(0.5, rel=1e-3)
    assert not trials[1].is_close


def test_of_equally_fast_dtypes_the_nearest_is_taken(monkeypatch):
    images = stacked(pictures(2))
    monkeypatch.setattr(Noisy, "OFF", {"float32": 0.0, "bfloat16": 0.02, "float16": 0.01})
    for float16_s, taken in ((1.04, "float16"), (1.1, "bfloat16")):
        with monkeypatch.context() as patched:
            timed_as(patched, {"float32": 9.0, "bfloat16": 1.0, "float16": float16_s})
            vae, _ = choose_dtype(Noisy(), images, ("bfloat16", "float16"))
        assert vae.dtype == taken


def test_dtypes_are_tried_on_as_many_images_as_memory_holds():
    images = stacked(pictures(5))
    _, trials = choose_dtype(Noisy(most=2), images, ("bfloat16",))
    fewer = choose_dtype(Noisy(), images[:2], ("bfloat16",))[1]
    assert [(trial.psnr, trial.nats) for trial in trials] == [(trial.psnr, trial.nats) for trial in fewer]
    with pytest.raises(VaeError, match="memory runs out with a single image"):
        choose_dtype(StandInVae(most=0), images, ())


def test_dtypes_are_tried_where_no_decoding_fits_into_memory():
    class Undecoding(StandInVae):
        def decode(self, latents):
            raise torch.OutOfMemoryError("out of memory")

    _, trials = choose_dtype(Undecoding(), stacked(pictures(2)), ("bfloat16",))
    assert [(trial.psnr, trial.finite) for trial in trials] == [(None, True)] * 2
    assert trials[1].row()["psnr"] is None


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
    assert all(isinstance(value, str | bool | float) for value in trials[0].row().values())
    named = {"dtype": "float16", "images_per_s": 2.0, "finite": False, "taken": False}
    unknown = dict.fromkeys(("l2_mean", "l2_logvar", "sigmas", "nats", "psnr"))
    assert trials[1].row() == {**named, **unknown}


def test_a_decoding_that_is_no_number_has_no_psnr():
    class Undecodable(StandInVae):
        def decode(self, latents):
            return super().decode(latents) * torch.tensor([1, torch.nan, 1]).view(3, 1, 1)

    _, trials = choose_dtype(Undecodable(), stacked(pictures(2)), ())
    assert (trials[0].psnr, trials[0].finite) == (None, True)
    assert choose_dtype(StandInVae(), stacked(pictures(2)), (), 0)[1][0].psnr is None


def test_a_cpu_says_whether_it_has_bfloat16(monkeypatch):
    for has, expected in (({"amx_bf16": True}, ("bfloat16",)), ({"avx512_f": True}, ())):
        monkeypatch.setattr("torch.cpu.get_capabilities", lambda has=has: has)
        assert fast_dtypes(torch.device("cpu")) == expected


@pytest.mark.parametrize(
    ("capability", "expected"), [((7, 5), ("float16",)), ((8, 0), ("float16", "bfloat16"))]
)
def test_gpus_that_emulate_bfloat16_do_not_try_it(capability, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_: True)
    assert fast_dtypes(torch.device("cuda", 1)) == expected
