"""Counts are the same for any number of workers; with a size, the resized squares are counted."""

import numpy as np
import pytest
from PIL import Image, ImageOps
from small_datasets import make_photos, manifest_of

from lutkit.dataset.sample_filter import SampleFilter
from lutkit.engine.engine import InProcess, LocalEngine
from lutkit.engine.progress import unheard
from lutkit.engine.threads import Threads
from lutkit.errors import SourceError
from lutkit.measure.counts import count_into, empty_counts
from lutkit.photos.photo_list import PhotoList, PhotoRef
from lutkit.photos.sources import list_photos
from lutkit.statistics.count import count_photos, count_source
from lutkit.synthesis.sample import prepare_target


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = make_photos(tmp_path_factory.mktemp("counted") / "in")
    (folder / "bad.jpg").write_bytes(b"text")
    return folder


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def counted(source, size_px=None, engine=None):
    done = []
    totals, rejects = count_photos(list_photos(str(source)), size_px, engine or InProcess(), done.append)
    return totals, rejects, sum(part.photos for part in done)


def same(found, expected):
    np.testing.assert_array_equal(found.places, expected.places)
    np.testing.assert_array_equal(found.times, expected.times)


def test_every_pixel_is_counted_as_pillow_decodes_it(photos):
    expected = empty_counts()
    for path in files(photos):
        if path.name != "bad.jpg":
            count_into(np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB")), expected)
    totals, rejects, done = counted(photos)
    same(totals, expected.totals())
    assert [(reject.path, reject.reason) for reject in rejects] == [("bad.jpg", "not an image")]
    assert done == len(files(photos))


def test_what_cannot_be_used_is_named_by_path_whoever_comes_first(photos, tmp_path, monkeypatch):
    """Workers may end in any order; here the last worker ends first."""
    (tmp_path / "a.jpg").write_bytes(b"text")
    whole = files(photos)[-1]
    (tmp_path / "b.png").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    (tmp_path / "c.jpg").write_bytes(b"text")
    (tmp_path / f"d{whole.suffix}").write_bytes(whole.read_bytes())

    class Backwards(InProcess):
        def run(self, work, job, tasks, last=None):
            *results, totals = super().run(work, job, tasks, last)
            yield from (*results[::-1], totals)

    monkeypatch.setattr("lutkit.statistics.count._A_TASK", 1)
    _, rejects, _ = counted(tmp_path, engine=Backwards())
    assert [reject.path for reject in rejects] == ["a.jpg", "b.png", "c.jpg"]
    assert len({reject.reason for reject in rejects}) == 2


@pytest.mark.parametrize("engine", [*map(LocalEngine, (1, 2, 3)), *map(Threads, (1, 2, 5))], ids=str)
def test_any_number_of_workers_gives_the_same(photos, engine, monkeypatch):
    monkeypatch.setattr("lutkit.statistics.count._A_TASK", 4)
    there, rejects, done = counted(photos)
    totals, *others = counted(photos, engine=engine)
    same(totals, there)
    assert others == [rejects, done]


@pytest.mark.parametrize(
    ("workers", "photos", "expected"),
    [
        (1, 3, Threads(1)),
        (2, 9, Threads(2)),
        (9, 3, Threads(4)),
        (9, 9, LocalEngine(9)),
        (5, 4, LocalEngine(5)),
        (4, 9, Threads(4)),
    ],
)
def test_processes_are_for_many_photos_on_many_cores(workers, photos, expected, monkeypatch, tmp_path):
    """Starting processes takes as long as counting hundreds of photos."""
    asked = []

    def note(photos, size_px, engine, on_counted):
        asked.append(engine)
        return empty_counts().totals(), ()

    monkeypatch.setattr("lutkit.statistics.count._MANY", 4)
    monkeypatch.setattr("lutkit.statistics.count.count_photos", note)
    listed = PhotoList(tmp_path, tuple(PhotoRef(f"{i}.jpg", 1) for i in range(photos)))
    count_source(listed, None, workers, on_progress=unheard)
    assert asked == [expected]


def test_a_size_counts_what_synth_makes_targets_of(photos):
    expected = empty_counts()
    manifest = manifest_of(photos, size_px=48)
    for path in files(photos):
        if path.name != "bad.jpg":
            count_into(prepare_target(path.read_bytes(), path.name, manifest, 0).pixels, expected)
    same(counted(photos, 48)[0], expected.totals())


def test_nothing_usable_is_an_error(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"text")
    with pytest.raises(SourceError, match=r"/a\.jpg: cannot be used: not an image; use other photos"):
        counted(tmp_path)


def test_photos_of_24_megapixels_are_counted(tmp_path):
    large = np.broadcast_to(np.uint8([10, 200, 90]), (4000, 6000, 3))
    Image.fromarray(large).save(tmp_path / "large.jpg", quality=50)
    totals, rejects, _ = counted(tmp_path)
    assert not rejects
    assert totals.times.sum() == 24_000_000


@pytest.mark.parametrize("field", ["split", "kind", "label"])
def test_filtered_parts_of_a_dataset_add_up_to_all_of_it(many_kinds, field):
    values = {"split": ("train", "val"), "kind": ("distort", "enhance"), "label": ("lossy", "recoverable")}
    parts = [
        count_photos(
            list_photos(str(many_kinds), samples=SampleFilter(**{field: value})),
            None,
            InProcess(),
            lambda _: None,
        )[0]
        for value in values[field]
    ]
    whole, _, photos = counted(many_kinds)
    assert photos == 60
    assert 0 < parts[0].times.sum() < whole.times.sum()
    same(parts[0] + parts[1], whole)
