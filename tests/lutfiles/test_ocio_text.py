"""Text that OpenColorIO would misread is refused with its line; a 3dl's depth is the one that it states."""

import numpy as np
import pytest

from lutkit.errors import LutFormatError
from lutkit.lut.model import Lut3D, lut_stages
from lutkit.lutfiles.formats import read_baked, read_lut, write_lut

ROWS = "0 0 0\n1 0 .1\n0 .9 0\n1 1 0\n0 0 1\n.8 0 1\n0 1 1\n0.9 1 1\n"
TEXTS = {
    ".spi3d": "SPILUT 1.0\n3 3\n2 2 2\n"
    + "".join(f"{i // 4} {i // 2 % 2} {i % 2} 0.9 {0.5 + i / 20} {1 - i / 8}\n" for i in range(8)),
    ".spi1d": "Version 1\nFrom -0.5 1.5\nLength 3\nComponents 3\n{\n0 0.1 0.2\n0.4 0.9 0.25\n1.2 1 0.8\n}\n",
    ".spimtx": "1 0.9 0 655.35\n0 0.7 0.1 0\n0.2 0 0.8 -6553.5\n",
    ".csp": "CSPLUTV100\n3D\n\nBEGIN METADATA\n0x10, 9.0D-1\nEND METADATA\n\n"
    + "2\n0 1\n0 1\n" * 3
    + f"\n2 2 2\n{ROWS}",
    ".itx": f"LUT_3D_SIZE 2\n\n{ROWS}",
    ".vf": "#Inventor V2.1 ascii\ngrid_size 2 2 2\n"
    f"global_transform 1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1\ndata\n{ROWS}",
    ".mga": "channel 3d\nin 8\nout 65536\nformat lut\nvalues red green blue\n"
    + "".join(f"{i} {i * 1000} 9 {65535 - i * 100}\n" for i in range(8)),
    ".lut": "Version\t\t2\nFormat\t\tany\nType\t\t3D\nFrom\t\t0.0 1.0\nTo\t\t0.0 1.0\n"
    "Black\t\t0.0\nWhite\t\t1.0\nLength\t\t2\nLUT:\n {\n"
    + "".join(f"\t{row}\n" for row in ROWS.splitlines())
    + " }\n",
    ".cub": "# Truelight Cube v2.0\n# lutLength 2\n# iDims     3\n# oDims     3\n# width     2 2 2\n\n"
    f"# InputLUT\n0 0 0\n1 1 1\n\n# Cube\n{ROWS}# end\n",
    ".3dl": "0 341 682 1023\n" + "".join(f"{i * 9} {i * 60} {4095 - 50 * i}\n" for i in range(64)),
}


def _refused(text, suffix, tmp_path):
    path = tmp_path / f"look{suffix}"
    path.write_text(text)
    with pytest.raises(LutFormatError) as caught:
        read_lut(path)
    return str(caught.value).removeprefix(str(path))


@pytest.mark.parametrize("suffix", TEXTS)
def test_the_texts_are_sound(suffix, tmp_path):
    (tmp_path / f"look{suffix}").write_text(TEXTS[suffix])
    assert lut_stages(read_lut(tmp_path / f"look{suffix}"))


@pytest.mark.parametrize("number", ["9.0D-1", "9.0e", "1'234", "0x10", "0,5", "1.0f", "1_0", "nan", "--1"])
@pytest.mark.parametrize("suffix", TEXTS)
def test_what_only_begins_like_a_number_is_refused_with_its_line(suffix, number, tmp_path):
    """Fortran's exponents, Swiss thousands, C's hexadecimals and suffixes, decimal commas."""
    lines = TEXTS[suffix].split("\n")
    rows = [at for at, line in enumerate(lines) if len(line.split()) >= 3 and line.split()[0] != "#"]
    at = next(at for at in reversed(rows) if line_holds_only_numbers(lines[at]))
    words = lines[at].split()
    lines[at] = " ".join([*words[:-1], number])
    assert _refused("\n".join(lines), suffix, tmp_path).startswith(f":{at + 1}: ")


def line_holds_only_numbers(line):
    return all(word.replace(".", "").replace("-", "").isdigit() for word in line.split())


@pytest.mark.parametrize(
    ("suffix", "old", "new", "told"),
    [
        (".spi1d", "From -0.5 1.5", "From -0,5 1,5", ":2: a comma in '-0,5'"),
        (".spi1d", "From -0.5 1.5", "From 0 1.5 2", ":2: 'From 0 1.5 2' has the wrong number of values"),
        (".spi1d", "Length 3", "Length 3\nLength 3", ":4: a second length; the first is on line 3"),
        (".itx", "\n\n", "\nDOMAIN_MAX 1,5 1,5 1,5\n", ":2: a comma in '1,5'"),
        (".itx", "LUT_3D", "TITLE x\nLUT_3D", ":1: 'TITLE' instead of LUT_3D_SIZE; rename the file to .cube"),
        (".itx", "0.9 1 1\n", "0.9 1 1\n1 1 1\n", ": expected 8 rows of 3 numbers, found 9"),
        (".csp", "0.9 1 1\n", "0.9 1 1\n1 1 1\n", ": expected 8 rows of 3 numbers, found 9"),
        (".csp", "0.9 1 1\n", "", ": expected 8 rows of 3 numbers, found 7"),
        (".csp", "2\n0 1\n0 1\n", "2\n0 1\n0 0.5 1\n", ":10: expected 2 numbers in this line, found 3"),
        (".spi3d", "2 2 2\n", "2 2 2\n2 2 2\n", ":4: expected 6 numbers, found '2 2 2'"),
        (".spi3d", "3 3\n", "3 1\n", ":2: '3 1' instead of `3 3`"),
        (".spimtx", "0 0.7 0.1 0\n", "0 0.7 0.1\n", ": expected 12 numbers, found 11"),
        (".vf", "grid_size 2 2 2\n", "grid_size 2 2 2\ngrid_size 2 2 2\n", ":3: a second grid_size"),
        (".cub", "width     2 2 2", "width     2 2 2D-1", ":5: '2D-1' is not a number"),
        (".lut", "White\t\t1.0", "White\t\t1,0", ":7: a comma in '1,0'"),
        (".3dl", "0 341 682 1023\n", "0 341 1023\n0 341 682 1023\n", ":2: expected three whole numbers"),
        (".3dl", "0 341 682 1023\n", "0 341 682 800 1023\n", ": 5 input codes for a cube of 4 points"),
        (".3dl", "0 0 4095\n", "0 0.5 4095\n", ":2: '0.5' is not a whole number"),
        (".3dl", "0 0 4095\n", "abc 0 4095\n", ":2: 'abc' is not a whole number"),
    ],
)  # fmt: skip
def test_counts_keywords_and_commas_are_held_to_the_format(suffix, old, new, told, tmp_path):
    assert old in TEXTS[suffix]
    found = _refused(TEXTS[suffix].replace(old, new, 1), suffix, tmp_path)
    assert told in found


def test_a_csp_of_17_points_that_states_16_is_refused(tmp_path):
    write_lut(Lut3D.identity(17), tmp_path / "look.csp")
    text = (tmp_path / "look.csp").read_text()
    assert "expected 4096 rows of 3 numbers, found 4913" in _refused(
        text.replace("17 17 17", "16 16 16"), ".csp", tmp_path
    )


def _codes(most, size=4):
    codes = np.rint(np.random.default_rng(3).random((size, size, size, 3)) * most).astype(int)
    codes[1, 2, 3, 1] = most
    return codes, "".join("{} {} {}\n".format(*row) for row in codes.reshape(-1, 3))


@pytest.mark.parametrize(
    ("head", "most", "largest"),
    [
        ("3DMESH\nMesh 2 12\n0 341 682 1023\n", 1204, 4095),  # as dark as OpenColorIO takes for 10 bits
        ("Mesh 2 12\n", 4095, 4095),
        ("# from a camera\nMesh 2 16\n", 4000, 65535),
        ("Mesh 2 10\n", 1023, 1023),
        ("", 4095, 4095),
        ("", 2600, 4095),
        ("0 341 682 1023\n", 1023, 1023),
        ("", 65535, 65535),
        ("", 255, 255),
    ],
)
@pytest.mark.parametrize("tail", ["", "\nLUT8\ngamma 1.0\n"])
def test_the_codes_of_a_3dl_are_of_the_depth_that_mesh_states(head, most, largest, tail, tmp_path):
    codes, rows = _codes(most)
    (tmp_path / "look.3dl").write_text(head + rows + tail)
    table = lut_stages(read_lut(tmp_path / "look.3dl"))[-1].table
    # Blue runs fastest in the file.
    np.testing.assert_allclose(table, codes / largest, rtol=1e-6)


@pytest.mark.parametrize(
    ("head", "most", "told"),
    [
        (
            "",
            1204,
            ": the largest code is 1204, which does not show the bit depth; write the depth in a line",
        ),
        ("", 300, ": the largest code is 300, which does not show the bit depth"),
        ("", 9000, ": the largest code is 9000, which does not show the bit depth"),
        ("", 90000, ": the largest code is 90000, which does not show the bit depth"),
        ("Mesh 2 10\n", 4095, ": Mesh states 10 bits, but the largest code is 4095"),
        ("Mesh 2 11\n", 2047, ": Mesh states 11 bits"),
        ("Mesh 2 1O\n", 1023, ":1: '1O' is not a whole number"),
    ],
)
def test_a_3dl_whose_depth_cannot_be_known_is_refused(head, most, told, tmp_path):
    assert _refused(head + _codes(most)[1], ".3dl", tmp_path).startswith(told)


@pytest.mark.parametrize(("head", "assumed"), [("", "10 bits"), ("Mesh 2 10\n", "")])
def test_a_depth_that_is_taken_for_granted_is_told(head, assumed, tmp_path):
    (tmp_path / "look.3dl").write_text(head + _codes(800)[1])
    told = read_baked(tmp_path / "look.3dl").assumed
    assert told.startswith(assumed)
    assert bool(told) == bool(assumed)


def test_a_houdini_cube_a_row_short_is_told_so_at_its_end(tmp_path):
    write_lut(Lut3D.identity(3), tmp_path / "look.lut")
    lines = (tmp_path / "look.lut").read_text().splitlines()
    assert lines.pop(-2).split() == ["1.000000", "1.000000", "1.000000"]
    told = _refused("\n".join(lines), ".lut", tmp_path)
    assert told.startswith(f":{len(lines)}: expected 27 rows of 3 numbers, found 26")
