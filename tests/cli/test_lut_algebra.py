"""`lutkit lut compose`, `invert` and `resize`: the files that they write, and their output."""

import json

import numpy as np
import pytest

from lutkit import Lut1D, Lut3D, LutChain, apply, invert, read_lut, write_lut
from lutkit.shipped import shipped_folder

IMAGE = np.random.default_rng(2).random((40, 50, 3)).astype(np.float32)
CURVES = Lut1D(np.linspace(0, 1, 17)[:, None] ** [1.2, 0.7, 1.5] * [0.8, 0.9, 0.7] + [0.1, 0, 0.2])
CUBE = Lut3D(
    Lut3D.identity(9).table * [0.7, 0.8, 0.6] + 0.1 * Lut3D.identity(9).table[..., [1, 2, 0]] ** 2 + 0.05
)


@pytest.fixture
def files(tmp_path):
    write_lut(CURVES, tmp_path / "curves.cube")
    write_lut(CUBE, tmp_path / "cube.cube")
    write_lut(LutChain((CURVES, CUBE)), tmp_path / "shaped.cube")
    write_lut(Lut3D(np.full((2, 2, 2, 3), 0.5)), tmp_path / "flat.cube")
    return tmp_path


def test_compose_writes_what_does_as_both_do(lutkit_, files):
    done = lutkit_("lut", "compose", files / "curves.cube", files / "cube.cube", "-o", files / "both.cube")
    assert done.code == 0, done.err
    assert "both.cube: 1D 17 + 3D 9 x 9 x 9, exact." in done.out
    np.testing.assert_allclose(
        apply(IMAGE, read_lut(files / "both.cube")), apply(apply(IMAGE, CURVES), CUBE), atol=1e-6
    )


def test_compose_bakes_what_a_cube_cannot_hold_and_clf_holds_it(lutkit_, files):
    names = [files / name for name in ("cube.cube", "curves.cube", "cube.cube")]
    done = lutkit_("lut", "compose", *names, "-o", files / "all.cube", "--size", "17")
    assert done.code == 0, done.err
    assert "3D 17 x 17 x 17, off by " in done.out
    assert " of 255 on average" in done.out
    wanted = apply(apply(apply(IMAGE, CUBE), CURVES), CUBE)
    np.testing.assert_allclose(apply(IMAGE, read_lut(files / "all.cube")), wanted, atol=0.02)
    done = lutkit_("lut", "compose", *names, "-o", files / "all.clf")
    assert done.code == 0, done.err
    np.testing.assert_allclose(apply(IMAGE, read_lut(files / "all.clf")), wanted, atol=1e-5)


def test_compose_wants_two(lutkit_, files):
    done = lutkit_("lut", "compose", files / "cube.cube", "-o", files / "out.cube")
    assert done.code == 2
    assert done.err.startswith("lutkit: one LUT, and nothing to follow it; name two")


def test_resize_prints_exact_where_it_is(lutkit_, files):
    done = lutkit_("lut", "resize", files / "shaped.cube", "--size", "17", "-o", files / "fine.cube")
    assert done.code == 0, done.err
    assert "1D 17 + 3D 17 x 17 x 17, exact." in done.out
    np.testing.assert_allclose(
        apply(IMAGE, read_lut(files / "fine.cube")), apply(IMAGE, read_lut(files / "shaped.cube")), atol=1e-6
    )
    done = lutkit_("lut", "resize", files / "cube.cube", "--size", "6", "-o", files / "coarse.cube")
    assert "3D 6 x 6 x 6, off by " in done.out
    assert read_lut(files / "coarse.cube").sizes == (6, 6, 6)


@pytest.mark.parametrize("name", ["curves.cube", "cube.cube", "shaped.cube"])
@pytest.mark.parametrize("suffix", [".cube", ".clf"])
def test_invert_writes_what_undoes(lutkit_, files, name, suffix):
    back = files / f"back{suffix}"
    done = lutkit_("lut", "invert", files / name, "-o", back, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert (told["file"], told["undoes"]) == (str(back), str(files / name))
    assert told["p99_error"] < 5 / 255
    assert 0.2 < told["unreachable_share"] < 0.99
    off = np.abs(apply(apply(IMAGE, read_lut(files / name)), read_lut(back)) - IMAGE).max(axis=-1)
    assert np.quantile(off, 0.99) == pytest.approx(told["p99_error"], rel=0.3, abs=1e-5)


def test_invert_says_what_cannot_come_back(lutkit_, files):
    clipped = Lut3D(np.clip(CUBE.table * 1.5 - 0.2, 0, 1))
    write_lut(clipped, files / "clipped.cube")
    done = lutkit_("lut", "invert", files / "clipped.cube", "-o", files / "back.cube")
    assert done.code == 0, done.err
    first, trip, photographs, whole = done.out.splitlines()
    assert first.endswith("3D 65 x 65 x 65.")
    done = lutkit_("lut", "invert", files / "clipped.cube", "-o", files / "small.cube", "--size", "9")
    assert done.out.splitlines()[0].endswith("3D 9 x 9 x 9.")
    assert trip.startswith("clipped.cube and back: off by ")
    assert (photographs, whole) == tuple(
        lutkit_("lut", "check", files / "clipped.cube").out.splitlines()[1:3]
    )
    assert photographs.startswith("Photographs: ")
    assert whole.startswith("The whole cube: ")


def test_invert_and_check_agree_on_what_a_soft_look_loses(lutkit_, files):
    """Its table leaves a third of the output cube empty, which no photograph loses."""
    look = shipped_folder("luts") / "golden-hour.cube"
    done = lutkit_("lut", "invert", look, "-o", files / "back.cube")
    assert done.out.splitlines()[2:] == [
        "Photographs: 0.00% newly clipped, no folds, 58.9 dB come back: recoverable.",
        "The whole cube: 0.00% newly clipped, no folds, 42.2 dB come back; little is lost anywhere.",
    ]
    told = json.loads(lutkit_("lut", "check", look, "--json").out)[0]
    measured = invert(look)
    assert [measured.judged.round_trip_db, measured.whole.round_trip_db] == pytest.approx(
        [told["round_trip_db"], told["whole_round_trip_db"]], rel=1e-5
    )


@pytest.mark.parametrize("command", ["compose", "invert", "resize"])
def test_files_that_are_there_stay(lutkit_, files, command):
    out = files / "out.cube"
    out.write_text("mine")
    names = [files / "cube.cube"] * (2 if command == "compose" else 1)
    size = ["--size", "5"]
    done = lutkit_("lut", command, *names, "-o", out, *size)
    assert (done.code, out.read_text()) == (2, "mine")
    assert "out.cube: exists already; give --overwrite or another name" in done.err
    assert lutkit_("lut", command, *names, "-o", out, *size, "--overwrite").code == 0
    assert isinstance(read_lut(out), Lut3D)


def test_mistakes_end_in_one_line(lutkit_, files):
    for arguments, told in [
        (("invert", files / "flat.cube", "-o", files / "o.cube"), "flat.cube: this LUT maps all colours"),
        (("invert", files / "none.cube", "-o", files / "o.cube"), "none.cube: cannot be read"),
        (("invert", files / "cube.cube", "-o", files / "o.xyz"), "unknown LUT suffix '.xyz'"),
        (("invert", files / "cube.cube", "-o", files / "o.cube", "--size", "1"), "choose from 2 to 256"),
        (("resize", files / "cube.cube", "--size", "999", "-o", files / "o.cube"), "choose from 2 to 256"),
        (("invert", files / "cube.cube", files / "curves.cube", "-o", files / "o.cube"), "one file"),
    ]:
        done = lutkit_("lut", *arguments)
        assert done.code == 2
        assert told in done.err
        assert done.err.count("\n") == 1
        assert not (files / "o.cube").exists()


@pytest.mark.parametrize("command", ["compose", "invert", "resize"])
def test_help_has_examples(lutkit_, command):
    assert f"lutkit lut {command} " in lutkit_("lut", command, "--help").out
