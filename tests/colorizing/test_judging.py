"""A judge scores versions of photographs, with intervals; where they overlap, nothing is concluded."""

import weakref

import numpy as np
import pytest
import torch
from PIL import Image
from small_colorizers import landscape, painter

import lutkit
from lutkit.colorizing.judging import ORIGINAL, judge_square, judge_versions, judgement_of, require_judge
from lutkit.colorizing.loading import TrainedColorizer
from lutkit.errors import LutkitError


def sees_hues(images):
    """Two classes, bluish and reddish: surer, the more chroma there is."""
    balance = 12 * (images[:, 2] - images[:, 0]).mean((1, 2))
    return torch.stack([balance, -balance], 1).softmax(1)


def pictures(blue, count=12, seed=0):
    rng = np.random.default_rng(seed)
    found = np.full((count, 224, 224, 3), 0.5, np.float32)
    found[..., 2] += blue + 0.05 * rng.standard_normal((count, 1, 1)).astype(np.float32)
    return list(found)


def test_scores_are_the_chances_of_what_the_judge_sees_in_the_photo():
    versions = {ORIGINAL: pictures(0.2), "coloured": pictures(0.19, seed=1), "grey": pictures(0.0, seed=2)}
    photos = list(zip(*versions.values(), strict=True))
    found = judgement_of(list(versions), [judge_versions(sees_hues, one) for one in photos])
    for one in found.versions:
        chances = sees_hues(torch.from_numpy(np.stack(versions[one.version])).permute(0, 3, 1, 2))[:, 0]
        assert one.score == pytest.approx(float(chances.mean()), abs=1e-4)
        spread = 1.96 * float(chances.std()) / np.sqrt(12)
        assert one.high - one.low == pytest.approx(2 * spread, rel=0.35)
        assert one.low < one.score < one.high
    assert found.verdicts == (
        "the photo itself and coloured: inconclusive, their intervals overlap",
        "the photo itself scores above grey",
        "coloured scores above grey",
    )


def test_photos_with_colours_are_judged_and_grey_ones_are_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for number in range(6):
        Image.fromarray(landscape(number)).save(f"in/{number}.png")
    Image.fromarray(landscape(9)).convert("L").save("in/grey.png")
    (tmp_path / "my_judge.py").write_text(
        "import torch\n"
        "def sees_green(images):\n"
        "    green = 20 * (images[:, 1] - images[:, 0]).mean((1, 2))\n"
        "    return torch.stack([green, -green], 1).softmax(1)\n"
    )
    model = TrainedColorizer(painter(), 64, 0.2)
    found = lutkit.colorize_photos("in", "out", model=model, judge="my_judge:sees_green").judgement
    assert found.photos == 6
    assert [one.version for one in found.versions] == [ORIGINAL, "T = 0.2", "T -> 0", "grey"]
    assert found.versions[-1].score == pytest.approx(0.5, abs=0.01)
    assert "T = 0.2 scores above grey" in found.verdicts
    again = lutkit.colorize_photos("in", "vivid", model=model, temperature=0, judge="my_judge:sees_green")
    assert [one.version for one in again.judgement.versions] == [ORIGINAL, "T -> 0", "grey"]


def test_a_judge_sees_the_central_square():
    picture = np.zeros((100, 300, 3), np.float32)
    picture[:, 100:200, 1] = 1
    square = judge_square(picture)
    assert square.shape == (224, 224, 3)
    assert square[:, 5:-5, 1].min() == 1
    assert square[..., 0].max() == 0


@pytest.mark.parametrize(
    ("judge", "message"),
    [
        (lambda images: images.mean((1, 2, 3)), "the judge returns 2 for 2 images; a judge takes images"),
        (
            lambda images: 3 * sees_hues(images),
            "the judge returns no probabilities: rows sum to 3..3; end it",
        ),
        (lambda images: sees_hues(images) - 0.5, "the judge returns no probabilities"),
        (lambda images: 1 / 0, "the judge fails: division by zero"),
        (lambda images: None, "the judge fails"),
    ],
)
def test_a_judge_that_is_none_is_one_line_before_anything_is_written(judge, message, tmp_path):
    with pytest.raises(LutkitError) as caught:
        require_judge(judge)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    Image.fromarray(landscape(0)).save(tmp_path / "photo.png")
    with pytest.raises(LutkitError) as again:
        lutkit.colorize_photos(
            tmp_path / "photo.png", tmp_path / "out", model=TrainedColorizer(painter(), 64, 0.2), judge=judge
        )
    assert str(again.value) == str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_judge_that_fails_later_stops_the_run_and_names_the_photo(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(8):
        Image.fromarray(landscape(number)).save(tmp_path / f"in/{number}.png")
    seen = []

    def fails_on_the_third(images):
        seen.append(len(images))
        return sees_hues(images) if len(seen) < 4 else None  # the first time, it is tried

    with pytest.raises(LutkitError, match=r"in/2\.png: the judge fails: .*; a judge takes images"):
        lutkit.colorize_photos(
            tmp_path / "in", tmp_path / "out", model=TrainedColorizer(painter(), 64, 0.2),
            judge=fails_on_the_third, workers=1,
        )  # fmt: skip
    assert 4 <= len(seen) < 7  # a photo may have begun when the run stops
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_judge_s_pictures_are_not_kept(tmp_path):
    """A photo's four pictures have 2.4 MB; scores are a few numbers."""
    (tmp_path / "in").mkdir()
    for number in range(12):
        Image.fromarray(landscape(number)).save(tmp_path / f"in/{number}.png")
    alive = []

    def counts(images):
        alive.append(weakref.ref(images))
        assert sum(one() is not None for one in alive) <= 2
        return sees_hues(images)

    lutkit.colorize_photos(
        tmp_path / "in", tmp_path / "out", model=TrainedColorizer(painter(), 64, 0.2), judge=counts, workers=1
    )
    assert len(alive) == 13


@pytest.mark.parametrize("name", ["nothing", "json:nothing", ":f", "no_such_module_here:f"])
def test_a_judge_that_cannot_be_imported_is_refused_before_anything_is_written(name, tmp_path):
    Image.fromarray(landscape(0)).save(tmp_path / "photo.png")
    with pytest.raises(LutkitError, match="name it `module:function`"):
        lutkit.colorize_photos(
            tmp_path / "photo.png", tmp_path / "out", model=TrainedColorizer(painter(), 64, 0.2), judge=name
        )
    assert not (tmp_path / "out").exists()
