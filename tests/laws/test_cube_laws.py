"""What holds for every LUT and every text: the round trip, exact numbers, and one kind of error."""

import dataclasses

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lutkit.errors import LutFormatError
from lutkit.lut.model import Lut1D, Lut3D, LutChain
from lutkit.lutfiles.cube import format_cube, parse_cube
from lutkit.lutfiles.number_text import printed_rows, scan_rows
from lutkit.lutfiles.plain_numbers import print_plain_rows, scan_plain_rows

FLOATS = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.floats(-2, 2, width=32),
    st.integers(0, 255).map(lambda code: float(np.float32(code / 255))),
)
LINES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\0"), max_size=20)
EDGES = st.floats(-1e30, 1e30)


@st.composite
def domains(draw, uniform=False):
    ends = [
        sorted(draw(st.lists(EDGES, min_size=2, max_size=2, unique=True))) for _ in range(1 if uniform else 3)
    ]
    ends = ends * (3 if uniform else 1)
    return {"domain_min": tuple(low for low, _ in ends), "domain_max": tuple(high for _, high in ends)}


def _table(draw, shape):
    return draw(hnp.arrays(np.float32, shape, elements=FLOATS, fill=st.nothing()))


@st.composite
def single_luts(draw):
    size = draw(st.integers(2, 4))
    words = {"title": draw(LINES), "comments": tuple(draw(st.lists(LINES, max_size=3)))}
    place = draw(st.one_of(st.just({}), domains()))
    if draw(st.booleans()):
        return Lut1D(_table(draw, (size, 3)), **place, **words)
    return Lut3D(_table(draw, (size, size, size, 3)), **place, **words)


@st.composite
def chains(draw):
    places = [draw(st.one_of(st.just({}), domains(uniform=True))) for _ in range(2)]
    comments = tuple(draw(st.lists(LINES, max_size=3)))
    return LutChain(
        (
            Lut1D(_table(draw, (3, 3)), **places[0]),
            Lut3D(_table(draw, (2, 2, 2, 3)), **places[1], comments=comments),
        )
    )


@given(st.one_of(single_luts(), chains()))
def test_parse_of_format_is_the_lut(lut):
    assert parse_cube(format_cube(lut), "") == lut


@given(single_luts(), st.sampled_from(["\r\n", "\r"]), st.booleans())
def test_line_ends_and_byte_order_mark_change_nothing(lut, end, mark):
    text = format_cube(lut).decode("utf-8").replace("\n", end)
    assert parse_cube(text.encode("utf-8-sig" if mark else "utf-8"), "") == lut


def _printed(values):
    return b"".join(printed_rows(np.array(values, np.float32)))


def test_every_kind_of_float32_prints_short_and_reads_back_bit_for_bit():
    rng = np.random.default_rng(5)
    bits = rng.integers(0, 2**32, 300_000, dtype=np.uint32).view(np.float32)
    values = np.concatenate([bits[np.isfinite(bits)], rng.random(300_000, dtype=np.float32)])
    values = values[: values.size // 3 * 3].reshape(-1, 3)
    # Importing colour-science turns numpy's printing back to this.
    with np.printoptions(legacy="1.13", precision=2):
        text = _printed(values)
    size = len(values)
    back = parse_cube(b"LUT_1D_SIZE 65536\n" + b"".join(text.splitlines(keepends=True)[:65536]), "").table
    assert np.array_equal(back.view(np.uint32), values[:65536].view(np.uint32))
    read = np.array([float(word) for word in text.split()]).astype(np.float32).reshape(size, 3)
    assert np.array_equal(read.view(np.uint32), values.view(np.uint32))


@given(st.floats(2**-20, 2**20, width=32))
def test_no_shorter_decimal_reads_back(value):
    printed = _printed([[value, value, value]]).split()[0]
    decimals = len(printed.partition(b".")[2])
    assert decimals == 0 or np.float32(round(value, decimals - 1)) != np.float32(value)


def _middles(count):
    """Numbers half way between two float32, as their float64."""
    low = np.random.default_rng(9).uniform(0.1, 100, count).astype(np.float32)
    return (low.astype(np.float64) + np.nextafter(low, np.float32(np.inf))) / 2


@pytest.mark.parametrize("form", ["{:.17f}", "{:.16f}", "{:.60f}", "{:.60f}1", "{:.25e}", "0{:.17g}"])
def test_numbers_half_way_between_two_float32_are_rounded_once(form):
    words = [form.format(middle) for middle in _middles(30_000)]
    text = "".join(" ".join(words[i : i + 3]) + "\n" for i in range(0, 30_000, 3))
    read = parse_cube(b"LUT_1D_SIZE 10000\n" + text.encode(), "").table.reshape(-1)
    assert np.array_equal(read, np.array([float(word) for word in words]).astype(np.float32))


DIGITS = st.text("0123456789", max_size=25)
DECIMALS = st.tuples(
    st.sampled_from(["", "-", "+"]),
    st.one_of(DIGITS, st.sampled_from(["0", "00000000000000000000000"])),
    st.sampled_from(["", "."]),
    DIGITS,
    st.one_of(st.just(""), st.integers(-60, 60).map("e{}".format), st.integers(-60, 60).map("E{:+}".format)),
).map("".join)
# Half way between two float32, and just beside it, where rounding twice can go wrong.
MIDDLES = st.tuples(st.floats(2**-30, 2**30, width=32), st.sampled_from(["", "0000000000000000001"])).map(
    lambda pair: (
        f"{(pair[0] + float(np.nextafter(np.float32(pair[0]), np.float32(np.inf)))) / 2:.60f}"[:70] + pair[1]
    )
)


@settings(max_examples=1000)
@given(st.one_of(DECIMALS, MIDDLES))
@example("0.1e5000000000000000000000")
@example("16777217.0000000000000000000000001")
@example("9999999999999999999999999999999999999e2")
@example("3.4028235677973366e38")
def test_a_number_is_pythons_float_rounded_to_float32_or_an_error(word):
    with np.errstate(over="ignore"):
        try:
            expected = np.float32(float(word))
        except ValueError:
            expected = np.float32(np.nan)
    text = f"LUT_1D_SIZE 2\n0 {word} 0\n1 1 1\n".encode()
    if np.isfinite(expected):
        assert parse_cube(text, "").table[0, 1].tobytes() == expected.tobytes()
    else:
        with pytest.raises(LutFormatError):
            parse_cube(text, "")


@given(st.lists(st.one_of(DECIMALS, MIDDLES), min_size=3, max_size=3))
def test_what_the_compiled_loop_reads_itself_is_exact(words):
    values = np.full(6, np.nan, np.float32)
    words = [word or "0" for word in words]
    at, filled = scan_rows(np.frombuffer(" ".join(words).encode(), np.uint8), 0, values, 0)
    if filled:
        assert at == len(" ".join(words))
        assert values[:3].tobytes() == np.array([float(word) for word in words]).astype(np.float32).tobytes()
    else:
        assert at == 0


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["", " ", "\t", "\r\n"]),
        st.lists(st.one_of(DECIMALS, MIDDLES, st.sampled_from(["x", "nan", "1,5", "1.5\x0b"])), max_size=4),
        st.sampled_from([" ", "\t", "  ", "\xa0"]),
        st.sampled_from(["\n", "\r", "\r\n", " \n", "\t\r\n\n", ""]),
    )
)


@settings(max_examples=1000)
@given(ROWS, st.integers(0, 4))
def test_without_loops_the_same_rows_are_read_up_to_the_same_place(rows, room):
    text = "".join(f"{before}{between.join(words)}{end}" for before, words, between, end in rows).encode()
    looped, plain = (np.full(3 * room, np.nan, np.float32) for _ in range(2))
    found = scan_plain_rows(text, 0, plain, 0)
    if found is not None:
        at, filled = scan_rows(np.frombuffer(text, np.uint8), 0, looped, 0)
        if filled == found[1]:
            assert at == found[0]
        else:  # what arithmetic in float64 leaves in doubt the loop leaves to Python
            assert filled < found[1]
            assert at < found[0]
        assert plain[:filled].tobytes() == looped[:filled].tobytes()
        words = text[: found[0]].split()
        assert plain[: found[1]].tobytes() == np.array([float(w) for w in words]).astype(np.float32).tobytes()


def test_without_loops_rows_stop_where_the_loop_stops():
    for text in (
        b"1 2 3\n4 5 6\nTITLE",
        b" 1 2 3\r\n\t\n# x",
        b"1 2 3 4\n",
        b"1 2\n3\n",
        b"\n\n",
        b"",
        b"1 2 3",
    ):
        loops, plain = (np.full(6, np.nan, np.float32) for _ in range(2))
        expected = scan_rows(np.frombuffer(text, np.uint8), 0, loops, 0)
        assert scan_plain_rows(text, 0, plain, 0) == expected
        assert plain[: expected[1]].tobytes() == loops[: expected[1]].tobytes()
    for text in (b"1 2 3\n4 5 6\n7 8 9\n", b"1 2 1e39\n"):
        assert scan_plain_rows(text, 0, np.empty(6, np.float32), 0) is None


@given(hnp.arrays(np.float32, st.integers(1, 30).map(lambda n: (n, 3)), elements=FLOATS, fill=st.nothing()))
def test_without_loops_the_same_text_is_printed(values):
    assert print_plain_rows(values) == _printed(values)


def test_without_loops_every_kind_of_float32_prints_the_same():
    bits = np.random.default_rng(6).integers(0, 2**32, 90_000, dtype=np.uint32).view(np.float32)
    values = bits[np.isfinite(bits)]
    values = values[: values.size // 3 * 3].reshape(-1, 3)
    assert print_plain_rows(values) == _printed(values)


KEYWORDS = [
    "TITLE", "LUT_1D_SIZE", "LUT_3D_SIZE", "DOMAIN_MIN", "DOMAIN_MAX", "LUT_1D_INPUT_RANGE",
    "LUT_3D_INPUT_RANGE", "LUT_IN_VIDEO_RANGE", "LUT_OUT_VIDEO_RANGE", "#", "lut_1d_size", "0", "1", "0.5",
    "nan", "1e39", "-3.4e38", "3.4e38", "1,5", "2", "1e-320", "9" * 400, "\ufeff", "\xa0", "\x0b", "\x1c",
    "\t", '"', "1.#INF", "\r", "\0",
]  # fmt: skip


@st.composite
def broken_files(draw):
    """A good file with some of its lines dropped, doubled, moved or replaced, and some bytes changed."""
    lines = format_cube(draw(st.one_of(single_luts(), chains()))).split(b"\n")
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(lines) - 1)) if lines else 0
        replacement = draw(st.lists(st.sampled_from(KEYWORDS), max_size=5).map(" ".join)).encode()
        change = draw(st.sampled_from(["drop", "double", "insert", "replace"]))
        old = lines[at : at + 1]
        lines[at : at + 1] = {
            "drop": [], "double": old * 2, "insert": [*old, replacement], "replace": [replacement],
        }[change]  # fmt: skip
    data = bytearray(b"\n".join(lines))
    for _ in range(draw(st.integers(0, 3))):
        if data:
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data)


def _titles_as_comments(lut):
    """A chain as its file holds it: OpenColorIO refuses a title there."""
    if not isinstance(lut, LutChain):
        return lut
    shaper, cube = lut.stages
    comments = (*filter(None, [shaper.title]), *shaper.comments, *filter(None, [cube.title]), *cube.comments)
    return LutChain(
        (
            dataclasses.replace(shaper, title="", comments=()),
            dataclasses.replace(cube, title="", comments=comments),
        )
    )


@settings(max_examples=1000)
@given(st.one_of(broken_files(), st.binary(max_size=80)))
@example(
    b"LUT_1D_SIZE 2\nDOMAIN_MIN 1 1 1\nDOMAIN_MAX 1.0000000000000002 2 2\nLUT_IN_VIDEO_RANGE\n0 0 0\n1 1 1"
)
@example(b"LUT_1D_SIZE 2\nTITLE a\n# b\nLUT_3D_SIZE 2" + 10 * b"\n0 0 0")
@example(b"LUT_1D_SIZE 2\nLUT_OUT_VIDEO_RANGE\n3.4e38 0 0\n1 1 1")
@example(b"\x0b\n\xa0\nLUT_1D_SIZE 2\n\xa00 0 0\n\x0c1 1 1\n\x0c1 1 1")
def test_broken_files_give_a_lut_or_one_clear_error(data):
    try:
        lut = parse_cube(data, "odd.cube")
    except LutFormatError as caught:
        error, lut = caught, None
    if lut is not None:
        assert parse_cube(format_cube(lut), "") == _titles_as_comments(lut)
        return
    assert str(error).startswith("odd.cube:")
    assert error.remedy
    assert str(error).isprintable()
    assert len(str(error)) < 400
