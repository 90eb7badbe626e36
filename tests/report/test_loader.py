"""The lines that load a dataset name shards that there are."""

from dataclasses import replace
from pathlib import Path

from small_datasets import make_photos, manifest_of

from lutkit.pipeline.synth import plan_synth
from lutkit.report.loader import loader_lines


def test_the_split_with_the_most_samples_is_loaded(tmp_path):
    plan = plan_synth(manifest_of(make_photos(tmp_path, 4), n=5))
    counts = {"val": 0, "train": 600, "test": 5}
    lines = loader_lines(replace(plan, counts=counts), Path("out"))
    assert "'out/shards/train-{000000..000002}.tar'" in lines
    assert "# 600 samples" in lines
