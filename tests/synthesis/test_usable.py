"""Splits whose photographs are all bad give their samples away; random crops of large JPEGs stay sharp."""

import numpy as np
import pytest
from PIL import Image
from small_datasets import build, make_photos, manifest_of, samples_of, textured

from lutkit.errors import SourceError
from lutkit.synthesis.build import plan_synth
from lutkit.synthesis.plan import split_photos
from lutkit.synthesis.sample import prepare_target


@pytest.fixture
def bad_val(tmp_path):
    """Thirty photos, those of `val` broken, and what their paths are."""
    photos = make_photos(tmp_path / "in")
    paths = plan_synth(manifest_of(photos)).photos.photos
    members = split_photos(0, tuple(ref.path for ref in paths), manifest_of(photos).splits)
    broken = [paths[number].path for number in members["val"]]
    for path in broken:
        (photos / path).write_bytes(b"no image, whatever the name says")
    return photos, broken


def test_a_split_of_bad_photos_does_not_stop_the_run(bad_val, tmp_path):
    photos, broken = bad_val
    result = build(manifest_of(photos, n=100), tmp_path / "out")
    samples = samples_of(tmp_path / "out")
    assert len(samples) == 100
    assert {metadata["split"] for _, _, metadata in samples} == {"train", "test"}
    assert sorted(reject.path for reject in result.rejects) == sorted(broken)
    assert {reject.reason for reject in result.rejects} == {"not an image"}


def test_a_split_with_one_good_photo_stays(bad_val, tmp_path):
    photos, broken = bad_val
    Image.fromarray(textured(99, 120, 100)).save(photos / broken[-1], format="PNG")
    build(manifest_of(photos, n=100), tmp_path / "out")
    used = {metadata["source"]["path"] for _, _, metadata in samples_of(tmp_path / "out")
            if metadata["split"] == "val"}  # fmt: skip
    assert used == {broken[-1]}


def test_no_usable_photo_at_all_stops_before_anything_is_written(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(25):
        (tmp_path / f"in/{number}.jpg").write_bytes(b"text")
    with pytest.raises(SourceError, match="none of the 25 photographs can be used: 25 x not an image"):
        plan_synth(manifest_of(tmp_path / "in"))


def test_a_random_crop_of_a_large_jpeg_is_as_sharp_as_pillow_makes_it(tmp_path):
    rng = np.random.default_rng(3)
    fine = np.asarray(Image.fromarray(rng.integers(0, 256, (256, 384, 3), dtype=np.uint8)).resize((768, 512)))
    path = tmp_path / "fine.jpg"
    Image.fromarray(fine).save(path, quality=95, subsampling=0)
    manifest = manifest_of(tmp_path, size_px=256, crop="random")
    for number in range(6):
        target = prepare_target(path.read_bytes(), "fine.jpg", manifest, number)
        x, y, width, height = target.crop
        sharp = Image.open(path).resize((256, 256), Image.Resampling.BICUBIC, (x, y, x + width, y + height))
        wanted = np.abs(np.diff(np.asarray(sharp).astype(float), axis=1)).mean()
        got = np.abs(np.diff(target.pixels.astype(float), axis=1)).mean()
        assert got == pytest.approx(wanted, rel=0.1)


def test_decoding_is_given_room_before_it_starts(tmp_path):
    path = tmp_path / "large.png"
    Image.fromarray(textured(5, 900, 700)).save(path)
    asked = []
    prepare_target(path.read_bytes(), "large.png", manifest_of(tmp_path), 0, asked.append)
    assert len(asked) == 1
    assert asked[0] >= 900 * 700 * 3
