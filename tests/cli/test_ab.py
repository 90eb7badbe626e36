"""`lutkit ab-hist` and `lutkit ab-weights`: files, sums, pictures, and mistakes in one line."""

import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_datasets import assert_one_line

import lutkit
from lutkit.ab.grid import ab_grid
from lutkit.ab.weights import weights_of_counts as weigh
from lutkit.measure.color_summary import summarize
from lutkit.measure.counts import count_into, empty_counts
from lutkit.statistics.ab_files import read_counts, read_weights


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def counts(lutkit_, photos, tmp_path):
    assert lutkit_("ab-hist", photos, "-o", tmp_path / "counts.npz").code == 0
    return tmp_path / "counts.npz"


def fine(path):
    with np.load(path) as file:
        return file["counts"]


def test_a_folder_is_counted_and_kept(lutkit_, photos, counts):
    pixels = 0
    for path in files(photos):
        with Image.open(path) as image:
            pixels += image.width * image.height
    assert fine(counts).sum() == pixels
    before = counts.read_bytes()
    again = lutkit_("ab-hist", photos, "-o", counts)
    assert (again.code, again.err) == (
        2,
        f"lutkit: {counts}: exists already; give --overwrite or another name\n",
    )
    cells = int((fine(counts) > 0).sum())
    assert (fine(counts) == 1).any()
    shown = lutkit_("ab-hist", photos, "-o", counts, "--overwrite", "--json")
    assert json.loads(shown.out) == {"file": str(counts), "pixels": pixels, "cells": cells, "rejects": []}
    assert counts.read_bytes() == before
    shown = lutkit_("ab-hist", photos, "-o", counts, "--overwrite")
    assert shown.out == f"{counts}: {pixels:,} pixels in {cells:,} cells of one unit of a and b.\n"
    assert lutkit_("ab-hist", photos, "-o", counts, "--overwrite", "-q").out == ""


def test_counts_add(lutkit_, photos, counts, tmp_path):
    one = files(photos)[0]
    assert lutkit_("ab-hist", one, "-o", tmp_path / "one.npz").code == 0
    both = lutkit_("ab-hist", "--merge", counts, "--merge", tmp_path / "one.npz", "-o", tmp_path / "both.npz")
    assert both.code == 0
    np.testing.assert_array_equal(fine(tmp_path / "both.npz"), fine(counts) + fine(tmp_path / "one.npz"))


def test_a_tar_counts_what_its_photos_count(lutkit_, photos, counts, tmp_path):
    with tarfile.open(tmp_path / "photos.tar", "w") as tar:
        for number, path in enumerate(files(photos)):
            tar.add(path, f"{number:03d}{path.suffix}")
    done = lutkit_("ab-hist", tmp_path / "photos.tar", "-o", tmp_path / "t.npz")
    assert done.code == 0, done.err
    assert (tmp_path / "t.npz").read_bytes() == counts.read_bytes()


def test_size_and_field_choose_what_is_counted(lutkit_, photos, tmp_path):
    made = lutkit_("synth", "--n", 8, "--images", photos, "--out", "p", "--size", 16, "--codec", "png", "-q")
    assert made.code == 0, made.err
    for field, pixels in (("input", 16 * 16), ("target", 16 * 16)):
        out = tmp_path / f"{field}.npz"
        assert lutkit_("ab-hist", "p", "--field", f"{field}.png", "-o", out).code == 0
        assert fine(out).sum() == 8 * pixels
    assert (fine(tmp_path / "input.npz") != fine(tmp_path / "target.npz")).any()
    assert lutkit_("ab-hist", photos, "--size", 8, "-o", tmp_path / "small.npz").code == 0
    assert fine(tmp_path / "small.npz").sum() == 30 * 64
    means = [
        json.loads(lutkit_("stats", "p", "--field", f"{field}.png", "--size", 8, "--json").out)
        for field in ("input", "target")
    ]
    assert [found["pixels"] for found in means] == [8 * 64, 8 * 64]
    assert means[0]["mean"] != means[1]["mean"]


def test_observed_sigma_and_mix_reach_the_weights(lutkit_, counts, tmp_path):
    options = ["--observed", "--sigma", 3, "--mix", 0.25]
    done = lutkit_("ab-weights", counts, "-o", tmp_path / "w.npz", *options, "--json")
    expected = weigh(fine(counts), ab_grid("10"), 3, 0.25, observed=True)
    found, said = read_weights(tmp_path / "w.npz"), json.loads(done.out)
    np.testing.assert_array_equal(found.weights, expected.weights)
    assert (found.sigma, found.mix, said["without_pixels"]) == (3, 0.25, 0)
    assert said["bins"] == len(expected.weights) < 261
    assert (
        said["least"]["weight"] == expected.weights.min() < said["most"]["weight"] == expected.weights.max()
    )
    for name, place in (("least", expected.weights.argmin()), ("most", expected.weights.argmax())):
        assert said[name]["ab"] == expected.grid.bins[place].tolist()
    assert said["pixels"] == fine(counts).sum()
    every = json.loads(lutkit_("ab-weights", counts, "-o", tmp_path / "a.npz", "--json").out)
    assert every["without_pixels"] == 261 - said["bins"]


def test_weights_average_1_on_the_data_where_that_is_asked(lutkit_, counts, tmp_path):
    means = []
    for options in ([], ["--normalise", "data"]):
        done = lutkit_("ab-weights", counts, "-o", tmp_path / "w.npz", "--overwrite", *options)
        assert done.code == 0, done.err
        found = read_weights(tmp_path / "w.npz")
        means.append((found.prior * found.weights).sum())
        assert found.normalise == (options[-1] if options else "smoothed")
    assert means[0] != pytest.approx(1, abs=0.01)
    assert means[1] == pytest.approx(1)
    refused = lutkit_("ab-weights", counts, "-o", tmp_path / "x.npz", "--normalise", "all")
    assert (refused.code, refused.err) == (
        2,
        "lutkit: unknown normalisation 'all'; choose 'smoothed' or 'data'\n",
    )


def test_a_weight_that_float32_cannot_hold_is_refused(lutkit_, tmp_path):
    Image.fromarray(np.full((9, 9, 3), (30, 20, 250), np.uint8)).save(tmp_path / "blue.png")
    assert lutkit_("ab-hist", tmp_path / "blue.png", "-o", tmp_path / "c.npz").code == 0
    weights = ["ab-weights", tmp_path / "c.npz", "--grid", "zhang313", "--mix", 0]
    refused = lutkit_(*weights, "--sigma", 12, "-o", tmp_path / "w.npz")
    assert refused.code == 2
    assert_one_line(refused.err)
    assert "almost no mass: one would weigh" in refused.err
    assert not (tmp_path / "w.npz").exists()


def test_photos_left_out_are_named_and_not_counted(lutkit_, photos, tmp_path):
    copied = shutil.copytree(photos, tmp_path / "copied")
    for number in range(12):
        (copied / f"bad{number:02d}.jpg").write_bytes(b"text")
    done = lutkit_("ab-hist", copied, "-o", tmp_path / "c.npz")
    assert done.out.count("not counted: bad") == 10
    assert "not counted: 2 more\n" in done.out
    (copied / "raw.nef").write_bytes(b"raw")
    for command in (["stats", copied], ["ab-hist", copied, "-o", tmp_path / "d.npz"]):
        said = lutkit_(*command).out
        assert said.count("not counted: bad") == 10
        assert "not counted: 1 file of kinds that are not read (.nef)\n" in said
    found = json.loads(lutkit_("stats", copied, "--json").out)
    assert (found["photos"], len(found["rejects"])) == (30, 12)
    again = json.loads(lutkit_("ab-hist", copied, "-o", tmp_path / "e.npz", "--json").out)
    assert again["rejects"] == found["rejects"]
    assert again["rejects"][0] == {"path": "bad00.jpg", "reason": "not an image"}


def test_one_cell_is_one(lutkit_, tmp_path):
    Image.new("L", (9, 7), 100).save(tmp_path / "grey.png")
    done = lutkit_("ab-hist", tmp_path / "grey.png", "-o", tmp_path / "g.npz")
    assert done.out.endswith(": 63 pixels in 1 cell of one unit of a and b.\n")
    done = lutkit_("ab-weights", tmp_path / "g.npz", "-o", tmp_path / "w.npz", "--observed")
    assert done.out.splitlines() == [
        f"{tmp_path / 'w.npz'}: 1 bin of grid 10, 0 of them without a pixel, from 63 pixels.",
        "least: 1 at a 0, b 0",
        " most: 1 at a 0, b 0",
    ]


def test_of_a_dataset_the_targets_are_counted_and_bare_commands_chain(lutkit_, photos):
    assert lutkit_("synth", "--n", 20, "--images", photos, "--size", 16, "--codec", "png", "-q").code == 0
    assert lutkit_("ab-hist").code == 0
    assert lutkit_("ab-weights").code == 0
    expected = empty_counts()
    for _, target, _ in lutkit.pairs("data/pairs"):
        count_into(target, expected)
    np.testing.assert_array_equal(read_counts(Path("data/ab/counts.npz")), summarize(expected.totals()).ab)
    weights = read_weights(Path("data/ab/weights.npz"))
    np.testing.assert_array_equal(weights.grid.bins, ab_grid("10").bins)
    assert (weights.sigma, weights.mix) == (5.0, 0.5)


def test_weights_with_a_picture_and_files_for_others(lutkit_, counts, tmp_path):
    places = ["-o", tmp_path / "w.npz", "--plot", tmp_path / "w.png", "--npy", tmp_path / "npy"]
    done = lutkit_("ab-weights", counts, "--grid", "zhang313", *places, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["bins"] == 313
    said = lutkit_("ab-weights", counts, "--grid", "zhang313", *places, "--overwrite").out
    also = ", ".join(str(tmp_path / name) for name in ("npy/pts_in_hull.npy", "npy/prior_probs.npy", "w.png"))
    assert said.endswith(f"Also: {also}\n")
    made = read_weights(tmp_path / "w.npz")
    for name, place in (("least", made.weights.argmin()), (" most", made.weights.argmax())):
        a, b = made.grid.bins[place].astype(int)
        assert a != b or name == "least"
        assert f"{name}: {made.weights[place]:.4g} at a {a}, b {b}" in said
    assert ", where no pixel fell\nAlso" in said
    assert np.load(tmp_path / "npy/prior_probs.npy").sum() == pytest.approx(1)
    picture = np.asarray(Image.open(tmp_path / "w.png").convert("RGB"))
    assert picture.shape[0] > 800
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 300


@pytest.mark.parametrize("there", ["w.npz", "npy/pts_in_hull.npy", "npy/prior_probs.npy", "w.png"])
def test_no_output_is_written_over_unasked(lutkit_, counts, tmp_path, there):
    (tmp_path / "npy").mkdir()
    (tmp_path / there).write_bytes(b"mine")
    places = ["-o", tmp_path / "w.npz", "--plot", tmp_path / "w.png", "--npy", tmp_path / "npy"]
    done = lutkit_("ab-weights", counts, *places)
    assert (done.code, done.err) == (
        2,
        f"lutkit: {tmp_path / there}: exists already; give --overwrite or another name\n",
    )
    assert (tmp_path / there).read_bytes() == b"mine"
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ab-hist", "--merge", "b", "--workers", "2"], "--merge counts no images; leave out --size"),
        (["ab-hist", "--merge", "b", "--field", "jpg"], "--merge counts no images; leave out --size"),
        (
            ["ab-weights", "{counts}", "--plot", "{folder}/p.txt"],
            "is not a PNG file; name one that ends in .png",
        ),
        (["ab-hist", "absent"], "absent: no such file or folder; name a folder"),
        (
            ["ab-hist", "--merge", "{counts}", "--merge", "{counts}"],
            "these counts are given twice; name them once",
        ),
        (["ab-weights", "{counts}", "--npy", "{counts}"], "name another place"),
        (
            ["ab-weights", "{counts}", "--plot", "{folder}"],
            "is a folder; name",
        ),
        (
            ["ab-weights", "{counts}", "--plot", "{counts}", "--overwrite"],
            "would overwrite the counts; give",
        ),
        (["ab-hist", "a", "--merge", "b"], "both a source and --merge are given; give one of them"),
        (["ab-hist", "--merge", "b", "--label", "lossy"], "--merge counts no images; leave out --size"),
        (["ab-hist", "{folder}", "--split", "val"], "no photos found"),
        (["ab-hist", "--merge", "b", "--size", "9"], "--merge counts no images; leave out --size"),
        (
            ["ab-weights", "{counts}", "--plot", "{out}"],
            "two outputs have the same name; give each its own name",
        ),
        (["ab-hist", "--merge", "absent.npz"], "absent.npz: no such file; name a counts file"),
        (["ab-weights", "absent.npz"], "absent.npz: no such file; name a counts file"),
        (["ab-weights", "{counts}", "--grid", "313"], "unknown ab grid '313'; choose 10, zhang313, 16"),
        (["ab-weights", "{counts}", "--mix", "2"], "mix must be a share, 0..1, not 2"),
        (
            ["ab-weights", "{counts}", "--sigma", "0", "--mix", "0"],
            "have no mass, so their weight would be infinite",
        ),
        (["ab-weights", "{zero}"], "counts: no pixels were counted, so there is nothing to weigh"),
    ],
)
def test_mistakes_are_one_line(lutkit_, counts, tmp_path, arguments, said):
    np.savez(tmp_path / "zero.npz", counts=np.zeros((256, 256), np.int64), pixels=np.array(0))
    out = tmp_path / "o" / "x.npz"
    places = {"counts": counts, "zero": tmp_path / "zero.npz", "out": out, "folder": tmp_path}
    done = lutkit_(*(argument.format(**places) for argument in arguments), "-o", out)
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1
    assert not out.exists()


def test_links_that_run_in_circles_are_one_line(lutkit_, tmp_path):
    loop = tmp_path / "loop.npz"
    loop.symlink_to(loop)
    assert_one_line(lutkit_("ab-hist", "--merge", loop, "-o", tmp_path / "o.npz").err, "loop.npz")
    assert_one_line(lutkit_("ab-weights", loop, "-o", tmp_path / "w.npz").err, "loop.npz")


def test_parts_of_a_dataset_add_up(lutkit_, many_kinds, tmp_path):
    asked = {"whole": [], "lossy": ["--label", "lossy"], "rest": ["--label", "recoverable"]}
    counts = {}
    for name, options in asked.items():
        done = lutkit_("ab-hist", many_kinds, *options, "-o", tmp_path / f"{name}.npz")
        assert done.code == 0, done.err
        counts[name] = read_counts(tmp_path / f"{name}.npz")
    assert 0 < counts["lossy"].sum() < counts["whole"].sum() == 60 * 32 * 32
    np.testing.assert_array_equal(counts["lossy"] + counts["rest"], counts["whole"])
