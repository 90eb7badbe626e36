"""Decoded latents beside their photos: diffusers and scikit-image are the oracles."""

import dataclasses
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio
from small_datasets import assert_one_line, build, make_photos, manifest_of, run_lutkit, samples_of
from small_latents import ENCODING, make_latents, npy

from lutkit.errors import DatasetError, VaeError
from lutkit.latents import decode as module
from lutkit.latents import vae_files
from lutkit.latents.decode import decode_some, find_images, load_vae_of, open_latents
from lutkit.latents.encoded import decode_result
from lutkit.latents.sheet import difference_picture, draw_latent_sheet
from lutkit.latents.show import print_decoded
from lutkit.latents.vae_files import find_vae
from lutkit.synthesis.pairs import pairs

SIZE_PX, SIDE = 32, 16


def save_random_vae(folder, seed):
    torch.manual_seed(seed)
    model = AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
    )
    with torch.no_grad():  # biases begin at 0, and channels look alike
        for weights in model.parameters():
            weights.add_(0.05 * torch.randn_like(weights))
    model.eval().save_pretrained(folder)
    return model


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    # So small a network is faster alone.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """`pairs`, a VAE, and `latents` that diffusers made of them; the VAE as diffusers has it."""
    root = tmp_path_factory.mktemp("decode")
    build(manifest_of(make_photos(root / "photos", 6), n=9, size_px=SIZE_PX), root / "pairs")
    model = save_random_vae(root / "vae", 0)
    save_random_vae(root / "other", 1)
    stored = {data["key"]: (first, second) for first, second, data in pairs(root / "pairs")}
    carried = {key: members["json"] for key, members, _ in samples_of(root / "pairs")}

    def edit(key, _members):
        return [*((f"{f}.npy", npy(encoded(model, p))) for f, p in zip(FIELDS, stored[key], strict=True)),
                ("json", carried[key])]  # fmt: skip

    make_latents(
        root / "latents",
        {"train": [9]},
        edit=edit,
        vae=find_vae(str(root / "vae")).identity(),
        encoding=dataclasses.replace(ENCODING, latent_shape=(8, SIDE, SIDE)),
        source={"kind": "pairs", "seed": manifest_of(root).seed},
    )
    return root, model, stored


FIELDS = ("input", "target")


def encoded(model, picture):
    values = torch.tensor(picture).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        return model.encode(values).latent_dist.parameters[0].numpy()


def decoded(model, picture):
    mean = torch.from_numpy(encoded(model, picture)[:4])[None]
    with torch.no_grad():
        values = model.decode(mean).sample[0]
    return ((values + 1) / 2).clamp(0, 1).permute(1, 2, 0).numpy()


def opened(root, count, images=""):
    folder = root / "latents"
    index = open_latents(folder)
    vae = load_vae_of(index, str(root / "vae"), None, "cpu")
    return list(decode_some(folder, index, count, vae, find_images(folder, index, images)))


def test_decodings_are_those_of_diffusers_beside_their_photos(made):
    root, model, stored = made
    found = opened(root, 3)
    assert [(one.key, one.field) for one in found] == [
        (f"train-{i:09d}", field) for i in (0, 3, 6) for field in FIELDS
    ]
    for one in found:
        photo = stored[one.key][FIELDS.index(one.field)]
        np.testing.assert_array_equal(one.photo, photo)
        want = decoded(model, photo)
        assert np.abs(one.decoded - want * 255.0).max() < 0.51
        psnr = peak_signal_noise_ratio(photo / 255.0, want.astype(np.float64), data_range=1)
        assert one.fidelity.psnr == pytest.approx(psnr, abs=1e-3)


def test_the_range_that_was_fed_is_the_range_that_comes_out(made):
    root, _, _ = made
    index = open_latents(root / "latents")
    fed = dataclasses.replace(index.encoding, input_range="0,1")
    vae = load_vae_of(dataclasses.replace(index, encoding=fed), str(root / "vae"), None, "cpu")
    assert vae.input_range == "0,1"


def test_all_are_taken_where_there_are_fewer(made, tmp_path):
    index = open_latents(made[0] / "latents")
    first = index.shards["train-000000"]
    few = dataclasses.replace(index, shards={"train-000000": dataclasses.replace(first, samples=2)})
    vae = load_vae_of(index, str(made[0] / "vae"), None, "cpu")
    assert len(list(decode_some(made[0] / "latents", few, 100, vae, None))) == 4


def test_without_photos_only_decodings_are_shown(made, tmp_path):
    root, _, _ = made
    shutil.copytree(root / "latents", tmp_path / "latents")
    shutil.copytree(root / "vae", tmp_path / "vae")
    found = opened(tmp_path, 4)
    assert {(one.photo is None, one.fidelity) for one in found} == {(True, None)}
    beside = opened(tmp_path, 4, str(root / "pairs"))
    assert all(one.photo is not None for one in beside)
    alone, full = draw_latent_sheet(found, "alone"), draw_latent_sheet(beside, "beside")
    assert alone.shape[1] < full.shape[1]


def test_the_sheet_holds_photo_decoding_and_difference(made):
    found = opened(made[0], 2)
    sheet = draw_latent_sheet(found, "two of nine")
    one = found[3]
    shown = [one.photo, one.decoded, difference_picture(one.photo, one.decoded)]
    for pixels in shown:
        picture = np.asarray(Image.fromarray(pixels).resize((224, 224), Image.Resampling.LANCZOS))
        assert contains(sheet, picture)


def contains(sheet, picture):
    height, width = picture.shape[:2]
    corner = np.argwhere((sheet[: -height + 1, : -width + 1] == picture[0, 0]).all(-1))
    return any(np.array_equal(sheet[y : y + height, x : x + width], picture) for y, x in corner)


def test_differences_are_four_times_as_large_about_grey():
    photo = np.array([[[10, 100, 200], [0, 255, 50]]], np.uint8)
    there = np.array([[[11, 90, 200], [255, 0, 53]]], np.uint8)
    np.testing.assert_array_equal(difference_picture(photo, there), [[[132, 88, 128], [255, 0, 140]]])


def test_what_does_not_belong_together_is_refused(made, tmp_path):
    root, _, _ = made
    index = open_latents(root / "latents")
    with pytest.raises(DatasetError, match=r"made with the files 'vae', .*name them with --vae"):
        load_vae_of(index, "", None, "cpu")
    with pytest.raises(DatasetError, match=r"--vae other: weights of sha256 .* the latents were made with"):
        load_vae_of(index, str(root / "other"), None, "cpu")
    with pytest.raises(VaeError, match="no such folder"):
        load_vae_of(index, str(root / "nowhere"), None, "cpu")
    build(manifest_of(root / "photos", n=9, size_px=SIZE_PX, seed=99), tmp_path / "others")
    with pytest.raises(DatasetError, match=r"others: not the images that were encoded: .*99"):
        find_images(root / "latents", index, str(tmp_path / "others"))
    build(manifest_of(root / "photos", n=5, size_px=SIZE_PX), tmp_path / "few")
    with pytest.raises(DatasetError, match=r"--images: the images have no sample train-000000006 in shard"):
        opened(root, 3, str(tmp_path / "few"))
    build(manifest_of(root / "photos", n=9, size_px=48), tmp_path / "large")
    with pytest.raises(
        DatasetError, match=r"train-000000000: not the image that was encoded: its JSON differs"
    ):
        opened(root, 3, str(tmp_path / "large"))
    with pytest.raises(
        DatasetError, match=r"k\.image: the image has 48 x 48 px, but its latents decode to 32 x 32"
    ):
        module._compared("k", "image", np.zeros((3, 32, 32), np.float32), np.zeros((48, 48, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"nothing: no dataset.json here"):
        open_latents(tmp_path / "nothing")
    make_latents(tmp_path / "begun", {}, complete=False)
    with pytest.raises(DatasetError, match="begun: no finished shards"):
        open_latents(tmp_path / "begun")
    with pytest.raises(DatasetError, match="holds a dataset of images, not latents"):
        open_latents(root / "pairs")


def test_a_hub_name_is_never_taken_for_a_folder_here(made, tmp_path, monkeypatch):
    root, _, _ = made
    fetched = tmp_path / "models--some-one--vae/snapshots/abc123"
    shutil.copytree(root / "vae", fetched)
    monkeypatch.setattr(vae_files, "fetch", lambda name, file, revision: fetched / file)
    (tmp_path / "here").mkdir()
    shutil.copytree(root / "other", tmp_path / "here/some-one/vae")
    monkeypatch.chdir(tmp_path / "here")
    index = open_latents(root / "latents")
    index = dataclasses.replace(
        index, vae=dataclasses.replace(index.vae, name="some-one/vae", revision="abc123")
    )
    assert load_vae_of(index, "", None, "cpu").identity.sha256 == index.vae.sha256
    with pytest.raises(DatasetError, match="the latents were made with"):
        load_vae_of(index, "some-one/vae", None, "cpu")
    with pytest.raises(VaeError, match="--vae-config without --vae"):
        load_vae_of(index, "", root / "vae/config.json", "cpu")


def test_a_damaged_shard_is_not_decoded(made, tmp_path):
    root, _, _ = made
    shutil.copytree(root / "latents", tmp_path / "latents")
    shutil.copytree(root / "vae", tmp_path / "vae")
    shard = tmp_path / "latents/shards/train-000000.tar"
    data = bytearray(shard.read_bytes())
    data[2000] ^= 1  # a digit of a number
    shard.write_bytes(data)
    with pytest.raises(
        DatasetError, match=r"train-000000\.tar: its sha256 differs from the one in dataset.json"
    ):
        opened(tmp_path, 2)


def test_a_decoding_that_a_gpu_cannot_count_is_one_line(made, monkeypatch):
    root, _, _ = made
    index = open_latents(root / "latents")
    monkeypatch.setattr(module, "require_device", torch.device)
    monkeypatch.setattr(module, "load_vae", Mock(side_effect=AssertionError("it was loaded")))
    large = dataclasses.replace(index.encoding, latent_shape=(8, 2100, 2090))
    index = dataclasses.replace(index, encoding=large)
    said = r"4180 x 4200 px .*decodes to 4094 x 4094 px .*2\^31.*; choose --device cpu"
    with pytest.raises(VaeError, match=said):
        load_vae_of(index, str(root / "vae"), None, "cuda:1")
    with pytest.raises(AssertionError, match="loaded"):
        load_vae_of(index, str(root / "vae"), None, "cpu")


class Undecodable:
    """A VAE with a value that is not finite in one channel of its decodings."""

    def __init__(self, vae):
        self.vae = vae

    def decode(self, latents):
        found = self.vae.decode(latents)
        found[:, 1, 3, 5] = torch.nan
        return found


@pytest.fixture
def undecodable(monkeypatch):
    true = module.load_vae
    loaded = SimpleNamespace(in_range=lambda _: Undecodable(loaded.vae))

    def load(files, device):
        loaded.vae = true(files, device=device)
        return loaded

    monkeypatch.setattr(module, "load_vae", load)


def test_a_decoding_that_is_not_finite_is_shown_black_and_not_measured(made, undecodable):
    root, model, stored = made
    found = opened(root, 2)
    assert [(one.finite, one.fidelity) for one in found] == [(False, None)] * 4
    want = np.rint(decoded(model, stored[found[0].key][0]) * 255).astype(int)
    want[3, 5, 1] = 0
    assert np.abs(found[0].decoded - want).max() <= 1
    for one in found:
        sound = dataclasses.replace(one, finite=True)
        pictures = [draw_latent_sheet([some], "t") for some in (one, sound)]
        assert pictures[0].shape == pictures[1].shape
        assert not np.array_equal(*pictures)  # the sheet says so


def test_the_command_says_what_was_not_finite(made, undecodable, capsys):
    found = opened(made[0], 1)
    print_decoded(decode_result(found, Path("a.png"), "one"), quiet=False, as_json=False)
    printed = capsys.readouterr().out
    assert "2 of 2 decodings are not finite: black there, and not measured." in printed
    assert "PSNR" not in printed
    print_decoded(decode_result(found, Path("a.png"), "one"), quiet=False, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["decoded"], told["not_finite"]) == (2, 2)
    unknown = {"psnr": None, "delta_e_2000": None}
    key = "train-000000000"
    assert told["measured"] == [{"key": key, "field": field, **unknown} for field in FIELDS]


def test_the_command_draws_a_sheet(made, tmp_path):
    root, _, _ = made
    arguments = (
        "decode-latents",
        root / "latents",
        "--vae",
        root / "vae",
        "--n",
        2,
        "-o",
        tmp_path / "s.png",
    )
    run = run_lutkit(*arguments, "--json", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert told["decoded"] == len(told["measured"]) == 4
    assert [row["field"] for row in told["measured"]] == ["input", "target"] * 2
    with Image.open(tmp_path / "s.png") as sheet:
        assert sheet.size[0] > 6 * 224
    again = run_lutkit(*arguments, cwd=tmp_path)
    assert again.returncode == 2
    assert_one_line(again.stderr, "s.png", "exists already", "--overwrite")
