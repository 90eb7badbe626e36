"""`lutkit stats`: tables, JSON, pictures, and mistakes in one line."""

import io
import json
import shutil
import tarfile

import numpy as np
import pytest
import skimage.color
from PIL import Image
from small_datasets import assert_one_line, manifest_of, samples_of

from lutkit.synthesis.build import plan_synth
from lutkit.synthesis.summary import source_lines


def size_of(path):
    with Image.open(path) as image:
        return image.size


def test_stats_are_those_of_numpy(lutkit_, photos, tmp_path):
    done = lutkit_("stats", photos, "--json", "--plot", tmp_path / "s.png")
    found = json.loads(done.out)
    images = [np.asarray(Image.open(p).convert("RGB")) for p in photos.rglob("*.*")]
    pixels = np.concatenate([image.reshape(-1, 3) for image in images])
    assert found["photos"] == 30
    assert found["pixels"] == len(pixels)
    assert found["mean"] == pytest.approx((pixels / 255).mean(axis=0), abs=1e-5)
    assert found["std"] == pytest.approx((pixels / 255).std(axis=0), abs=1e-5)
    assert found["distinct_colors"] == len(np.unique(pixels, axis=0))
    middle = [found["channels"][name]["percentiles"]["50"] for name in ("red", "green", "blue")]
    expected = np.percentile(pixels, 50, axis=0, method="inverted_cdf") / 255
    assert middle == pytest.approx(expected, abs=1e-5)
    lab = skimage.color.rgb2lab(pixels / 255)
    means = lab.mean(axis=0)
    assert [found["lightness"]["mean"], found["cast"]["a"], found["cast"]["b"]] == pytest.approx(
        means, abs=0.01
    )
    assert abs(means[1] - means[2]) > 0.1
    hsv = skimage.color.rgb2hsv(pixels[None] / 255)[0, :, 1]
    assert found["saturation"]["percentiles"]["95"] == pytest.approx(np.percentile(hsv, 95), abs=0.01)
    for number, name in enumerate(("red", "green", "blue")):
        ends = [(pixels[:, number] == end).mean() for end in (0, 255)]
        assert [found["channels"][name][key] for key in ("at_0", "at_255")] == pytest.approx(ends)
    assert found["clipped"] == {
        "at_0": pytest.approx((pixels == 0).any(axis=1).mean()),
        "at_255": pytest.approx((pixels == 255).any(axis=1).mean()),
    }
    assert size_of(tmp_path / "s.png") == (1400, 900)
    assert "Picture" not in done.out


@pytest.fixture
def half_built(jpeg_700, tmp_path):
    """A dataset of 700 pairs after a kill, with only its first two shards."""
    folder = shutil.copytree(jpeg_700, tmp_path / "half")
    document = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**document, "complete": False}))
    kept = sorted((folder / "shards").iterdir())
    for path in kept[2:]:
        path.unlink()
    count = sum(entry["nsamples"] for entry in document["shardlist"] if folder / entry["url"] in kept[:2])
    return folder, count


def test_a_half_built_dataset_is_said_to_be_one(lutkit_, half_built, jpeg_700, photos, tmp_path):
    folder, count = half_built
    said = f"lutkit: {folder}: this dataset is not finished: {count} of 700 samples are used; run the same"
    calls = (
        ("stats", folder, "--json"),
        ("ab-hist", folder, "-o", tmp_path / "c.npz", "--quiet"),
        ("compare", folder, folder, "--set-field", "input", "--json"),
        ("compare", photos, photos, "--train", folder, "--json"),
    )
    for call in calls:
        done = lutkit_(*call)
        assert said in done.err, call
        assert not any(
            "not finished" in line for line in lutkit_("stats", jpeg_700, "--json").err.splitlines()
        )
    assert json.loads(lutkit_("stats", folder, "--json").out)["photos"] == count
    plan = plan_synth(manifest_of(folder, n=3))
    assert said.removeprefix("lutkit: ") in " ".join(source_lines(plan))


@pytest.mark.parametrize(
    ("color", "leaning"),
    [
        ((200, 90, 80), "red and yellow"),
        ((80, 150, 90), "green and yellow"),
        ((60, 70, 200), "blue and red"),
        ((40, 255, 0), "green and yellow"),
    ],
)
def test_the_mean_leans(lutkit_, tmp_path, color, leaning):
    Image.new("RGB", (9, 9), color).save(tmp_path / "c.png")
    done = lutkit_("stats", tmp_path / "c.png")
    assert f"the mean leans to {leaning}" in done.out
    clipped = json.loads(lutkit_("stats", tmp_path / "c.png", "--json").out)["clipped"]
    assert clipped == {"at_0": float(0 in color), "at_255": float(255 in color)}


def test_stats_of_grey_photos(lutkit_, tmp_path):
    Image.fromarray(np.full((9, 9), 100, np.uint8)).save(tmp_path / "grey.png")
    done = lutkit_("stats", tmp_path / "grey.png", "--plot", tmp_path / "s.png")
    assert done.code == 0, done.err
    assert "the mean is neutral" in done.out
    assert done.out.endswith(f"Picture: {tmp_path / 's.png'}\n")
    assert "Picture" not in lutkit_("stats", tmp_path / "grey.png").out
    assert "nan" not in done.out.lower()


def test_the_picture_is_of_the_source(lutkit_, photos, tmp_path, monkeypatch):
    titles = []
    monkeypatch.setattr("lutkit.statistics.stats_picture.add_title", lambda figure, text: titles.append(text))
    lutkit_("stats", photos, "--plot", tmp_path / "s.png")
    assert titles == [str(photos)]


def test_latents_are_said_to_be_no_photos(lutkit_, tmp_path):
    with tarfile.open(tmp_path / "latents.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("train-000000000.target.npy"))
    done = lutkit_("stats", tmp_path / "latents.tar")
    assert_one_line(
        done.err,
        "these tars hold latents (.target.npy), not photos; name the photos that they were encoded from",
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["stats", "absent"], "absent: no such file or folder"),
        (["stats", "{photos}", "{photos}"], "2 names where one source is expected"),
        (["stats", "{photos}", "--plot", "{there}"], "exists already; give --overwrite"),
        (["stats", "{empty}"], "no photos found"),
    ],
)
def test_mistakes_are_one_line(lutkit_, photos, tmp_path, arguments, said):
    (tmp_path / "empty").mkdir()
    (tmp_path / "there.png").write_bytes(b"")
    places = {"photos": photos, "empty": tmp_path / "empty", "there": tmp_path / "there.png"}
    done = lutkit_(*(argument.format(**places) for argument in arguments))
    assert done.code == 2
    assert_one_line(done.err, said)


def test_some_samples_of_a_dataset(lutkit_, many_kinds, tmp_path, monkeypatch):
    titles = []
    monkeypatch.setattr("lutkit.statistics.stats_picture.add_title", lambda figure, text: titles.append(text))
    asked = ["--split", "train", "--kind", "distort", "--label", "lossy"]
    pixels = [
        np.asarray(Image.open(io.BytesIO(members["target.png"]))).reshape(-1, 3)
        for _, members, data in samples_of(many_kinds)
        if (data["split"], data["kind"], data["label"]) == ("train", "distort", "lossy")
    ]
    assert 0 < len(pixels) < 30
    found = json.loads(lutkit_("stats", many_kinds, *asked, "--json").out)
    assert found["photos"] == len(pixels)
    assert found["mean"] == pytest.approx((np.concatenate(pixels) / 255).mean(axis=0), abs=1e-5)
    title = f"{many_kinds}, split train, kind distort, label lossy"
    said = lutkit_("stats", many_kinds, *asked, "--plot", tmp_path / "s.png").out
    assert f"{title}: {len(pixels)} photos" in " ".join(said.split())
    assert titles == [title]


@pytest.mark.parametrize(
    ("source", "asked", "said"),
    [
        ("photos", ["--kind", "distort"], "no sample has a kind; leave out --kind, or name the dataset's"),
        ("many_kinds", ["--split", "dev"], "no split 'dev'; there are: train, val"),
        ("many_kinds", ["--kind", "distortion"], "no sample of kind distortion; there are: distort ("),
        ("many_kinds", ["--label", "bad"], "no sample of label bad; there are: lossy ("),
    ],
)
def test_a_filter_that_takes_nothing_is_one_line(lutkit_, request, source, asked, said):
    done = lutkit_("stats", request.getfixturevalue(source), *asked)
    assert done.code == 2
    assert_one_line(done.err, said)
