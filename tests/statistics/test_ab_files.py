"""`counts.npz` and `weights.npz`: what numpy alone reads from them, and which files are refused."""

import contextlib
import json
import os
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutkit.ab.grid import GRID_NAMES, ab_grid
from lutkit.ab.weights import weights_of_counts
from lutkit.errors import ArrayError, SourceError
from lutkit.measure.counts import total_of
from lutkit.statistics.ab_files import (
    merged_counts,
    read_counts,
    read_weights,
    write_counts,
    write_npy,
    write_weights,
)


def fine():
    counts = np.zeros((256, 256), np.int64)
    counts[100:170, 110:200] = np.random.default_rng(0).integers(0, 2**40, (70, 90))
    return counts


def test_counts_come_back_and_are_plain_numpy(tmp_path):
    write_counts(tmp_path / "c.npz", fine())
    np.testing.assert_array_equal(read_counts(tmp_path / "c.npz"), fine())
    with np.load(tmp_path / "c.npz", allow_pickle=False) as file:
        assert sorted(file.files) == ["counts", "pixels"]
        assert file["counts"].dtype == np.int64
        assert file["pixels"] == fine().sum()


def at_one_cell(pixels):
    counts = np.zeros((256, 256), np.int64)
    counts[130, 120] = pixels
    return counts


def test_counts_that_64_bits_do_not_hold_are_refused(tmp_path):
    files = []
    for i in range(3):
        files.append(tmp_path / f"{i}.npz")
        write_counts(files[-1], at_one_cell(2**62))
    np.testing.assert_array_equal(merged_counts(files[:1]), at_one_cell(2**62))
    with pytest.raises(
        SourceError, match=r"1\.npz: brings the sum to 9,223,372,036,854,775,808 pixels, which"
    ):
        merged_counts(files)
    # Counts of which numpy's sum comes back to what the file says.
    counts = np.full((256, 256), 2**62, np.int64)
    np.savez(tmp_path / "w.npz", counts=counts, pixels=np.array(int(counts.sum()), np.int64))
    with pytest.raises(SourceError, match="its counts are inconsistent"):
        read_counts(tmp_path / "w.npz")
    for total in (counts, at_one_cell(2**62) + np.roll(at_one_cell(2**62), 40)):
        with pytest.raises(ArrayError, match="pixels are too many to count in 64 bits"):
            weights_of_counts(total, ab_grid("10"))
    with pytest.raises(ArrayError, match="counts must be 0 or above"):
        weights_of_counts(at_one_cell(-1), ab_grid("10"))
    assert weights_of_counts(at_one_cell(2**63 - 1), ab_grid("10")).counts.max() == 2**63 - 1


@given(st.lists(st.integers(0, 2**63 - 1), max_size=9))
def test_a_total_is_that_of_python(counts):
    if sum(counts) < 2**63:
        assert total_of(np.array(counts, np.int64)) == sum(counts)
    else:
        with pytest.raises(ArrayError, match=f"{sum(counts):,} pixels"):
            total_of(np.array(counts, np.int64))


@pytest.mark.parametrize("name", GRID_NAMES)
@pytest.mark.parametrize("observed", [False, True])
def test_weights_come_back_and_are_plain_numpy(tmp_path, name, observed):
    made = weights_of_counts(fine(), ab_grid(name), 4.0, 0.25, observed=observed)
    write_weights(tmp_path / "w.npz", made)
    back = read_weights(tmp_path / "w.npz")
    assert (back.grid.name, back.sigma, back.mix) == (name, 4.0, 0.25)
    for one, other in ((back.grid.bins, made.grid.bins), (back.grid.fine, made.grid.fine),
                       (back.weights, made.weights), (back.counts, made.counts),
                       (back.prior, made.prior), (back.smoothed, made.smoothed)):  # fmt: skip
        np.testing.assert_array_equal(one, other)
    with np.load(tmp_path / "w.npz", allow_pickle=False) as file:
        assert file["bins"].dtype == np.float32
        assert file["bins"].shape == (len(made.weights), 2)
        assert (file["smoothed"] * file["weights"]).sum() == pytest.approx(1)
        np.testing.assert_array_equal(file["prior"], made.counts / made.counts.sum())
        meta = json.loads(str(file["meta"]))
    assert {"grid": name, "sigma": 4.0, "mix": 0.25, "observed": observed}.items() <= meta.items()
    assert "D65" in meta["lab"]


def test_the_same_contents_give_the_same_bytes(tmp_path, monkeypatch):
    for name in ("a", "b"):
        write_counts(tmp_path / name, fine())
        write_weights(tmp_path / f"{name}w", weights_of_counts(fine(), ab_grid("10")))
        monkeypatch.setattr(time, "time", lambda: 2e9)
        monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(2e9))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "aw").read_bytes() == (tmp_path / "bw").read_bytes()


def test_the_files_of_other_trainers(tmp_path):
    made = weights_of_counts(fine(), ab_grid("zhang313"))
    write_npy(tmp_path / "npy", made)
    centres, prior = (np.load(tmp_path / "npy" / name) for name in ("pts_in_hull.npy", "prior_probs.npy"))
    assert centres.shape == (313, 2)
    assert centres.dtype == np.int64
    assert centres[0].tolist() == [-90, 50]
    np.testing.assert_array_equal(prior, made.prior)


def test_centres_that_are_no_whole_numbers_are_not_rounded_for_other_trainers(tmp_path):
    made = weights_of_counts(fine(), ab_grid("16"))
    write_npy(tmp_path, made)
    np.testing.assert_array_equal(np.load(tmp_path / "pts_in_hull.npy"), made.grid.bins)


def test_a_file_is_written_whole_or_stays_as_it_was(tmp_path, monkeypatch):
    made = weights_of_counts(fine(), ab_grid("10"))
    names = ("c.npz", "w.npz", "pts_in_hull.npy")
    for name in names:
        (tmp_path / name).write_bytes(b"as it was")

    def full(*_, **__):
        raise OSError("no space")

    monkeypatch.setattr(os, "replace", full)
    for write in (
        lambda: write_counts(tmp_path / "c.npz", fine()),
        lambda: write_weights(tmp_path / "w.npz", made),
        lambda: write_npy(tmp_path, made),
    ):
        with pytest.raises(OSError, match="no space"):
            write()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == dict.fromkeys(names, b"as it was")


class RunsWhenRead:
    """An example of the harm that a pickle can do to its reader."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_no_code_in_a_file_is_run(tmp_path):
    made = weights_of_counts(fine(), ab_grid("10"))
    harm = np.array(RunsWhenRead(tmp_path / "harm"), object)
    np.savez(tmp_path / "c.npz", counts=harm, pixels=harm)
    np.savez(tmp_path / "w.npz", bins=made.grid.bins, counts=made.counts, prior=made.prior,
             smoothed=made.smoothed, weights=made.weights, meta=harm)  # fmt: skip
    np.save(tmp_path / "a.npy", harm)
    for read, name in ((read_counts, "c.npz"), (read_weights, "w.npz"), (read_counts, "a.npy")):
        with pytest.raises(SourceError):
            read(tmp_path / name)
        assert not (tmp_path / "harm").exists()
    np.load(tmp_path / "a.npy", allow_pickle=True)
    assert (tmp_path / "harm").exists()  # so that it can be told


def other_files(tmp_path):
    write_weights(tmp_path / "weights", weights_of_counts(fine(), ab_grid("10")))
    (tmp_path / "text").write_text("counts")
    (tmp_path / "empty").write_bytes(b"")
    np.save(tmp_path / "array.npy", fine())
    np.savez(tmp_path / "sum.npz", counts=fine(), pixels=np.array(7))
    np.savez(tmp_path / "more.npz", counts=fine(), pixels=fine().sum() + 1)
    below = fine()
    below[0, 0], below[9, 9] = -1, 1
    np.savez(tmp_path / "below.npz", counts=below, pixels=below.sum())
    np.savez(tmp_path / "floats.npz", counts=fine() / 1, pixels=fine().sum())
    np.savez(tmp_path / "many.npz", counts=fine(), pixels=np.repeat(fine().sum(), 2))
    (tmp_path / "folder").mkdir()
    np.savez(tmp_path / "shape.npz", counts=fine()[:9], pixels=fine()[:9].sum())
    whole = (tmp_path / "weights").read_bytes()
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    np.savez(tmp_path / "pickled.npz", counts=np.array([{}], object), pixels=np.array(0))
    return [*(path.name for path in tmp_path.iterdir()), "absent"]


def test_other_files_are_refused_in_one_line(tmp_path):
    for name in other_files(tmp_path):
        with pytest.raises(SourceError) as refused:
            read_counts(tmp_path / name)
        assert str(refused.value).startswith(str(tmp_path / name))
        assert "\n" not in str(refused.value)


def test_weights_that_do_not_fit_are_refused(tmp_path):
    write_weights(tmp_path / "w.npz", weights_of_counts(fine(), ab_grid("10")))
    with np.load(tmp_path / "w.npz") as file:
        whole = dict(file)
    broken = [
        {"weights": whole["weights"][:-1]},
        {"bins": whole["bins"][::-1]},
        {"bins": whole["bins"] + 1},
        {"meta": np.array("not JSON")},
        {"meta": np.array('{"grid": "11"}')},
        {"meta": np.array('["grid"]')},
        {"meta": np.array("[" * 100_000)},
        {"weights": whole["weights"] * np.nan},
        {"weights": whole["weights"].astype(str)},
        {"counts": whole["counts"] - 1.5},
    ]
    for number, change in enumerate(broken):
        np.savez(tmp_path / f"{number}.npz", **{**whole, **change})
        with pytest.raises(SourceError, match=r"do not fit each other|not a weights file"):
            read_weights(tmp_path / f"{number}.npz")


@pytest.mark.parametrize("kind", ["counts", "weights"])
def test_damaged_files_are_refused_in_one_line_or_read_as_they_were(tmp_path, kind):
    path, rng = tmp_path / "file.npz", np.random.default_rng(6)
    if kind == "counts":
        write_counts(path, fine())
    else:
        write_weights(path, weights_of_counts(fine(), ab_grid("10")))
    whole, read = path.read_bytes(), read_counts if kind == "counts" else read_weights
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for place in rng.integers(len(whole), size=2):
            damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with contextlib.suppress(SourceError):
            read(path)
            refused -= 1
        refused += 1
    assert refused > 100
