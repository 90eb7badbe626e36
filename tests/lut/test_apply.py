"""`apply` against OpenColorIO, Pillow, and what its docstring promises."""

import threading

import numpy as np
import PyOpenColorIO as ocio  # noqa: N813
import pytest
from PIL import Image, ImageFilter

from lutkit import apply
from lutkit.errors import ArrayError, LutError
from lutkit.lut import kernels
from lutkit.lut.apply import values_through
from lutkit.lut.model import Lut1D, Lut3D, LutChain

WHITE = {np.uint8: 255, np.uint16: 65535, np.float32: 1}
DTYPES = list(WHITE)
INTERPOLATIONS = {"tetrahedral": ocio.INTERP_TETRAHEDRAL, "trilinear": ocio.INTERP_LINEAR}


def smooth_table(sizes, seed=0, low=0.0, high=1.0):
    """A table without any symmetry between channels: slow waves in all three inputs."""
    rng = np.random.default_rng(seed)
    r, g, b = np.meshgrid(*(np.linspace(0, 1, n) for n in sizes), indexing="ij")
    channels = []
    for own in (r, g, b):
        p, q, s, phase = rng.uniform(0.5, 2.5, 4)
        channels.append(0.6 * own + 0.2 * np.sin(p * r + 2 * q * g - s * b + phase) + 0.2)
    return (low + np.stack(channels, -1) * (high - low)).astype(np.float32)


def smooth_curves(size, seed=0):
    rng = np.random.default_rng(seed)
    x = np.linspace(0, 1, size)[:, None]
    return (x ** rng.uniform(0.4, 2.2, 3) * 0.9 + 0.05).astype(np.float32)


def picture(dtype, shape=(48, 64, 3), seed=1):
    rng = np.random.default_rng(seed)
    if dtype is np.float32:
        return rng.uniform(-0.2, 1.2, shape).astype(np.float32)
    return rng.integers(0, WHITE[dtype] + 1, shape).astype(dtype)


def cube_text(lut):
    """The LUT as a `.cube` file, written here so that the order of rows does not come from the package."""
    name, rows = ("1D", lut.table) if isinstance(lut, Lut1D) else ("3D", lut.table.transpose(2, 1, 0, 3))
    lines = [f"LUT_{name}_SIZE {lut.table.shape[0]}"]
    lines.append("DOMAIN_MIN " + " ".join(map(repr, lut.domain_min)))
    lines.append("DOMAIN_MAX " + " ".join(map(repr, lut.domain_max)))
    lines += [" ".join(f"{v:.9g}" for v in row) for row in rows.reshape(-1, 3)]
    return "\n".join(lines) + "\n"


def through_opencolorio(lut, image, folder, interpolation=ocio.INTERP_TETRAHEDRAL):
    path = folder / f"{len(list(folder.iterdir()))}.cube"  # OpenColorIO keeps what it read under a name
    path.write_text(cube_text(lut))
    config = ocio.Config.CreateRaw()
    interpolation = ocio.INTERP_LINEAR if isinstance(lut, Lut1D) else interpolation
    processor = config.getProcessor(ocio.FileTransform(src=str(path), interpolation=interpolation))
    out = np.ascontiguousarray(image).copy()
    processor.getOptimizedCPUProcessor(ocio.OPTIMIZATION_NONE).applyRGB(out)
    return out


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-0.3, 1.4)])
@pytest.mark.parametrize("size", [2, 9, 33])
def test_cubes_agree_with_opencolorio(tmp_path, size, low, high, interpolation):
    lut = Lut3D(smooth_table((size,) * 3, size, low, high))
    image = picture(np.float32)
    expected = through_opencolorio(lut, image, tmp_path, INTERPOLATIONS[interpolation])
    np.testing.assert_allclose(apply(image, lut, interpolation=interpolation), expected, atol=1e-5)


@pytest.mark.parametrize("lut", [Lut3D, Lut1D])
def test_domains_agree_with_opencolorio(tmp_path, lut):
    table = smooth_table((7, 7, 7), 3) if lut is Lut3D else smooth_curves(50)
    lut = lut(table, domain_min=(-0.25, 0.0, 0.125), domain_max=(2.0, 1.5, 0.75))
    image = picture(np.float32) * np.float32(2)
    np.testing.assert_allclose(apply(image, lut), through_opencolorio(lut, image, tmp_path), atol=1e-5)


@pytest.mark.parametrize("size", [2, 32, 4097, 65536])
def test_curves_agree_with_opencolorio(tmp_path, size):
    lut = Lut1D(smooth_curves(size))
    image = picture(np.float32)
    np.testing.assert_allclose(apply(image, lut), through_opencolorio(lut, image, tmp_path), atol=1e-5)


def test_8_bit_ties_go_to_even():
    codes = np.arange(255, dtype=np.uint8).reshape(-1, 3)
    for lut in (Lut1D, Lut3D):
        halved = lut(lut.identity(33).table, domain_max=(2.0, 2.0, 2.0))
        for kind in (halved, LutChain([halved, Lut1D.identity(2)]), LutChain([Lut3D.identity(2), halved])):
            np.testing.assert_array_equal(apply(codes, kind), np.rint(codes / 2))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_chain_is_its_stages_one_after_the_other(tmp_path, dtype):
    stages = [Lut1D(smooth_curves(64)), Lut3D(smooth_table((9, 9, 9), 4)), Lut1D(smooth_curves(33, 5))]
    image = picture(dtype)
    expected = image.astype(np.float32) / np.float32(WHITE[dtype])
    for stage in stages:
        expected = through_opencolorio(stage, expected, tmp_path)
    got = apply(image, LutChain(stages)).astype(np.float64) / WHITE[dtype]
    half_a_code = 0 if dtype is np.float32 else 0.5 / WHITE[dtype]
    np.testing.assert_allclose(got, expected, atol=half_a_code + 1e-5)


MATRIX = np.array([[0.7, 0.4, -0.2], [0.1, 0.6, 0.25], [-0.3, 0.2, 1.05]])


def matrix_cube(low, high):
    """A 2^3 cube that is a matrix and an offset, over a domain of its own."""
    corners = np.stack(np.meshgrid(*zip(low, high, strict=True), indexing="ij"), axis=-1)
    return Lut3D((corners @ MATRIX.T + [0.05, 0.0, -0.02]).astype(np.float32), low, high)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("curves", [(), (33,), (33, 4097)])
def test_a_cube_that_is_a_matrix_agrees_with_opencolorio(tmp_path, dtype, curves):
    before = [Lut1D(smooth_curves(n, n)) for n in curves[:1]]
    behind = [Lut1D(smooth_curves(n, n), (-0.5, -0.25, -0.75), (1.25, 1.5, 1.0)) for n in curves]
    for cube in (
        matrix_cube((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        matrix_cube((-0.25, 0.125, 0.0), (1.0, 0.5, 2.0)),
    ):
        image, stages = picture(dtype), [*before, cube, *behind]
        expected = image.astype(np.float32) / np.float32(WHITE[dtype])
        for stage in stages:
            expected = through_opencolorio(stage, expected, tmp_path)
        got = apply(image, LutChain(stages)).astype(np.float64)
        assert np.abs(got - np.clip(expected, 0, 1) * WHITE[dtype]).max() < 0.5 + 1e-5 * WHITE[dtype]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_greys_stay_grey_through_every_matrix_that_keeps_them(dtype):
    greys = np.arange(WHITE[dtype] + 1, dtype=dtype).repeat(3).reshape(-1, 3)
    rng = np.random.default_rng(8)
    for _ in range(30):
        # What each channel takes of the two others it gives up of its own; black and white stay grey.
        leaks, black, gain = rng.uniform(-0.4, 0.4, (3, 3)), rng.uniform(-0.1, 0.2), rng.uniform(0.4, 1.2)
        corners = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), axis=-1).astype(float)
        table = np.empty((2, 2, 2, 3), np.float32)
        for c in range(3):
            mixed = corners[..., c] + sum(leaks[c, k] * (corners[..., k] - corners[..., c]) for k in range(3))
            table[..., c] = black + gain * mixed
        table[0, 0, 0], table[1, 1, 1] = table[0, 0, 0, 0], table[1, 1, 1, 0]
        for lut in (
            Lut3D(table),
            LutChain([Lut3D(table), Lut1D(np.sqrt(np.linspace(0, 1, 99)).repeat(3).reshape(-1, 3))]),
        ):
            mapped = apply(greys, lut)
            np.testing.assert_array_equal(mapped, mapped[:, :1].repeat(3, axis=1))


@pytest.mark.parametrize(
    ("lut", "dtype", "image", "what"),
    [
        (Lut1D.identity(256), np.uint8, np.zeros((2, 3), np.uint16), "uint16"),
        (Lut3D.identity(2), np.uint8, np.zeros((2, 2, 4), np.uint8), r"\(2, 2, 4\)"),
    ],
)
def test_parts_of_another_kind_are_refused(lut, dtype, image, what):
    with pytest.raises(ArrayError, match=what):
        values_through(lut, dtype)(image)


def test_values_of_another_kind_cannot_be_prepared():
    with pytest.raises(ArrayError, match="float64"):
        values_through(Lut3D.identity(2), np.float64)
    with pytest.raises(LutError, match="not str"):
        values_through("look.cube", np.uint8)


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_before_rounding_are_those_of_the_float_image(dtype):
    image = picture(dtype)
    as_float = (image / np.array(WHITE[dtype], np.float32)).astype(np.float32)
    curves, cube = Lut1D(smooth_curves(64) * 1.5 - 0.2), Lut3D(smooth_table((9, 8, 7), 4, -0.3, 1.4))
    matrix = matrix_cube((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    for lut in (curves, cube, matrix, LutChain([curves, cube]), LutChain([matrix, curves, cube, curves])):
        before, values = image.copy(), values_through(lut, dtype)(image)
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, apply(as_float, lut), atol=1e-5)
        assert values.min() < 0 or lut is matrix  # nothing was clamped
        np.testing.assert_array_equal(image, before)


def test_values_of_nan_are_refused():
    with pytest.raises(ArrayError, match="NaN"):
        values_through(Lut3D.identity(2), np.float32)(np.full((2, 2, 3), np.nan, np.float32))


def test_8_bit_trilinear_agrees_with_pillow():
    # Pillow keeps its table to 1/64 code and truncates to that in each of three steps: 3.5/64 of a code.
    # So codes differ by one at most, and only where the value is that close to a half.
    table = smooth_table((17, 13, 9), 6)
    image = picture(np.uint8, (300, 400, 3))
    rows = table.transpose(2, 1, 0, 3).reshape(-1, 3)
    filtered = Image.fromarray(image).filter(ImageFilter.Color3DLUT((17, 13, 9), rows.tolist()))
    got = apply(image, Lut3D(table), interpolation="trilinear")
    off = np.abs(got.astype(int) - np.asarray(filtered))
    assert off.max() <= 1
    assert off.mean() < 2 * 3.5 / 64


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    "sizes", [(2,) * 3, (17,) * 3, (25,) * 3, (33,) * 3, (64,) * 3, (256, 2, 65), (3, 256, 2)]
)
def test_identity_returns_integer_images_bit_exactly(sizes, dtype, interpolation):
    axes = np.meshgrid(*(np.linspace(0, 1, n) for n in sizes), indexing="ij")
    lut = Lut3D(np.stack(axes, -1).astype(np.float32))
    codes = np.arange(WHITE[dtype] + 1, dtype=dtype)
    image = np.stack([codes, codes[::-1], np.roll(codes, 77)], -1)
    for kind in (lut, LutChain([lut, Lut1D.identity(5), lut])):
        np.testing.assert_array_equal(apply(image, kind, interpolation=interpolation), image)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [2, 3, 100, 256, 4096, 65536])
def test_identity_curves_return_images(size, dtype):
    image = picture(dtype).clip(0, WHITE[dtype])
    np.testing.assert_allclose(apply(image, Lut1D.identity(size)), image, atol=1e-7, rtol=0)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_lattice_points_come_back(interpolation):
    table = smooth_table((17, 5, 33), 7, -0.3, 1.4)
    axes = np.meshgrid(*(np.linspace(0, 1, n) for n in (17, 5, 33)), indexing="ij")
    points = np.stack(axes, -1).astype(np.float32)
    np.testing.assert_allclose(apply(points, Lut3D(table), interpolation=interpolation), table, atol=1e-6)
    points = np.stack(np.meshgrid(*[np.arange(0, 256, 15)] * 3, indexing="ij"), -1).astype(np.uint8)
    codes = smooth_table((18, 18, 18), 8) * 255
    rounded = np.rint(codes.clip(0, 255))
    got = apply(points, Lut3D(rounded / 255), interpolation=interpolation)
    np.testing.assert_array_equal(got, rounded)


@pytest.mark.parametrize("size", [2, 17, 33])
def test_a_grey_diagonal_keeps_greys_grey(size):
    table = smooth_table((size,) * 3, 9)
    diagonal = np.arange(size)
    table[diagonal, diagonal, diagonal] = np.linspace(0.1, 0.8, size)[:, None] ** 1.3
    greys = np.repeat(np.linspace(0, 1, 4097, dtype=np.float32)[:, None], 3, axis=1)
    out = apply(greys, Lut3D(table))
    assert np.ptp(out, axis=1).max() <= 1e-6
    bent = apply(greys, Lut3D(table), interpolation="trilinear")
    assert np.ptp(bent, axis=1).max() > 1e-3


def test_channels_are_not_swapped():
    table = Lut3D.identity(9).table.copy()
    table[..., 0] *= 0.25
    out = apply(np.full((1, 1, 3), 200, np.uint8), Lut3D(table))
    np.testing.assert_array_equal(out, [[[50, 200, 200]]])


@pytest.mark.parametrize("lut", [Lut3D(smooth_table((5, 6, 7))), Lut1D(smooth_curves(9))])
@pytest.mark.parametrize("dtype", DTYPES)
def test_alpha_passes_bit_exactly(dtype, lut):
    image = picture(dtype, (9, 7, 4))
    if dtype is np.float32:
        image.view(np.uint32)[0, 0, 3] = 0x7FC12345  # a NaN with a payload
    out = apply(image, lut)
    assert out[..., 3].tobytes() == image[..., 3].tobytes()
    np.testing.assert_array_equal(out[..., :3], apply(image[..., :3], lut))


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 3, 4, 3), (0, 3), (0, 5, 3), (4, 0, 4)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_shapes_and_dtypes_are_kept(dtype, shape):
    image = picture(dtype, shape)
    out = apply(image, Lut3D(smooth_table((3, 3, 3))))
    assert (out.shape, out.dtype) == (image.shape, image.dtype)
    assert out is not image
    assert not np.shares_memory(out, image)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "view",
    [lambda a: a[::2, ::-3], lambda a: a[..., ::-1], lambda a: a.transpose(1, 0, 2), np.asfortranarray],
)
def test_strided_images_are_read_right_and_left_alone(dtype, view):
    image = view(picture(dtype))
    before = image.copy()
    image.setflags(write=False)
    lut = Lut3D(smooth_table((6, 5, 4), 2))
    np.testing.assert_array_equal(apply(image, lut), apply(np.ascontiguousarray(image), lut))
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    "lut",
    [
        Lut1D(smooth_curves(20)),
        Lut3D(smooth_table((9, 9, 9))),
        LutChain([Lut1D(smooth_curves(20)), Lut3D(smooth_table((9, 9, 9)))]),
        LutChain([Lut3D(smooth_table((9, 9, 9))), Lut1D(smooth_curves(20))]),
    ],
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_strength_blends_before_the_one_rounding(dtype, lut):
    image = picture(dtype)
    white = WHITE[dtype]
    before = image.astype(np.float64) / white
    after = apply(before.astype(np.float32), lut).astype(np.float64)
    for strength in (0.25, 0.7):
        blended = (before + strength * (after - before)) * white
        exact = blended if dtype is np.float32 else blended.clip(0, white)
        off = np.abs(apply(image, lut, strength=strength) - exact)
        assert off.max() <= (1e-6 if dtype is np.float32 else 0.5 + 2e-6 * white)


@pytest.mark.parametrize("dtype", DTYPES)
def test_strength_0_keeps_the_image(dtype):
    image = picture(dtype, (6, 5, 4))
    image[0] *= dtype(0)  # for floats, -0.0 among them
    out = apply(image, Lut3D(smooth_table((3, 3, 3))), strength=0)
    assert out.tobytes() == image.tobytes()
    assert not np.shares_memory(out, image)


def test_float_results_and_stages_between_are_not_clamped():
    double = Lut1D(np.array([[-1, -1, -1], [2, 2, 2]], np.float32))
    undo = Lut1D(Lut1D.identity(2).table, domain_min=(-1,) * 3, domain_max=(2,) * 3)
    ramp = np.linspace(0, 1, 30, dtype=np.float32).reshape(-1, 3)
    np.testing.assert_allclose(apply(ramp, double), ramp * 3 - 1, atol=1e-6)
    codes = np.arange(255, dtype=np.uint8).reshape(-1, 3)
    cube = Lut3D(Lut3D.identity(2).table * 3 - 1)
    for first in (double, cube):
        np.testing.assert_array_equal(apply(codes, LutChain([first, undo])), codes)
        np.testing.assert_array_equal(apply(codes, first), (codes * 3.0 - 255).clip(0, 255))


@pytest.mark.parametrize("lut", [Lut3D(smooth_table((4, 4, 4))), Lut1D(smooth_curves(4))])
def test_infinity_is_clamped_to_the_domain(lut):
    image = np.array([[np.inf, -np.inf, 3e38], [-3e38, np.inf, -np.inf]], np.float32)
    np.testing.assert_array_equal(apply(image, lut), apply(image.clip(0, 1), lut))
    np.testing.assert_array_equal(apply(image, lut, strength=0), image)


@pytest.mark.parametrize("threads", [2, 3, None])
@pytest.mark.parametrize("dtype", DTYPES)
def test_results_do_not_depend_on_threads(dtype, threads):
    image = picture(dtype, (1031, 1033, 3))
    lut = LutChain([Lut1D(smooth_curves(20)), Lut3D(smooth_table((9, 9, 9)))])
    one = apply(image, lut, threads=1)
    np.testing.assert_array_equal(apply(image, lut, threads=threads), one)


def test_only_large_images_are_shared_among_threads(monkeypatch):
    seen = []
    loop = kernels.cube_codes
    monkeypatch.setattr(kernels, "cube_codes", lambda *a: (seen.append(threading.get_ident()), loop(*a)))
    lut = Lut3D.identity(2)
    apply(np.zeros((1024, 1023, 3), np.uint8), lut, threads=2)
    apply(np.zeros((1024, 1024, 3), np.uint8), lut, threads=1)
    assert set(seen) == {threading.get_ident()}
    apply(np.zeros((1024, 1024, 3), np.uint8), lut, threads=2)
    assert set(seen) > {threading.get_ident()}


def test_nan_in_one_of_many_threads_still_raises():
    image = np.zeros((1024, 1100, 3), np.float32)
    image[-1, -1, 2] = np.nan
    with pytest.raises(ArrayError, match="NaN"):
        apply(image, Lut1D.identity(2), threads=2)


@pytest.mark.parametrize("strength", [0, 0.5, 1])
@pytest.mark.parametrize("channel", [0, 1, 2])
def test_nan_is_refused(channel, strength):
    image = np.zeros((7, 5, 4), np.float32)
    image[3, 2, channel] = np.nan
    for lut in (Lut1D.identity(2), Lut3D.identity(2)):
        with pytest.raises(ArrayError, match="NaN"):
            apply(image, lut, strength=strength)


@pytest.mark.parametrize(
    ("image", "what"),
    [
        (np.zeros((2, 2, 3)), "float64"),
        (np.zeros((2, 2, 3), np.int32), "int32"),
        (np.zeros((2, 2, 3), ">u2"), ">u2"),
        (np.zeros((2, 2, 2), np.uint8), r"\(2, 2, 2\)"),
        (np.zeros((2, 4), np.uint8), r"\(2, 4\)"),
        (np.zeros((2, 2, 2, 4), np.uint8), r"\(2, 2, 2, 4\)"),
        (np.zeros((), np.uint8), r"\(\)"),
        ([[0, 0, 0]], "list"),
    ],
)
def test_other_images_are_refused(image, what):
    with pytest.raises(ArrayError, match=what):
        apply(image, Lut1D.identity(2))


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"interpolation": "cubic"}, "'cubic'.*'tetrahedral'.*'trilinear'"),
        ({"strength": 1.01}, "strength is 1.01"),
        ({"strength": -0.1}, "strength is -0.1"),
        ({"strength": float("nan")}, "strength is nan"),
        ({"threads": 0}, "threads is 0"),
    ],
)
def test_options_out_of_range_are_refused(options, what):
    with pytest.raises(LutError, match=what):
        apply(picture(np.uint8), Lut1D.identity(2), **options)


def test_what_is_no_lut_is_refused():
    with pytest.raises(LutError, match="ndarray"):
        apply(picture(np.uint8), np.zeros((2, 3), np.float32))
    vast = Lut1D(Lut1D.identity(2).table, domain_min=(-1e300, 0, 0))
    with pytest.raises(LutError, match="too large for float32"):
        apply(picture(np.float32), vast)


@pytest.mark.parametrize("scale", [255, 65535])
def test_floats_of_codes_are_refused(scale):
    codes = np.random.default_rng(2).beta(0.6, 3, (40, 50, 3)) * scale  # a dark picture
    lut = Lut3D.identity(3)
    with pytest.raises(ArrayError, match=r"apply: half of the values are above 4, but floats must be in"):
        apply(codes.astype(np.float32), lut)
    with_alpha = np.concatenate([codes, np.ones((40, 50, 1))], axis=2).astype(np.float32)
    with pytest.raises(ArrayError, match="half of the values"):
        apply(with_alpha, lut)
    with pytest.raises(ArrayError, match="half of the values"):
        apply(codes.reshape(-1, 3).astype(np.float32), lut)
    wide = Lut3D(lut.table, (0, 0, 0), (1e5, 1e5, 1e5))
    assert apply(codes.astype(np.float32), wide).shape == (40, 50, 3)


def test_highlights_of_high_dynamic_range_are_no_codes():
    image = np.random.default_rng(3).random((40, 50, 3)).astype(np.float32)
    image[:18] *= 60000
    assert apply(image, Lut3D.identity(3)).max() <= 1


def test_tables_of_codes_are_refused():
    codes = (Lut3D.identity(3).table * 255).astype(np.uint8)
    for table in (codes, codes.astype(np.int64), codes.astype(np.uint16) * 257):
        with pytest.raises(LutError, match=r"holds codes, but must hold floats; divide 8-bit codes by 255"):
            Lut3D(table)
        with pytest.raises(LutError, match=r"holds codes"):
            Lut1D(table.reshape(-1, 3))
    assert Lut1D([[0, 0, 0], [1, 1, 1]]) == Lut1D.identity(2)
