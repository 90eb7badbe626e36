"""The samples that a filter accepts, by their JSON, and the messages if there are none."""

import json

import pytest

from lutkit.dataset.sample_filter import SampleFilter, choose_samples, shards_of_split
from lutkit.dataset.tars import Sample, write_shard
from lutkit.errors import DatasetError, LutkitError

# Key, kind and label, by shard; no two of the filters below take the same samples.
SAMPLES = {
    "train-000000": [
        ("t0", "distort", "lossy"), ("t1", "enhance", "lossy"), ("t2", "distort", "recoverable"),
    ],
    "train-000001": [("t3", "distort", "recoverable"), ("t4", "distort", "recoverable")],
    "val-000000": [("v0", "enhance", "recoverable"), ("v1", "distort", "recoverable")],
}  # fmt: skip


def sample_of(key, kind, label):
    fields = {"key": key, "kind": kind, "label": label, "severity": 4.0}
    return Sample(key, (("target.jpg", b"x"), ("json", json.dumps(fields).encode())))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "shards").mkdir()
    for shard, samples in SAMPLES.items():
        write_shard(tmp_path / f"shards/{shard}.tar", [sample_of(*sample) for sample in samples])
    return tmp_path


def chosen(folder, *wanted):
    return [
        (one.shard[-8:], one.keys, one.numbers)
        for one in choose_samples(folder, list(SAMPLES), SampleFilter(*wanted))
    ]


def test_a_filter_takes_the_samples_that_have_all_it_asks_for(folder):
    assert chosen(folder, "", "distort") == [
        ("n-000000", ("t0", "t2"), (0, 2)), ("n-000001", ("t3", "t4"), (0, 1)), ("l-000000", ("v1",), (1,)),
    ]  # fmt: skip
    assert chosen(folder, "", "", "lossy") == [("n-000000", ("t0", "t1"), (0, 1))]
    assert chosen(folder, "", "distort", "lossy") == [("n-000000", ("t0",), (0,))]
    assert chosen(folder, "val", "distort", "recoverable") == [("l-000000", ("v1",), (1,))]
    assert chosen(folder, "val") == [("l-000000", ("v0", "v1"), (0, 1))]
    assert sum(len(keys) for _, keys, _ in chosen(folder)) == 7


def test_what_there_is_is_named_where_there_is_nothing(folder):
    with pytest.raises(DatasetError) as caught:
        chosen(folder, "", "enhanced")
    assert str(caught.value) == (f"{folder}: no sample of kind enhanced; there are: distort (5), enhance (2)")
    with pytest.raises(DatasetError) as caught:
        chosen(folder, "val", "distort", "lossy")
    assert str(caught.value) == (
        f"{folder}: no sample of split val, kind distort, label lossy;"
        " there are: distort recoverable (1), enhance recoverable (1)"
    )
    with pytest.raises(DatasetError, match=r"no split 'dev'; there are: train, val$"):
        chosen(folder, "dev", "distort")
    with pytest.raises(DatasetError, match=r"no split 'dev'; there are: train, val$"):
        shards_of_split(folder, list(SAMPLES), "dev")


def test_shards_of_a_split_are_told_by_their_names(folder):
    assert shards_of_split(folder, list(SAMPLES), "train") == ["train-000000", "train-000001"]
    assert shards_of_split(folder, list(SAMPLES), "") == list(SAMPLES)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ((("target.jpg", b"x"),), "sample x has no json; run `lutkit verify`"),
        ((("json", b"{"),), "x.json: its JSON has no kind; run"),
        ((("json", b"[1]"),), "x.json: its JSON has no kind; run"),
        ((("json", b'{"label": "lossy"}'),), "x.json: its JSON has no kind; run"),
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_a_sample_that_does_not_tell_is_named(folder, members, said, place):
    samples = [sample_of("a", "distort", "lossy")]
    samples.insert(place, Sample("x", members))
    write_shard(folder / "shards/train-000001.tar", samples)
    with pytest.raises(DatasetError) as caught:
        chosen(folder, "", "distort")
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(folder / "shards/train-000001.tar"))


def test_a_shard_that_is_missing_is_named(folder):
    (folder / "shards/val-000000.tar").unlink()
    with pytest.raises(LutkitError, match=r"val-000000\.tar: cannot be read"):
        chosen(folder, "", "distort")


def test_a_filter_is_told_in_words():
    assert str(SampleFilter("val", "", "lossy")) == "split val, label lossy"
    assert not SampleFilter()
    assert all([SampleFilter("val"), SampleFilter("", "distort"), SampleFilter("", "", "lossy")])
