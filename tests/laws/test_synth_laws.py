"""Laws of `synth`, for whatever settings: the same again, whatever the order, wherever it was stopped."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_datasets import build, contents, make_photos, manifest_of, samples_of

import lutkit
from lutkit.engine.engine import InProcess
from lutkit.synthesis.build import build_pairs, plan_synth
from lutkit.synthesis.verify import check_dataset

# A build takes a good part of a second.
FEW = settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])

changes = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**40),
        "size_px": st.sampled_from([8, 16, 25]),
        "crop": st.sampled_from(["center", "random"]),
        "codec": st.sampled_from(["jpeg", "png", "webp"]),
        "store": st.sampled_from(["pixels", "recipe"]),
        "splits": st.sampled_from([(("train", 1.0),), (("a", 0.5), ("b", 0.5))]),
    }
).filter(lambda found: found["store"] == "pixels" or found["codec"] != "jpeg")  # fmt: skip


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Thirty small photos, one of them broken."""
    folder = make_photos(tmp_path_factory.mktemp("photos") / "in")
    (folder / "beach-08.png").write_bytes(b"text")
    return folder


class Until:
    """An engine that gives up after so many shards, built from the last to the first."""

    def __init__(self, shards):
        self.shards = shards

    def run(self, work, job, tasks):
        for task in list(tasks)[::-1][: self.shards]:
            yield work(job, task)
        raise KeyboardInterrupt


@FEW
@given(changes, st.integers(1, 60), st.integers(0, 300))
def test_stopping_anywhere_and_growing_give_what_one_run_gives(photos, changes, few, more):
    with tempfile.TemporaryDirectory() as work:
        grown, whole = Path(work) / "grown", Path(work) / "whole"
        small, large = (manifest_of(photos, **changes, n=n) for n in (few, few + more))
        for shards in (0, 1):
            with pytest.raises(KeyboardInterrupt):
                build_pairs(plan_synth(small), grown, Until(shards), lambda _: None, lambda _: None)
        build(small, grown)
        with pytest.raises(KeyboardInterrupt):
            build_pairs(plan_synth(large), grown, Until(1), lambda _: None, lambda _: None)
        build(large, grown)
        result = build(large, whole)
        assert contents(grown) == contents(whole)
        assert sum(record.file.samples for record in result.records) == few + more
        assert check_dataset(whole, InProcess(), lambda _: None) == ()


@FEW
@given(changes, st.integers(1, 40))
def test_what_is_stored_and_what_is_replayed_are_one(photos, changes, n):
    with tempfile.TemporaryDirectory() as work:
        manifest = manifest_of(photos, **changes | {"codec": "png", "store": "recipe"}, n=n)
        build(manifest, Path(work) / "lean")
        build(manifest_of(photos, **changes | {"codec": "png", "store": "pixels"}, n=n), Path(work) / "whole")
        pairs = [list(lutkit.pairs(Path(work) / name)) for name in ("lean", "whole")]
        assert len(pairs[0]) == len(pairs[1]) == n
        for one, other in zip(*pairs, strict=True):
            assert np.array_equal(one[0], other[0])
            assert np.array_equal(one[1], other[1])
            assert one[2] == other[2]


@FEW
@given(changes)
def test_no_photo_is_in_two_splits(photos, changes):
    with tempfile.TemporaryDirectory() as work:
        build(manifest_of(photos, **changes, n=120), Path(work) / "out")
        split_of = {}
        for key, _, data in samples_of(Path(work) / "out"):
            split = key.rpartition("-")[0]
            assert split_of.setdefault(data["source"]["path"], split) == split
