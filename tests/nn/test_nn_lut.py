"""LUTs on tensors: the compiled loops, `grid_sample` and finite differences are the oracles."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from gpus import needs_cuda
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from lutkit import apply
from lutkit.errors import ArrayError, LutError
from lutkit.lut.model import Lut1D, Lut3D, LutChain
from lutkit.nn import interpolation
from lutkit.nn.lut import LutModule, apply_curves, apply_lut

READINGS = ("tetrahedral", "trilinear")
DOMAINS = {"unit": ((0, 0, 0), (1, 1, 1)), "odd": ((-0.1, 0.05, -0.3), (1.2, 0.9, 2.0))}
ROOT = Path(__file__).resolve().parents[2]


def random_cube(sizes, domain="unit", seed=0):
    """Noise in every lattice point, so that no axis, channel or cell can replace another."""
    table = np.random.default_rng(seed).uniform(-0.3, 1.4, (*sizes, 3))
    return Lut3D(table.astype(np.float32), *DOMAINS[domain])


def random_curves(size, domain="unit", seed=0):
    table = np.random.default_rng(seed).uniform(-0.3, 1.4, (size, 3))
    return Lut1D(table.astype(np.float32), *DOMAINS[domain])


def pictures(dtype=np.float32, shape=(2, 19, 23), seed=1):
    rng = np.random.default_rng(seed)
    if dtype == np.uint8:
        return rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    return rng.uniform(-0.6, 1.8, (*shape, 3)).astype(dtype)


def to_tensor(images):
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(images, -1, 1)))


def to_array(images):
    return np.moveaxis(images.detach().numpy(), 1, -1)


def table_of(lut, dtype=torch.float32):
    return torch.tensor(lut.table, dtype=dtype)


def through(images, lut, reading="tetrahedral"):
    domain = {"domain_min": lut.domain_min, "domain_max": lut.domain_max}
    if isinstance(lut, Lut1D):
        return apply_curves(images, table_of(lut), **domain)
    return apply_lut(images, table_of(lut), interpolation=reading, **domain)


def off(ours, theirs):
    return np.abs(ours.astype(np.float64) - theirs).max()


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("sizes", [(2, 3, 5), (33, 17, 9), (33, 33, 33)])
def test_cubes_agree_with_the_compiled_loops(sizes, domain, reading):
    lut, images = random_cube(sizes, domain), pictures()
    ours = to_array(through(to_tensor(images), lut, reading))
    assert off(ours, apply(images, lut, interpolation=reading)) < 1e-5


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("domain", DOMAINS)
def test_codes_agree_with_the_compiled_loops(domain, reading):
    lut, images = random_cube((33, 17, 9), domain), pictures(np.uint8, (2, 90, 80))
    ours = to_array(through(to_tensor(images), lut, reading))
    differences = ours.astype(int) - apply(images, lut, interpolation=reading)
    assert ours.dtype == np.uint8
    assert np.abs(differences).max() <= 1
    assert (differences != 0).mean() < 0.001


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("size", [2, 17, 1024, 65536])
def test_curves_agree_with_the_compiled_loops(size, domain):
    lut, images, codes = random_curves(size, domain), pictures(), pictures(np.uint8)
    assert off(to_array(through(to_tensor(images), lut)), apply(images, lut)) < 1e-5
    assert off(to_array(through(to_tensor(codes), lut)), apply(codes, lut)) <= 1


def test_trilinear_agrees_with_grid_sample():
    lut, images = random_cube((9, 6, 4)), to_tensor(pictures())
    places = (images.permute(0, 2, 3, 1)[:, None] * 2 - 1).flip(-1)  # grid_sample takes the last axis first
    volume = table_of(lut).permute(3, 0, 1, 2).expand(2, -1, -1, -1, -1)
    theirs = functional.grid_sample(volume, places, padding_mode="border", align_corners=True)[:, :, 0]
    torch.testing.assert_close(through(images, lut, "trilinear"), theirs, rtol=0, atol=1e-5)


@given(
    sizes=st.tuples(*[st.integers(2, 7)] * 3),
    reading=st.sampled_from(READINGS),
    values=st.lists(st.floats(-1e30, 1e30), min_size=6, max_size=6),
    seed=st.integers(0, 999),
)
def test_each_image_has_its_own_cube(sizes, reading, values, seed):
    luts = [random_cube(sizes, "odd", seed + i) for i in range(2)]
    images = np.array(values, np.float32).reshape(2, 1, 1, 3)
    tables = torch.stack([table_of(lut) for lut in luts])
    low, high = DOMAINS["odd"]
    ours = apply_lut(to_tensor(images), tables, domain_min=low, domain_max=high, interpolation=reading)
    each = [apply(image, lut, interpolation=reading) for image, lut in zip(images, luts, strict=True)]
    assert off(to_array(ours), np.stack(each)) < 1e-5


def test_each_image_has_its_own_curves():
    luts = [random_curves(9, seed=seed) for seed in range(3)]
    images = pictures(shape=(3, 5, 4))
    ours = apply_curves(to_tensor(images), torch.stack([table_of(lut) for lut in luts]))
    each = [apply(image, lut) for image, lut in zip(images, luts, strict=True)]
    assert off(to_array(ours), np.stack(each)) < 1e-5


@pytest.mark.parametrize("size", [2, 17, 25, 33, 64, 65])
def test_the_identity_returns_codes_exactly(size):
    codes = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 64, 64), dtype=np.uint8))
    codes[0, :, :16, :16] = torch.arange(256, dtype=torch.uint8).reshape(16, 16)
    for reading in READINGS:
        assert torch.equal(apply_lut(codes, table_of(Lut3D.identity(size)), interpolation=reading), codes)
    assert torch.equal(apply_curves(codes, table_of(Lut1D.identity(size))), codes)


def test_values_halfway_between_codes_go_to_even():
    codes = torch.arange(256, dtype=torch.uint8).expand(1, 3, 1, -1)
    halved = torch.round(codes.double() / 2).byte()
    for size in (2, 17, 33):
        assert torch.equal(apply_lut(codes, table_of(Lut3D.identity(size)) / 2), halved)


def test_greys_stay_grey():
    lut = random_cube((33, 33, 33))
    table = lut.table.copy()
    for i in range(33):
        table[i, i, i] = table[i, i, i].mean()
    greys = torch.linspace(0, 1, 4097).expand(1, 3, 1, -1)
    values = apply_lut(greys, torch.from_numpy(table))
    assert (values.amax(1) - values.amin(1)).max() <= 1e-6


# Gradients.


def doubles(*shape, seed=0):
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("images_each", [(), (2,)])
def test_gradients_of_cubes(images_each, reading):
    images = (doubles(2, 3, 4, 5) * 1.4 - 0.2).requires_grad_()
    table = doubles(*images_each, 3, 4, 5, 3, seed=1).requires_grad_()
    low, high = (-0.1, 0.0, 0.05), (1.1, 1.0, 0.9)

    def function(images, table):
        return apply_lut(images, table, domain_min=low, domain_max=high, interpolation=reading)

    assert torch.autograd.gradcheck(function, (images, table))


@pytest.mark.parametrize("images_each", [(), (2,)])
def test_gradients_of_curves(images_each):
    images = (doubles(2, 3, 4, 5) * 1.4 - 0.2).requires_grad_()
    table = doubles(*images_each, 6, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(apply_curves, (images, table))


@pytest.mark.parametrize("reading", READINGS)
def test_the_gradient_of_greys_is_that_of_one_side(reading):
    greys = torch.linspace(0.03, 0.97, 40).expand(1, 3, 1, -1).clone().requires_grad_()
    values = apply_lut(greys, table_of(Lut3D.identity(5)), interpolation=reading)
    for channel in range(3):
        (found,) = torch.autograd.grad(values[:, channel].sum(), greys, retain_graph=True)
        expected = torch.zeros_like(found)
        expected[:, channel] = 1
        torch.testing.assert_close(found, expected)


def test_only_what_goes_in_is_kept_for_the_gradient():
    images, table = torch.rand(2, 3, 64, 64).requires_grad_(), torch.rand(9, 9, 9, 3).requires_grad_()
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda x: x):
        apply_lut(images, table)
    assert sum(tensor.numel() for tensor in kept) == images.numel() + table.numel()


@pytest.mark.parametrize("pixels", [29, 23 * 19, 1000])
def test_chunks_make_no_difference(pixels, monkeypatch):
    def run():
        images = to_tensor(pictures(shape=(3, 19, 23))).requires_grad_()
        tables = [table_of(random_cube((5, 4, 3))), torch.stack([table_of(random_cube((5, 4, 3)))] * 3)]
        results = []
        for table in tables:
            values = apply_lut(images, table.requires_grad_())
            results += [values, *torch.autograd.grad((values**2).sum(), (images, table))]
        return results

    whole = run()
    monkeypatch.setattr(interpolation, "_CPU_PIXELS", pixels)
    for ours, expected in zip(run(), whole, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("reading", "own"),
    [("tetrahedral", False), ("tetrahedral", True), ("trilinear", True), ("curves", False)],
)
def test_the_compiler_takes_it_whole(reading, own):
    table = random_curves(5) if reading == "curves" else random_cube((5, 4, 3))
    table = torch.stack([table_of(table)] * 2) if own else table_of(table)

    def function(images, table):
        if reading == "curves":
            return apply_curves(images, table)
        return apply_lut(images, table, interpolation=reading)

    def run(function):
        images = to_tensor(pictures()).requires_grad_()
        asked = table.clone().requires_grad_()
        values = function(images, asked)
        return [values, *torch.autograd.grad((values**2).sum(), (images, asked))]

    compiled = torch.compile(function, backend="aot_eager", fullgraph=True)
    for ours, expected in zip(run(compiled), run(function), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


# Dtypes, memory, odd values.


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_halves_are_computed_in_float32(dtype):
    lut = random_cube((33, 33, 33))
    images = to_tensor(pictures()).to(dtype).requires_grad_()
    values = through(images, lut)
    assert values.dtype == dtype
    assert torch.equal(values, through(images.float(), lut).to(dtype))
    (found,) = torch.autograd.grad(values.sum(), images)
    assert found.dtype == dtype


def test_float64_is_computed_as_such():
    images = to_tensor(pictures(np.float64))
    single, double = through(images.float(), random_cube((9, 9, 9))), through(images, random_cube((9, 9, 9)))
    assert double.dtype == torch.float64
    assert 0 < (double - single).abs().max() < 1e-5


def test_any_memory_format():
    images, lut = to_tensor(pictures(shape=(2, 18, 22))), random_cube((5, 4, 3))
    expected = through(images, lut)
    last = images.contiguous(memory_format=torch.channels_last)
    assert torch.equal(through(last, lut), expected)
    assert through(last, lut).is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(through(images[:, :, ::2, 1::3], lut), expected[:, :, ::2, 1::3])
    assert torch.equal(through(images[:1].expand(4, -1, -1, -1), lut), expected[:1].expand(4, -1, -1, -1))
    assert through(images[:0], lut).shape == (0, 3, 18, 22)
    assert through(images[:, :, :0], lut).shape == (2, 3, 0, 22)


@pytest.mark.parametrize("reading", READINGS)
def test_nan_makes_its_pixel_nan_and_no_other(reading):
    images, lut = pictures(), random_cube((5, 4, 3))
    expected = apply(images, lut, interpolation=reading)
    images[1, 2, 3, 1] = np.nan
    expected[1, 2, 3] = np.nan
    np.testing.assert_allclose(to_array(through(to_tensor(images), lut, reading)), expected, atol=1e-5)


@pytest.mark.parametrize("reading", READINGS)
def test_nan_shows_in_the_gradient_of_the_table(reading):
    images, table = to_tensor(pictures()), table_of(random_cube((5, 4, 3))).requires_grad_()
    images[1, 1, 2, 3] = np.nan
    apply_lut(images, table, interpolation=reading).sum().backward()
    assert table.grad.isnan().any()


def test_nan_stays_in_its_channel_of_curves():
    values = apply_curves(torch.tensor([0.3, np.nan, 0.6]).reshape(1, 3, 1, 1), table_of(Lut1D.identity(9)))
    np.testing.assert_allclose(values.flatten(), [0.3, np.nan, 0.6], atol=1e-6)


def test_infinities_are_clamped():
    lut, images = random_cube((5, 4, 3)), pictures(shape=(1, 2, 2))
    images[0, 0, 0], images[0, 1, 1] = [np.inf, -np.inf, 0.5], [-np.inf, np.inf, np.inf]
    assert off(to_array(through(to_tensor(images), lut)), apply(images, lut)) < 1e-5


def test_arguments_are_left_alone():
    images, table = torch.rand(1, 3, 8, 8).requires_grad_(), torch.rand(3, 3, 3, 3).requires_grad_()
    before = images.detach().clone(), table.detach().clone()
    apply_lut(images, table).sum().backward()
    assert torch.equal(images, before[0])
    assert torch.equal(table, before[1])


# Modules.

CHAIN = LutChain([random_curves(33, "odd"), random_cube((9, 7, 5), "odd"), random_curves(4)])


@pytest.mark.parametrize("lut", [random_curves(9, "odd"), random_cube((9, 7, 5), "odd"), CHAIN])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_a_module_applies_its_lut(lut, dtype):
    images = pictures(dtype)
    ours = to_array(LutModule(lut)(to_tensor(images)))
    assert ours.dtype == dtype
    assert off(ours, apply(images, lut)) <= (1 if dtype == np.uint8 else 1e-5)


def test_a_module_gives_its_lut_back():
    assert LutModule(CHAIN, learnable=True).lut() == CHAIN
    assert LutModule(CHAIN.stages[1]).lut() == CHAIN.stages[1]


def test_tables_are_buffers_or_parameters():
    assert [name for name, _ in LutModule(CHAIN).named_buffers()] == ["table_0", "table_1", "table_2"]
    assert not list(LutModule(CHAIN).parameters())
    assert [name for name, _ in LutModule(CHAIN, learnable=True).named_parameters()] == [
        "table_0", "table_1", "table_2"
    ]  # fmt: skip


def test_a_cube_is_learned():
    target, images = (
        random_cube((3, 3, 3)),
        torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(0)),
    )
    wanted = through(images, target)
    module = LutModule(Lut3D.identity(3), learnable=True)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        ((module(images) - wanted) ** 2).mean().backward()
        optimizer.step()
    assert off(module.lut().table, target.table) < 0.01


def test_a_module_does_not_share_the_tables_of_its_lut():
    lut = random_cube((3, 3, 3))
    module = LutModule(lut)
    module.table_0.zero_()
    assert lut == random_cube((3, 3, 3))


# What cannot be.


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.rand(3, 4, 4), r"shape \(3, 4, 4\); use"),
        (torch.rand(1, 4, 4, 4), "shape"),
        (torch.zeros(1, 3, 4, 4, dtype=torch.int32), "dtype torch.int32; convert"),
        (np.zeros((1, 3, 4, 4)), "a tensor, not ndarray"),
    ],
)
def test_images_of_other_kinds(images, words):
    with pytest.raises(ArrayError, match=words):
        apply_lut(images, torch.rand(2, 2, 2, 3))
    with pytest.raises(ArrayError, match=words):
        apply_curves(images, torch.rand(2, 3))


@pytest.mark.parametrize(
    ("table", "options", "words"),
    [
        (torch.rand(2, 2, 2), {}, ", n in 2..256"),
        (torch.rand(2, 1, 2, 3), {}, ", n in 2..256"),
        (torch.rand(2, 2, 257, 3), {}, ", n in 2..256"),
        (torch.rand(3, 2, 2, 2, 3), {}, "3 tables for 2 images"),
        (torch.zeros(2, 2, 2, 3, dtype=torch.uint8), {}, "not torch.uint8"),
        (np.zeros((2, 2, 2, 3)), {}, "not ndarray"),
        (torch.rand(2, 2, 2, 3, device="meta"), {}, "move one"),
        (torch.rand(2, 2, 2, 3), {"interpolation": "cubic"}, "no interpolation 'cubic'"),
        (torch.rand(2, 2, 2, 3), {"interpolation": "curves"}, "no interpolation 'curves'"),
        (torch.rand(2, 2, 2, 3), {"domain_min": (0, 1, 0)}, "is not below"),
        (torch.rand(2, 2, 2, 3), {"domain_max": (1, np.inf, 1)}, "finite"),
        (torch.rand(2, 2, 2, 3), {"domain_max": (1, 1)}, "three"),
    ],
)
def test_tables_and_options_that_cannot_be(table, options, words):
    with pytest.raises(LutError, match=words):
        apply_lut(torch.rand(2, 3, 4, 4), table, **options)


def test_curves_that_cannot_be():
    for table in (torch.rand(3), torch.rand(1, 3), torch.rand(2, 2, 2, 3), torch.rand(65537, 3)):
        with pytest.raises(LutError, match=r"\(n, 3\)"):
            apply_curves(torch.rand(2, 3, 4, 4), table)


def test_modules_that_cannot_be():
    with pytest.raises(LutError, match="not int"):
        LutModule(7)
    with pytest.raises(LutError, match="no interpolation 'cubic'"):
        LutModule(Lut3D.identity(2), interpolation="cubic")


# The Triton kernel, in Triton's interpreter where it is installed, and on a GPU where there is one.

IN_THE_INTERPRETER = """
import sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from test_nn_lut import check_kernel
check_kernel()
"""


def through_kernel(images, *luts):
    from lutkit.nn.lut import _Stage
    from lutkit.nn.triton_cube import tetrahedral

    pixels = to_tensor(images).flatten(2)
    low, high = luts[0].domain_min, luts[0].domain_max
    white = 255 if images.dtype == np.uint8 else 1
    grid = _Stage("test", "tetrahedral", low, high).grid(luts[0].sizes, white)
    rows = torch.stack([table_of(lut).reshape(-1, 3) for lut in luts])
    guarded = torch.full((rows.numel() + 400,), np.nan)  # whoever reads beside the table finds NaN
    guarded[200:-200] = rows.flatten()
    target = torch.empty_like(pixels)
    tetrahedral(pixels, guarded[200:-200].reshape(rows.shape), target, grid)
    return np.moveaxis(target.numpy().reshape(len(images), 3, *images.shape[1:3]), 1, -1)


def check_kernel():
    """The kernel by itself, on whatever device Triton runs; called in a process of its own."""
    floats, codes = pictures(shape=(2, 31, 29)), pictures(np.uint8, (2, 31, 29))
    for domain in DOMAINS:
        luts = [random_cube((9, 7, 5), domain, seed) for seed in range(2)]
        for images in (floats, codes):
            ours = through_kernel(images, *luts)
            both = np.stack([apply(image, lut) for image, lut in zip(images, luts, strict=True)])
            assert off(ours, both) <= (1 if images is codes else 1e-5)
            assert np.array_equal(through_kernel(images, luts[0])[0], ours[0])
        assert (ours != both).mean() < 0.02
    for size in (2, 17, 25, 33, 64, 65):
        assert np.array_equal(through_kernel(codes, Lut3D.identity(size)), codes)
    steep, middle = Lut3D(Lut3D.identity(2).table * 40 - 19.9923), codes // 25 + 122
    # Read as half floats this would be off by two codes.
    assert off(through_kernel(middle, steep), apply(middle, steep)) <= 1
    floats[0, 0, 0], floats[1, 2, 3, 1] = 9, np.nan
    assert np.isnan(through_kernel(floats, luts[0])).sum() == 3


def test_the_kernel_in_the_interpreter():
    pytest.importorskip("triton")
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": paths}
    command = [sys.executable, "-c", IN_THE_INTERPRETER, str(Path(__file__).parent)]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


@needs_cuda
@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
@pytest.mark.parametrize("own", [False, True])
def test_a_card_agrees_with_the_cpu(own, dtype, reading):
    luts = [random_cube((33, 17, 9), "odd", seed) for seed in range(2)]
    table = torch.stack([table_of(lut) for lut in luts]) if own else table_of(luts[0])
    images = to_tensor(pictures(dtype, (2, 200, 301)))
    low, high = DOMAINS["odd"]

    def run(device):
        return apply_lut(
            images.to(device), table.to(device), domain_min=low, domain_max=high, interpolation=reading
        ).cpu()

    differences = (run("cuda").double() - run("cpu").double()).abs()
    assert differences.max() <= (1 if dtype == np.uint8 else 1e-5)
    if dtype == np.uint8:
        assert (differences != 0).double().mean() < 0.02


@needs_cuda
@pytest.mark.parametrize("reading", READINGS)
def test_gradients_on_a_card_agree_with_the_cpu(reading):
    def run(device):
        images = to_tensor(pictures()).to(device).requires_grad_()
        table = table_of(random_cube((9, 7, 5))).to(device).requires_grad_()
        values = apply_lut(images, table, interpolation=reading)
        return [gradient.cpu() for gradient in torch.autograd.grad((values**2).sum(), (images, table))]

    for ours, expected in zip(run("cuda"), run("cpu"), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


@needs_cuda
def test_the_identity_returns_codes_exactly_on_a_card():
    codes = torch.randint(0, 256, (2, 3, 256, 257), dtype=torch.uint8, device="cuda")
    for size in (2, 17, 25, 33, 64, 65):
        assert torch.equal(apply_lut(codes, table_of(Lut3D.identity(size)).cuda()), codes)


# The compiled loops, and torch's transforms.


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last, None])
def test_without_gradients_the_bits_are_those_of_apply(reading, dtype, form, monkeypatch):
    lut, images = random_cube((5, 7, 4), "odd"), pictures(dtype, (3, 70, 90))
    given_tensor = to_tensor(images)
    if form is None:
        given_tensor = given_tensor.flip(3).flip(3).mT.contiguous().mT  # columns before rows
    else:
        given_tensor = given_tensor.contiguous(memory_format=form)
    want = np.stack([apply(image, lut, interpolation=reading) for image in images])
    monkeypatch.setattr(interpolation, "_read", None)  # the way of tensors
    ours = through(given_tensor, lut, reading)
    assert np.array_equal(to_array(ours), want)
    # In slices on several threads, too.
    monkeypatch.setattr(interpolation, "_SLICE_PIXELS", 1000)
    monkeypatch.setattr(interpolation, "_THREADED_PIXELS", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert torch.equal(through(given_tensor, lut, reading), ours)


def test_each_image_has_its_own_cube_in_the_loops():
    images = to_tensor(pictures(np.uint8))
    tables = torch.stack([table_of(random_cube((4, 4, 4), seed=seed)) for seed in (1, 2)])
    ours = apply_lut(images, tables)
    for image, table, one in zip(images, tables, ours, strict=True):
        assert torch.equal(apply_lut(image[None], table)[0], one)
    assert not torch.equal(ours[0], apply_lut(images, tables[1])[0])


def test_with_gradients_and_without_they_agree():
    images, lut = to_tensor(pictures()), random_cube((5, 4, 6))
    table = table_of(lut).requires_grad_()
    learned = apply_lut(images, table)
    assert learned.requires_grad
    with torch.no_grad():
        assert off(to_array(apply_lut(images, table)), to_array(learned)) < 1e-6
    module = LutModule(lut, learnable=True)
    with torch.inference_mode():
        assert off(to_array(module(images)), to_array(module(images.clone()))) == 0


@pytest.mark.parametrize("reading", READINGS)
def test_vmap_maps_images_and_tables(reading):
    images = to_tensor(pictures(np.uint8, (6, 9, 8))).unflatten(0, (3, 2))
    tables = torch.stack([table_of(random_cube((4, 3, 5), seed=seed)) for seed in range(3)])
    one = torch.func.vmap(lambda image: apply_lut(image, tables[0], interpolation=reading))(images)
    own = torch.func.vmap(lambda i, t: apply_lut(i, t, interpolation=reading))(images / 255, tables)
    for place, image in enumerate(images):
        same = apply_lut(image, tables[0], interpolation=reading)
        assert (one[place].int() - same.int()).abs().max() <= 1
        want = apply_lut(image / 255, tables[place], interpolation=reading)
        torch.testing.assert_close(own[place], want, rtol=0, atol=1e-5)


@pytest.mark.parametrize("reading", READINGS)
def test_grad_is_that_of_backward(reading):
    def energy(images, table):
        return apply_lut(images, table, interpolation=reading).square().sum()

    images, table = to_tensor(pictures()), table_of(random_cube((4, 3, 5)))
    found = torch.func.grad(energy, argnums=(0, 1))(images, table)
    leaves = images.clone().requires_grad_(), table.clone().requires_grad_()
    energy(*leaves).backward()
    for one, leaf in zip(found, leaves, strict=True):
        torch.testing.assert_close(one, leaf.grad)
    each = torch.func.vmap(torch.func.grad(lambda t, i: energy(i[None], t)), in_dims=(None, 0))(table, images)
    torch.testing.assert_close(each.sum(0), leaves[1].grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_module_is_exported(strict, dtype):
    images, module = to_tensor(pictures(dtype)), LutModule(random_cube((5, 4, 6), "odd"))
    program = torch.export.export(module, (images,), strict=strict)
    ours, want = program.module()(images), module(images)
    assert ours.dtype == want.dtype
    assert (ours.double() - want.double()).abs().max() <= (1 if dtype == np.uint8 else 1e-5)
