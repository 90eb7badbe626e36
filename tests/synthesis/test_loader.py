"""The lines that load a dataset name shards that exist."""

from dataclasses import replace
from pathlib import Path

from small_datasets import make_photos, manifest_of

from lutkit.synthesis.build import plan_synth
from lutkit.synthesis.loader import loader_lines


def test_the_split_with_the_most_samples_is_loaded(tmp_path):
    plan = plan_synth(manifest_of(make_photos(tmp_path, 4), n=5))
    counts = {"val": 0, "train": 600, "test": 5}
    lines = loader_lines(replace(plan, counts=counts), Path("out"))
    assert "'out/shards/train-{000000..000002}.tar'" in lines
    assert "# 600 samples" in lines


def test_shards_of_more_than_six_digits_are_not_written_as_a_range(tmp_path):
    plan = plan_synth(manifest_of(make_photos(tmp_path, 4), n=5))
    most = loader_lines(replace(plan, counts={"train": 256_000_000}), Path("out"))
    assert "'out/shards/train-{000000..999999}.tar'" in most
    more = loader_lines(replace(plan, counts={"train": 256_000_001}), Path("out"))
    assert f'{str(Path("out").absolute())!r}, "shards").glob("train-*.tar")' in more
    assert "{0000" not in more
