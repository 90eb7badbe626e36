"""Balancing: known maps on images and photos of every depth, passes, strength, places, and exported LUTs."""

import json
import shutil
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from small_datasets import textured
from small_models import config_of, gain_model, known_model, sensitive_model

import lutkit
from lutkit.balancing.balance import balance, find_balance, image_difference
from lutkit.balancing.color_map import AdaptiveBalancer, FoundMaps
from lutkit.balancing.models import load_model
from lutkit.errors import ArrayError, LutkitError, SourceError
from lutkit.lut.grid import LutGrid, map_by_place
from lutkit.lut.model import Lut3D
from lutkit.training.model_folder import save_model

GAIN = np.array([0.7, 1.0, 0.9])
MEAN = np.array([0.35, 0.5, 0.6])
IMAGE = textured(4, 90, 60)


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "gain"
    folder.mkdir()
    save_model(gain_model(), folder, config_of(0), "# A card\n")
    return folder


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_every_depth_gets_the_predicted_map_and_keeps_alpha(dtype, white):
    image = (IMAGE / 255 * white).astype(dtype)
    image = np.dstack([image, np.full(image.shape[:2], white // 3, dtype)])
    found = balance(image, gain_model())
    assert (found.dtype, found.shape) == (image.dtype, image.shape)
    assert np.array_equal(found[..., 3], image[..., 3])
    np.testing.assert_allclose(found[..., :3] / white, image[..., :3] / white * GAIN, atol=0.6 / 255)


def test_strength_blends():
    for strength in (1.0, 0.25, 0.0):
        found = balance(IMAGE, gain_model(), strength=strength) / 255
        np.testing.assert_allclose(found, IMAGE / 255 * (1 + strength * (GAIN - 1)), atol=0.6 / 255)


class _TowardsAMean:
    """Brings the mean of an image most of the way to a colour: a pass changes a third of the one before."""

    def color_maps(self, image, windows, size):
        means = [window.of(image).mean((0, 1)) for window in windows]
        tables = [Lut3D.identity(size).table + (0.66 * (MEAN - mean)).astype(np.float32) for mean in means]
        return FoundMaps(tuple(map(Lut3D, tables)), None)


def test_each_pass_looks_at_the_result_of_the_one_before():
    model = _TowardsAMean()
    seen = (IMAGE / 255).astype(np.float32)
    found = find_balance(seen, model, passes=3, strength=1, local=False)
    now = seen
    for move in found.moves:
        alone = find_balance(now, model, passes=1, strength=1, local=False)
        assert alone.moves[0] == pytest.approx(move, rel=0.02)
        now = lutkit.apply(now, alone.lut)
    assert abs(lutkit.apply(seen, found.lut) - now).mean() < 0.002
    assert found.moves[0] > 1


@pytest.mark.parametrize("model", [gain_model(), sensitive_model()], ids=["gain", "sensitive"])
@pytest.mark.parametrize("local", [False, True])
def test_a_pass_changes_at_most_half_as_much_as_the_one_before(model, local):
    seen = (IMAGE / 255).astype(np.float32)
    found = find_balance(seen, AdaptiveBalancer(model), passes=4, strength=1, local=local)
    for before, after in pairwise(found.moves):
        assert after < 0.56 * before  # the difference of colours is not quite linear
    if not local:
        once = find_balance(seen, AdaptiveBalancer(model), passes=1, strength=1, local=False)
        assert image_difference(lutkit.apply(seen, found.lut), lutkit.apply(seen, once.lut)) <= sum(
            found.moves[1:]
        )


def test_parts_get_their_own_maps_and_a_map_for_all_is_even():
    seen = np.zeros((90, 160, 3), np.float32)
    seen[:, :80], seen[:, 80:] = (0.7, 0.4, 0.2), (0.2, 0.4, 0.7)
    even = find_balance(seen, AdaptiveBalancer(gain_model()), passes=2, strength=1, local=True)
    assert even.unevenness < 0.05
    assert [len(row) for row in even.lut.rows] == [4, 4]
    model = sensitive_model()
    found = find_balance(seen, AdaptiveBalancer(model), passes=1, strength=1, local=True)
    assert isinstance(found.lut, LutGrid)
    assert found.unevenness > 0.2
    # The outer windows see one colour only; so does an image of that colour.
    for columns, color in ((0, (0.7, 0.4, 0.2)), (3, (0.2, 0.4, 0.7))):
        alone = np.broadcast_to(np.array(color, np.float32), (64, 64, 3)).copy()
        (expected,) = model(torch.from_numpy(alone).permute(2, 0, 1)[None]).luts(17)
        np.testing.assert_allclose(found.lut.rows[0][columns].table, expected.table, atol=1e-4)


def test_large_and_small_versions_of_an_image_are_balanced_alike():
    model = sensitive_model()
    small = IMAGE
    large = np.asarray(Image.fromarray(small).resize((1440, 960), Image.Resampling.BICUBIC))
    shrunk = np.asarray(Image.fromarray(balance(large, model)).resize((90, 60), Image.Resampling.BOX))
    assert abs(shrunk.astype(float) - balance(small, model)).mean() < 2


def test_the_moves_of_local_corrections_are_those_of_their_own_result():
    """Two halves of an image under two lights: parts of it are corrected further than by one LUT."""
    half = IMAGE.shape[1] // 2
    warm = (IMAGE[:, :half] * [1.0, 0.8, 0.6]).astype(np.uint8)
    cold = (IMAGE[:, half:] * [0.6, 0.8, 1.0]).astype(np.uint8)
    seen = (np.hstack([warm, cold]) / 255).astype(np.float32)
    balancer = AdaptiveBalancer(sensitive_model())
    before = seen
    found = find_balance(seen, balancer, passes=2, strength=1, local=True)
    for passes, move in enumerate(found.moves, 1):
        lut = find_balance(seen, balancer, passes=passes, strength=1, local=True).lut
        after = map_by_place(seen, lut, top=0, height=len(seen))
        assert move == pytest.approx(image_difference(before, after), abs=1e-6)
        before = after
    assert found.moves[0] != pytest.approx(
        find_balance(seen, balancer, passes=1, strength=1, local=False).moves[0], rel=1e-3
    )


def test_an_image_without_colour_is_left_as_it_is():
    grey = np.repeat(IMAGE[..., :1], 3, axis=2)
    assert np.array_equal(balance(grey, gain_model()), grey)


def test_floats_above_white_are_clamped_only_where_something_is_changed():
    grey = np.full((5, 6, 3), 3, np.float32)
    grey[2] = 0.2
    assert np.array_equal(balance(grey, gain_model()), grey)
    bright = np.full((5, 6, 3), (2.5, 0.4, 0.1), np.float32)
    assert np.array_equal(balance(bright, gain_model(), strength=0), bright)
    assert balance(bright, gain_model()).max() <= 1


def test_a_network_of_the_caller_stays_as_it_is():
    model = gain_model().train()
    balance(IMAGE, model)
    assert model.training


def test_images_and_options_that_cannot_be_are_refused():
    with pytest.raises(ArrayError, match="expected an array, not list"):
        balance(IMAGE.tolist(), gain_model())
    with pytest.raises(ArrayError, match=r"0\.\.255"):
        balance(IMAGE.astype(np.float32), gain_model())
    with pytest.raises(LutkitError, match=r"^passes is 0"):
        balance(IMAGE, "no model", passes=0)
    with pytest.raises(LutkitError, match=r"^passes is '2'"):
        balance(IMAGE, gain_model(), passes="2")
    with pytest.raises(LutkitError, match=r"^strength is None"):
        balance(IMAGE, gain_model(), strength=None)
    with pytest.raises(LutkitError, match="model is a dict; give its folder"):
        balance(IMAGE, {})
    for image in (IMAGE[..., :2], IMAGE[0], IMAGE.astype(np.float64), IMAGE[:0]):
        with pytest.raises(ArrayError, match="expected"):
            balance(image, gain_model())
    holed = (IMAGE / 255).astype(np.float32)
    holed[3, 4] = np.nan
    with pytest.raises(ArrayError, match="NaN"):
        balance(holed, gain_model())
    with pytest.raises(LutkitError, match=r"^strength is 1\.5; choose from 0 to 1"):
        balance(IMAGE, gain_model(), strength=1.5)


# Photos, and the LUTs that are exported.


def test_an_exported_lut_does_the_same_in_another_program(model_folder, tmp_path):
    ocio = pytest.importorskip("PyOpenColorIO")
    Image.fromarray(IMAGE).save(tmp_path / "a.png")
    done = lutkit.balance_photos(
        tmp_path / "a.png", tmp_path / "b.png", model=model_folder, passes=3, export=tmp_path / "look.cube"
    )
    (moves,) = (photo.moves for photo in done.photos)
    file = ocio.FileTransform(str(tmp_path / "look.cube"), interpolation=ocio.INTERP_TETRAHEDRAL)
    processor = ocio.Config.CreateRaw().getProcessor(file).getDefaultCPUProcessor()
    values = np.ascontiguousarray(IMAGE / 255, np.float32)
    processor.applyRGB(values)
    written = np.asarray(Image.open(tmp_path / "b.png"))
    assert abs(255 * values - written).max() <= 1
    assert len(moves) == 3
    assert image_difference(*((np.float32(each) / 255) for each in (IMAGE, written))) > 1.2 * moves[0]


def test_several_photos_have_their_own_luts_and_one_that_fails_is_named(model_folder, tmp_path):
    (tmp_path / "in/sub").mkdir(parents=True)
    for name in ("a.png", "sub/a.png"):
        Image.fromarray(IMAGE).save(tmp_path / "in" / name)
    (tmp_path / "in/bad.png").write_bytes(b"no photo")
    errors = []
    found = lutkit.balance_photos(
        tmp_path / "in", tmp_path / "out", model=model_folder, export=tmp_path / "look.cube",
        on_error=errors.append,
    )  # fmt: skip
    assert (found.written, found.kept, found.failed) == (2, 0, 1)
    assert [error.where for error in errors] == [str(tmp_path / "in/bad.png")]
    assert sorted(path.name for path in tmp_path.glob("*.cube")) == ["look-a.cube", "look-sub-a.cube"]
    written = [photo for photo in found.photos if photo.status == "written"]
    assert [len(photo.moves) for photo in written] == [1, 1]
    again = lutkit.balance_photos(tmp_path / "in", tmp_path / "out", model=model_folder)
    assert (again.written, again.kept, again.failed) == (0, 2, 1)
    json.dumps(again.to_dict())


def test_what_an_adaptive_lut_does_not_take_is_refused(model_folder, tmp_path):
    Image.fromarray(IMAGE).save(tmp_path / "a.png")
    for options, message in (
        ({"vae": "owner/name"}, "gain: --vae with a model that needs no VAE; leave out --vae"),
        ({"fit": "mlp"}, "gain: --fit mlp with an adaptive LUT, which predicts its map itself; leave out"),
    ):
        with pytest.raises(LutkitError) as caught:
            lutkit.balance_photos(tmp_path / "a.png", tmp_path / "b.png", model=model_folder, **options)
        assert message in str(caught.value)
    with pytest.raises(LutkitError, match="--vae with a model that is loaded already"):
        lutkit.balance_photos(tmp_path / "a.png", tmp_path / "b.png", model=gain_model(), vae="owner/name")
    assert not (tmp_path / "b.png").exists()


def test_functions_that_are_no_commands_name_their_arguments(model_folder):
    for call, message in (
        (lambda: balance(IMAGE, model_folder, passes=0), "passes is 0; choose from 1 to 20"),
        (lambda: balance(IMAGE, model_folder, strength=2), "strength is 2; choose"),
        (lambda: balance(IMAGE, model_folder, vae="v"), "vae with a model that needs no VAE; leave out vae"),
        (lambda: lutkit.load_balancer(model_folder, fit="spline"), "fit is 'spline'; choose"),
    ):
        with pytest.raises(LutkitError) as caught:
            call()
        assert message in str(caught.value)
        assert "--" not in str(caught.value)


def test_a_lut_that_cannot_be_exported_is_refused_before_anything_is_done(model_folder, tmp_path):
    Image.fromarray(IMAGE).save(tmp_path / "a.png")
    for name in ("look.png", "look.spi1d", "look.txt"):
        with pytest.raises(LutkitError, match=name):
            lutkit.balance_photos(
                tmp_path / "a.png", tmp_path / "b.png", model=model_folder, export=tmp_path / name
            )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png"]


def test_the_lut_of_a_photo_that_is_kept_is_there_or_asked_for(model_folder, tmp_path):
    Image.fromarray(IMAGE).save(tmp_path / "a.png")
    options = {"model": model_folder, "export": tmp_path / "look.cube"}
    lutkit.balance_photos(tmp_path / "a.png", tmp_path / "b.png", model=model_folder)
    with pytest.raises(
        LutkitError, match=r"b\.png: exists already, but .*look\.cube does not; give --overwrite"
    ):
        lutkit.balance_photos(tmp_path / "a.png", tmp_path / "b.png", **options)
    lutkit.balance_photos(tmp_path / "a.png", tmp_path / "b.png", **options, overwrite=True)
    assert (tmp_path / "look.cube").is_file()
    assert lutkit.balance_photos(tmp_path / "a.png", tmp_path / "b.png", **options).kept == 1


def test_a_photo_without_colour_is_unchanged_and_has_a_lut_that_changes_nothing(model_folder, tmp_path):
    grey = np.repeat(IMAGE[..., :1], 3, axis=2)
    Image.fromarray(grey).save(tmp_path / "a.png")
    done = lutkit.balance_photos(
        tmp_path / "a.png", tmp_path / "b.png", model=model_folder, export=tmp_path / "look.3dl"
    )
    assert (done.photos[0].status, done.photos[0].moves) == ("written", ())
    assert np.array_equal(np.asarray(Image.open(tmp_path / "b.png")), grey)
    assert abs(lutkit.apply(IMAGE, tmp_path / "look.3dl").astype(int) - IMAGE).max() <= 1


def test_two_photos_for_one_lut_file_are_refused_before_anything_is_done(model_folder, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "a.tif"):
        Image.fromarray(IMAGE).save(tmp_path / "in" / name)
    with pytest.raises(LutkitError, match=r"look-a\.cube: would hold the LUTs of .*a.png and .*a.tif"):
        lutkit.balance_photos(
            tmp_path / "in", tmp_path / "out", model=model_folder, export=tmp_path / "look.cube"
        )
    assert not (tmp_path / "out").exists()


def test_local_corrections_have_no_lut_to_export(model_folder, tmp_path):
    Image.fromarray(IMAGE).save(tmp_path / "a.png")
    with pytest.raises(LutkitError, match="--export with --local; one LUT cannot differ"):
        lutkit.balance_photos(
            tmp_path / "a.png", tmp_path / "b.png", model=model_folder, export="look.cube", local=True
        )
    lutkit.balance_photos(tmp_path / "a.png", tmp_path / "b.png", model=model_folder, local=True)
    found = np.asarray(Image.open(tmp_path / "b.png")) / 255
    assert abs(found - IMAGE / 255 * GAIN).max() < 1.1 / 255


# Models as folders.


def test_a_model_is_read_as_it_was_written(tmp_path):
    model = known_model(cube=np.random.default_rng(1).normal(0, 0.1, (3, 3, 3, 3)), cube_size=3)
    config = {**config_of(3), "training": {"steps": 1}}
    save_model(model, tmp_path, config, "# A card\n")
    again = load_model(tmp_path)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    assert json.loads((tmp_path / "config.json").read_text())["training"] == {"steps": 1}


def spoil(folder, name, content):
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", None, "no model here: config.json missing; name the folder"),
        ("model.safetensors", None, "no model here: model.safetensors missing"),
        ("config.json", b"{", "config.json: not a model: "),
        ("config.json", b"[]", "config.json: not a model: the document is not an object"),
        (
            "config.json",
            b'{"architecture": "colorizer"}',
            "another kind, 'colorizer'; give it to `lutkit colorize`",
        ),
        ("config.json", b'{"architecture": "vae"}', "the architecture is 'vae', not one of adaptive-lut"),
        ("config.json", json.dumps(config_of(40)).encode(), "cube_size is 40"),
        ("config.json", json.dumps(config_of(0) | {"threshold": -1}).encode(), "threshold is -1.0"),
        ("config.json", json.dumps(config_of(0) | {"pooling": "max"}).encode(), "pooling is 'max'"),
        ("config.json", b'{"architecture": "adaptive-lut", "cube_size": 0}', "threshold"),
        ("config.json", json.dumps(config_of(4)).encode(), "the weights cannot be read"),
        ("model.safetensors", b"broken", "model.safetensors: the weights cannot be read"),
    ],
)
def test_a_folder_that_is_no_model_is_one_clear_line(name, content, message, model_folder, tmp_path):
    shutil.copytree(model_folder, tmp_path / "m")
    spoil(tmp_path / "m", name, content)
    with pytest.raises(SourceError) as caught:
        load_model(tmp_path / "m")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_of_another_size_say_which(model_folder, tmp_path):
    shutil.copytree(model_folder, tmp_path / "m")
    config = json.loads((tmp_path / "m/config.json").read_text())
    (tmp_path / "m/config.json").write_text(json.dumps(config | {"cube_size": 4}))
    with pytest.raises(SourceError, match=r"cannot be read: size mismatch for say\.2\.weight"):
        load_model(tmp_path / "m")


def test_a_model_that_the_mixin_wrote_is_read(tmp_path):
    sensitive_model().save_pretrained(tmp_path / "m")
    assert load_model(tmp_path / "m").cube_size == 3


def test_a_missing_file_in_a_folder_that_is_here_is_not_looked_for_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    with pytest.raises(SourceError, match="models/adaptive-lut: no such folder"):
        load_model("models/adaptive-lut")


def test_a_file_and_a_training_that_is_not_finished_are_told_as_such(tmp_path):
    (tmp_path / "x.cube").write_text("")
    with pytest.raises(SourceError, match=r"x\.cube: a file, not the folder of a model"):
        load_model(tmp_path / "x.cube")
    (tmp_path / "m/checkpoints").mkdir(parents=True)
    with pytest.raises(
        SourceError, match="m: the training is not finished; run the same `lutkit train` again"
    ):
        load_model(tmp_path / "m")


def test_a_folder_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(SourceError, match="no such folder; name the folder that `lutkit train` wrote"):
        load_model(tmp_path / "none")


def test_a_hub_that_cannot_be_reached_is_one_clear_line(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(LutkitError, match=r"the hub cannot be reached .*needed: config\.json of who/what"):
        load_model("who/what")


def test_identity_leaves_photos_as_they_are():
    assert np.array_equal(balance(IMAGE, known_model()), IMAGE)
    assert isinstance(
        find_balance(
            (IMAGE / 255).astype(np.float32),
            AdaptiveBalancer(known_model()),
            passes=1,
            strength=1,
            local=False,
        ).lut,
        Lut3D,
    )
