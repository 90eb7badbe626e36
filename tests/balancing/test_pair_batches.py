"""Thumbnails and batches: the pixels, the order, and how an order continues."""

import numpy as np
import pytest
import torch
from PIL import Image
from small_datasets import textured

from lutkit.balancing.batches import PairBatches, in_order
from lutkit.balancing.thumbnails import PairThumbnails, read_thumbnails, thumbnail_of
from lutkit.synthesis.pairs import pairs


def test_a_thumbnail_is_pillow_s_box_filter():
    image = textured(2, 192, 128)
    expected = np.asarray(Image.fromarray(image).resize((64, 64), Image.Resampling.BOX))
    assert abs(255 * thumbnail_of(image) - expected).max() <= 1


def test_every_depth_gives_the_same_thumbnail():
    image = textured(1, 100, 70)
    expected = thumbnail_of(image)
    np.testing.assert_allclose(thumbnail_of(image.astype(np.uint16) * 257), expected, atol=1e-6)
    np.testing.assert_allclose(thumbnail_of((image / 255).astype(np.float32)), expected, atol=1e-6)
    assert thumbnail_of(np.full((3, 5, 3), 2.0, np.float32)).max() == 1
    assert (expected.shape, expected.dtype) == ((64, 64, 3), np.float32)


def test_the_pairs_of_a_dataset_are_read_in_order(many_kinds):
    opened = pairs(many_kinds, split="val")
    told = []
    found = read_thumbnails(opened, lambda done, total: told.append((done, total)))
    assert found.keys == tuple(metadata["key"] for _, _, metadata in opened)
    for number, (before, after, _) in enumerate(opened):
        assert abs(255 * thumbnail_of(before, 96) - found.inputs[number]).max() <= 0.501
        assert abs(255 * thumbnail_of(after, 96) - found.targets[number]).max() <= 0.501
    assert told[-1] == (len(opened), len(opened))


def numbered(count):
    """Pairs whose pixels tell their number: inputs 2n, targets 2n + 1; the left half of both is white."""
    inputs = np.repeat(2 * np.arange(count, dtype=np.uint8), 96 * 96 * 3).reshape(count, 96, 96, 3)
    targets = inputs + 1
    inputs[:, :, :48], targets[:, :, :48] = 255, 255
    return PairThumbnails(inputs, targets, tuple(map(str, range(count))))


@pytest.mark.parametrize("size", [5, 7])
def test_each_sample_comes_once_before_any_comes_again(size):
    batches = PairBatches(numbered(7), size=size, seed=1, unchanged=0)
    keys = [key for step in range(7) for key in batches.at(step).keys]
    for epoch in range(size):
        assert sorted(keys[7 * epoch : 7 * epoch + 7]) == list("0123456")
    assert keys[:7] != keys[7:14]
    assert keys != [
        k for step in range(7) for k in PairBatches(numbered(7), size=size, seed=2, unchanged=0).at(step).keys
    ]


def test_inputs_and_targets_are_cut_and_mirrored_together():
    batch = PairBatches(numbered(60), size=60, seed=3, unchanged=0).at(0)
    dark = (batch.inputs < 1).all(1)
    assert torch.equal(dark, (batch.targets < 1).all(1))
    ends = torch.stack([dark[:, 0, 0], dark[:, 0, -1]], 1).tolist()
    # Windows lie anywhere; of those with both halves about half are mirrored.
    assert 12 < ends.count([False, True]) < 40
    assert 12 < ends.count([True, False]) < 40
    for number, key in enumerate(batch.keys):
        codes = (255 * batch.inputs[number].amin((1, 2))).tolist()
        if dark[number, :, [0, -1]].any():
            assert codes == pytest.approx(3 * [2 * int(key)], abs=1e-3)
            assert (255 * batch.targets[number].amin()).item() == pytest.approx(2 * int(key) + 1, abs=1e-3)


def test_some_inputs_are_their_targets():
    batches = PairBatches(numbered(100), size=100, seed=3, unchanged=0.3)
    same = sum(
        int((batches.at(step).inputs == batches.at(step).targets).flatten(1).all(1).sum())
        for step in range(20)
    )
    assert 520 < same < 680


def test_an_order_continues_at_any_step():
    batches = PairBatches(numbered(9), size=4, seed=0, unchanged=0.2)
    keys = [batch.keys for batch, _ in zip(batches, range(9), strict=False)]
    batches.step = 6
    assert [batch.keys for batch, _ in zip(batches, range(3), strict=False)] == keys[6:]
    assert keys[6:] != keys[:3]
    # Of several processes, each has every so many batches.
    batches.step, batches.every = 3, 2
    assert [batch.keys for batch, _ in zip(batches, range(3), strict=False)] == keys[3::2]


def test_validation_takes_all_in_order():
    batches = in_order(numbered(7), 3)
    assert [batch.keys for batch in batches] == [("0", "1", "2"), ("3", "4", "5"), ("6",)]
    assert (255 * batches[1].inputs[0, 0, 0, 60]).item() == pytest.approx(6, abs=1e-4)
    assert batches[1].inputs[0, 0, 0, 3] == 1
