"""Matching by name or key, and comparing sets: the same for any number of workers."""

import io
import tarfile
import weakref

import numpy as np
import pytest
from measured_pairs import set_json
from PIL import Image
from small_datasets import textured

from lutkit.comparison.artefacts import own_artefacts
from lutkit.comparison.matching import match_photos
from lutkit.comparison.noise import Noise
from lutkit.comparison.run import compare_set, measure_train
from lutkit.engine.engine import InProcess, LocalEngine
from lutkit.errors import SourceError
from lutkit.photos.sources import list_photos


def save(folder, names, change=lambda pixels: pixels, size=(72, 64)):
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(change(textured(number, *size))).save(folder / name)
    return folder


def tar_of(path, members):
    with tarfile.open(path, "w") as tar:
        for number, name in enumerate(members):
            data = io.BytesIO()
            Image.fromarray(textured(number, 72, 64)).save(data, "PNG")
            info = tarfile.TarInfo(name)
            info.size = len(data.getvalue())
            tar.addfile(info, io.BytesIO(data.getvalue()))
    return path


def compared(before, after, engine=None, size_px=None):
    lists = list_photos(str(before)), list_photos(str(after))
    matched = match_photos(*lists, str(after))
    one = compare_set("x", matched, size_px=size_px, engine=engine or InProcess(), on_pairs=lambda _: None)
    return one, matched


def looked_at(photos):
    return measure_train("t", photos, size_px=None, engine=InProcess(), on_pairs=lambda _: None)


def test_files_match_by_path_without_suffix_and_the_rest_is_named(tmp_path):
    before = save(tmp_path / "in", ["a.v1.png", "trip/b.png", "c.png"])
    after = save(tmp_path / "out", ["trip/b.bmp", "a.v1.bmp", "b.png"])
    one, matched = compared(before, after)
    assert [pair.key for pair in one.pairs] == ["a.v1", "trip/b"]
    assert matched.alone_before == ("c",)
    assert matched.alone_after == ("b",)


def test_members_match_by_key_whatever_their_shard(tmp_path):
    tar_of(tmp_path / "in.tar", ["s-1.input.png", "s-2.input.png"])
    save(tmp_path / "out", ["s-2.png", "s-3.png"])
    one, matched = compared(tmp_path / "in.tar", tmp_path / "out")
    assert [pair.key for pair in one.pairs] == ["s-2"]
    assert (matched.alone_before, matched.alone_after) == (("s-1",), ("s-3",))


def test_one_photo_and_one_photo_are_a_pair(tmp_path):
    save(tmp_path, ["x.png", "y.png"])
    one, _ = compared(tmp_path / "x.png", tmp_path / "y.png")
    assert [pair.key for pair in one.pairs] == ["x"]


def test_nothing_matched_and_two_of_one_name_are_errors(tmp_path):
    before, after = save(tmp_path / "in", ["a.png", "b.png"]), save(tmp_path / "out", ["c.png", "d.png"])
    with pytest.raises(SourceError, match=r"none of its 2 photos has a reference: its first photo is 'c'"):
        compared(before, after)
    save(after, ["c.bmp"])
    with pytest.raises(SourceError, match=r"c.bmp and c.png have the same name"):
        compared(before, after)


def test_other_sizes_and_broken_photos_are_rejected_by_name(tmp_path):
    before = save(tmp_path / "in", ["a.png", "b.png", "c.png"])
    after = save(save(tmp_path / "out", ["a.png"]), ["b.png"], size=(71, 64))
    (after / "c.bmp").write_bytes(b"text")
    one, _ = compared(before, after)
    assert [pair.key for pair in one.pairs] == ["a"]
    reasons = [(reject.path, reject.reason) for reject in one.rejects]
    assert reasons == [
        ("b.png", "another size: 71 x 64, its reference 72 x 64"),
        ("c.bmp", "not an image"),
    ]
    lists, counted = (list_photos(str(before)), list_photos(str(after))), []
    compare_set("x", match_photos(*lists, "out"), size_px=None, engine=InProcess(), on_pairs=counted.append)
    assert counted == [3]  # the rejected as well
    both, _ = compared(before, after, size_px=32)
    assert [pair.key for pair in both.pairs] == ["a", "b"]
    (after / "a.png").write_bytes(b"text")
    with pytest.raises(SourceError, match="out: none of the 3 photos can be used"):
        compared(before, after)


class Backwards(InProcess):
    """An engine whose last task is done first."""

    def run(self, work, job, tasks):
        yield from reversed(list(super().run(work, job, tasks)))


def test_pairs_stand_in_the_order_of_the_references(tmp_path):
    names = [f"{number:02d}.png" for number in range(9)]
    before = save(tmp_path / "in", names)
    one, _ = compared(before, before, Backwards())
    assert [pair.key for pair in one.pairs] == [name[:-4] for name in names]


@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_workers_gives_the_same(tmp_path, workers):
    names = [f"{number:02d}.png" for number in range(14)]
    before = save(tmp_path / "in", names)
    after = save(tmp_path / "out", names, lambda pixels: (pixels * [0.9, 1, 0.8]).astype(np.uint8))
    here, there = (compared(before, after, engine)[0] for engine in (None, LocalEngine(workers)))
    assert set_json(here) == set_json(there)
    assert here.change == there.change
    blocks = [np.concatenate([pair.blocks for pair in one.pairs]) for one in (here, there)]
    assert blocks[0].tobytes() == blocks[1].tobytes()


@pytest.mark.parametrize(("fitted", "kept"), [(6 * 50 + 5, 50), (10, 4)])
def test_large_sets_keep_few_blocks_a_pair(tmp_path, monkeypatch, fitted, kept):
    """As many blocks as an explanation uses in total, but no fewer than 4."""
    monkeypatch.setattr("lutkit.comparison.run.MAX_FITTED", fitted)
    before = save(tmp_path / "in", [f"{number:02d}.png" for number in range(6)])
    one, _ = compared(before, before)
    assert [len(pair.blocks) for pair in one.pairs] == [kept] * 6


def test_small_sets_keep_256_blocks_a_pair(tmp_path):
    before = save(tmp_path / "in", ["a.png", "b.png"], size=(200, 160))
    one, _ = compared(before, before)
    assert [len(pair.blocks) for pair in one.pairs] == [256, 256]


class Watched(InProcess):
    """An engine that counts the sums of pairs that are still kept."""

    alive = most = 0

    def run(self, work, job, tasks):
        for part in super().run(work, job, tasks):
            for sums in part.sums:
                Watched.alive += 1
                weakref.finalize(sums, self.gone)
            Watched.most = max(Watched.most, Watched.alive)
            yield part
            del part, sums

    @staticmethod
    def gone():
        Watched.alive -= 1


def test_sums_of_pairs_are_kept_no_longer_than_needed(tmp_path):
    before = save(tmp_path / "in", [f"{number:02d}.png" for number in range(24)], size=(24, 16))
    one, _ = compared(before, before, Watched())
    assert len(one.pairs) == 24
    assert 4 <= Watched.most <= 8  # a task has 4


def test_outputs_are_not_looked_at_by_themselves(tmp_path, monkeypatch):
    seen = []

    def watched(image):
        seen.append(image.mean())
        return own_artefacts(image)

    monkeypatch.setattr("lutkit.comparison.run.own_artefacts", watched)
    names = ["a.png", "b.png"]
    before = save(tmp_path / "in", names)
    after = save(tmp_path / "out", names, lambda pixels: (pixels * 0.5).astype(np.uint8))
    compared(before, after)
    assert seen == [textured(number, 72, 64).mean() for number in (0, 1)]


def test_a_training_set_is_looked_at_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr("lutkit.comparison.run.TRAIN_PHOTOS", 5)
    names = [f"{number:02d}.png" for number in range(12)]
    photos = list_photos(str(save(tmp_path / "train", names)))
    train = looked_at(photos)
    assert train.photos == len(train.images) == 5
    for name in names[4:]:
        (tmp_path / "train" / name).write_bytes(b"text")
    photos = list_photos(str(tmp_path / "train"))
    some = looked_at(photos)
    assert [reject.path for reject in some.rejects] == ["04.png", "07.png", "09.png"]  # from all over
    assert some.photos == len(some.images) == 2
    assert train.means[3] > 5
    for name in names:
        (tmp_path / "train" / name).write_bytes(b"text")
    with pytest.raises(SourceError, match="train: none of the 5 photos can be used"):
        looked_at(list_photos(str(tmp_path / "train")))


def test_references_and_outputs_keep_their_sides(tmp_path):
    noise = np.random.default_rng(0).normal(0, 9, (128, 144, 3))
    before = save(tmp_path / "in", ["a.png", "b.png"], size=(144, 128))
    after = save(
        tmp_path / "out", ["a.png", "b.png"],
        lambda pixels: np.clip(0.7 * pixels + noise, 0, 255).astype(np.uint8), (144, 128),
    )  # fmt: skip
    one, _ = compared(before, after)
    assert one.change.mean_after[0] < one.change.mean_before[0] - 5
    assert one.explanation.lightness < -5
    assert all(pair.found[Noise].codes.min() > 5 > pair.before[Noise].codes.max() for pair in one.pairs)
    assert [pair.delta_e > 5 for pair in one.pairs] == [True, True]
    assert np.mean([pair.delta_e for pair in one.pairs]) == pytest.approx(one.change.delta_e[0])
    assert min(pair.likeness for pair in one.pairs) > 0.5
    other, _ = compared(before, save(tmp_path / "other", ["b.png", "a.png"], size=(144, 128)))
    assert max(pair.likeness for pair in other.pairs) < 0.3
    train = looked_at(list_photos(str(before)))
    assert [image[Noise].codes.tolist() for image in train.images] == [
        pair.before[Noise].codes.tolist() for pair in one.pairs
    ]
