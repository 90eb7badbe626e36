"""The plan: pure functions of seed, numbers and paths; n only decides how many samples there are."""

import tracemalloc
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutkit.synthesis.plan import (
    MIN_PHOTOS_TO_SPLIT,
    SHARD_SAMPLES,
    ShardTask,
    photo_candidates,
    plan_shards,
    sample_key,
    sample_number,
    shard_count,
    split_counts,
    split_of_photo,
    split_photos,
)

DEFAULT = (("train", 0.9), ("val", 0.05), ("test", 0.05))

shares = st.lists(
    st.floats(0.01, 100, allow_nan=False).map(lambda x: round(x, 3)), min_size=1, max_size=5
).map(lambda found: tuple((f"s{i}", share) for i, share in enumerate(found)))


# Splits of photos


@given(st.integers(0, 2**62), st.text(min_size=1))
def test_a_photo_s_split_is_a_function_of_seed_and_path(seed, path):
    assert split_of_photo(seed, path, DEFAULT) == split_of_photo(seed, path, DEFAULT)
    # Shares count relative to their sum.
    assert split_of_photo(seed, path, DEFAULT) == split_of_photo(
        seed, path, tuple((n, 20 * s) for n, s in DEFAULT)
    )


def test_a_path_that_is_not_utf8_has_a_split_too():
    assert split_of_photo(0, "caf\udce9.jpg", DEFAULT) in ("train", "val", "test")


def test_splits_are_disjoint_whole_and_about_their_shares():
    paths = tuple(f"{i // 100}/{i}.jpg" for i in range(10_000))
    members = split_photos(3, paths, DEFAULT)
    assert sorted(n for numbers in members.values() for n in numbers) == list(range(10_000))
    # Five standard deviations of a binomial: 150 and 109.
    assert abs(len(members["train"]) - 9000) < 150
    assert abs(len(members["val"]) - 500) < 109
    assert abs(len(members["test"]) - 500) < 109
    assert all(numbers == tuple(sorted(numbers)) for numbers in members.values())


def test_a_photo_keeps_its_split_whatever_else_is_listed():
    paths = tuple(f"{i}.jpg" for i in range(200))
    few = split_photos(0, paths[100:], DEFAULT)
    for name, numbers in few.items():
        assert all(split_of_photo(0, paths[100 + n], DEFAULT) == name for n in numbers)


def test_another_seed_splits_otherwise():
    paths = [f"{i}.jpg" for i in range(200)]
    assert [split_of_photo(0, p, DEFAULT) for p in paths] != [split_of_photo(1, p, DEFAULT) for p in paths]


def test_few_photos_all_go_to_train_or_else_to_the_first_split_with_a_share():
    paths = tuple(f"{i}.jpg" for i in range(MIN_PHOTOS_TO_SPLIT - 1))
    assert split_photos(0, paths, DEFAULT) == {"train": tuple(range(19))}
    assert split_photos(0, paths, (("empty", 0.0), *DEFAULT)) == {"train": tuple(range(19))}
    assert split_photos(0, paths, tuple(reversed(DEFAULT))) == {"train": tuple(range(19))}
    assert split_photos(0, paths, (("train", 0.0), ("b", 1.0), ("a", 2.0))) == {"b": tuple(range(19))}
    assert len(split_photos(0, (*paths, "last.jpg"), (("a", 1.0), ("b", 1.0)))) == 2


def test_a_split_without_a_share_gets_no_photo():
    paths = tuple(f"{i}.jpg" for i in range(300))
    assert set(split_photos(0, paths, (("a", 1.0), ("none", 0.0), ("b", 1.0)))) == {"a", "b"}


# Samples of splits


@given(shares, st.integers(0, 20_000))
def test_counts_sum_to_n_and_none_shrinks_as_n_grows(splits, n):
    counts = split_counts(n, splits, dict(splits))
    more = split_counts(n + 1, splits, dict(splits))
    assert sum(counts.values()) == n
    assert sum(more.values()) == n + 1
    assert all(counts[name] <= more[name] for name in counts)


@given(shares, st.integers(1, 20_000))
def test_counts_are_webster_s(splits, n):
    """Check the definition of Webster's method: moving a sample to another split fits no better.

    count - 1/2 <= share x d <= count + 1/2 holds for one divisor d, so max (count - 1/2) / share is at most
    min (count + 1/2) / share. With four splits or more, a count need not be the quota rounded up or down.
    With two splits it is; with three, it differs only if a share is tiny.
    """
    counts = split_counts(n, splits, dict(splits))
    most = max((counts[name] - 0.5) / share for name, share in splits)
    least = min((counts[name] + 0.5) / share for name, share in splits)
    assert most <= least * (1 + 1e-9)


@given(st.integers(1, 50_000), st.floats(0.5, 0.99))
def test_two_splits_are_within_one_of_their_quota(n, share):
    counts = split_counts(n, (("a", share), ("b", 1 - share)), {"a": 0, "b": 0})
    assert abs(counts["a"] - n * share) <= 0.5 + 1e-6


@given(st.integers(1, 50_000))
def test_the_default_splits_are_within_one_of_their_quota(n):
    counts = split_counts(n, DEFAULT, dict(DEFAULT))
    assert all(abs(counts[name] - n * share) < 1 for name, share in DEFAULT)


def test_splits_without_photos_get_no_samples():
    assert split_counts(100, DEFAULT, {"train": (1,), "val": (2,)}) == {"train": 95, "val": 5}
    assert split_counts(100, DEFAULT, {"train": (1,)}) == {"train": 100}
    assert split_counts(1000, DEFAULT, dict(DEFAULT)) == {"train": 900, "val": 50, "test": 50}


# Shards


@given(st.dictionaries(st.sampled_from(["train", "val", "test"]), st.integers(0, 3000)))
def test_shards_cover_every_sample_once(counts):
    tasks = list(plan_shards(counts))
    for split, count in counts.items():
        own = [task for task in tasks if task.split == split]
        assert [i for task in own for i in range(task.start, task.start + task.count)] == list(range(count))
        assert [task.index for task in own] == list(range(len(own)))
        assert all(task.count == SHARD_SAMPLES for task in own[:-1])
        assert all(1 <= task.count <= SHARD_SAMPLES for task in own)
        assert shard_count(count) == len(own)


def test_a_billion_samples_are_planned_one_shard_at_a_time():
    tracemalloc.start()
    tasks = plan_shards({"train": 10**9})
    assert [next(tasks).index for _ in range(100)] == list(range(100))
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_names_and_keys_are_the_contract_s():
    assert SHARD_SAMPLES == 256
    assert ShardTask("train", 7, 1792, 256).name == "train-000007"
    assert str(ShardTask("train", 7, 1792, 256)) == "shard train-000007"
    assert sample_key("train", 42) == "train-000000042"


def test_a_sample_s_number_is_its_own():
    numbers = Counter(sample_number(split, i) for split in ("train", "val", "test", "a") for i in range(500))
    assert max(numbers.values()) == 1
    assert sample_number("train", 2**40) == sample_number("train", 0) + 2**40


# Photos of samples


@given(st.integers(0, 100), st.integers(0, 500), st.integers(1, 40))
def test_a_sample_tries_each_photo_of_its_split_once(seed, i, count):
    photos = tuple(range(1000, 1000 + 3 * count, 3))
    tried = list(photo_candidates(seed, "train", i, photos))
    assert sorted(tried) == list(photos)
    assert tried == list(photo_candidates(seed, "train", i, photos))


@pytest.mark.parametrize("count", [1, 7, 30])
def test_an_epoch_uses_each_photo_once_and_the_next_in_another_order(count):
    photos = tuple(range(count))
    epochs = [
        [next(photo_candidates(0, "train", epoch * count + i, photos)) for i in range(count)]
        for epoch in range(6)
    ]
    assert all(sorted(epoch) == list(photos) for epoch in epochs)
    if count > 1:
        assert len({tuple(epoch) for epoch in epochs}) == 6


def test_the_photos_that_stand_in_differ_from_sample_to_sample():
    photos = tuple(range(30))
    stand_ins = {tuple(photo_candidates(0, "train", i, photos))[1] for i in range(100)}
    assert len(stand_ins) > 20


def test_splits_and_seeds_draw_photos_in_orders_of_their_own():
    photos = tuple(range(30))
    orders = {
        tuple(next(photo_candidates(seed, split, i, photos)) for i in range(30))
        for seed in (0, 1)
        for split in ("train", "val")
    }
    assert len(orders) == 4
