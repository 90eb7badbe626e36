"""Latents of mirrored images: stored beside the others, and read at random, alike for a whole sample."""

import io
import json

import numpy as np
import pytest
import torch
from small_datasets import build, make_photos, manifest_of, samples_of, textured
from small_vaes import one_thread, oracle, save_vae

import lutkit
from lutkit.dataset.latent_index import read_latent_index
from lutkit.dataset.tars import Sample, write_shard
from lutkit.errors import DatasetError
from lutkit.latents.encode import _TRIED
from lutkit.latents.reading import Latents
from lutkit.photos.decoding import decode_image
from lutkit.photos.encoding import encode_image


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    with one_thread():
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(folder of pairs, folder of the VAE, model, folder of latents with mirrored ones)."""
    folder = tmp_path_factory.mktemp("made")
    make_photos(folder / "photos", 4)
    build(manifest_of(folder / "photos", n=12), folder / "pairs")
    model = save_vae(folder / "vae")
    lutkit.encode_latents(
        folder / "pairs", folder / "latents", vae=folder / "vae", device="cpu", dtype="fp32", mirror=True
    )
    return folder / "pairs", folder / "vae", model, folder / "latents"


def stored(folder):
    return {key: members for key, members, _ in samples_of(folder)}


def test_both_are_stored_and_are_diffusers_own(made):
    pairs, _, model, latents = made
    images = stored(pairs)
    for key, members in stored(latents).items():
        assert list(members) == [
            "input.npy", "input.mirrored.npy", "target.npy", "target.mirrored.npy", "json",
        ]  # fmt: skip
        for field in ("input", "target"):
            pixels = torch.tensor(decode_image(images[key][f"{field}.jpg"])).permute(2, 0, 1)[None]
            for name, image in (("npy", pixels), ("mirrored.npy", pixels.flip(-1))):
                array = np.load(io.BytesIO(members[f"{field}.{name}"]))
                np.testing.assert_allclose(array, oracle(model, image)[0], rtol=0, atol=1e-5)
    index = read_latent_index(latents)
    assert (index.mirrored, index.fields) == (True, ("input", "target"))
    assert "`input.mirrored.npy`" in (latents / "README.md").read_text()


def test_an_image_that_comes_again_is_encoded_once_in_both_ways(made, tmp_path, monkeypatch):
    pairs, vae, _, latents = made
    # With room for one latent, no image is remembered: the same latents, by more work.
    monkeypatch.setattr("lutkit.latents.encode._KEPT_BYTES", 1)
    lutkit.encode_latents(pairs, tmp_path / "out", vae=vae, device="cpu", dtype="fp32", mirror=True)
    for key, members in stored(tmp_path / "out").items():
        for name in (name for name in members if name != "json"):
            one, two = (np.load(io.BytesIO(found[name])) for found in (members, stored(latents)[key]))
            np.testing.assert_allclose(one, two, rtol=0, atol=1e-5)


def test_a_run_goes_on_in_the_same_way_only(made, tmp_path):
    pairs, vae, _, latents = made
    again = lutkit.encode_latents(pairs, latents, vae=vae, device="cpu", dtype="fp32", mirror=True)
    assert (again.built, again.mirrored) == (0, True)
    with pytest.raises(DatasetError, match="--mirror was on, is off"):
        lutkit.encode_latents(pairs, latents, vae=vae, device="cpu", dtype="fp32")


def test_a_broken_image_is_one_reject(made, tmp_path):
    _, vae, _, _ = made
    samples = [Sample(f"k{i}", (("png", make_png(i)),)) for i in range(3)]
    samples[1] = Sample("k1", (("png", b"text"),))
    (tmp_path / "in").mkdir()
    write_shard(tmp_path / "in/a.tar", samples)
    found = lutkit.encode_latents(tmp_path / "in", tmp_path / "out", vae=vae, device="cpu", mirror=True)
    assert [reject.path for reject in found.rejects] == ["a.tar/k1.png"]
    assert found.samples == 2


def make_png(seed):
    return encode_image(textured(seed, 16, 16), "png")


def test_a_key_without_room_for_the_longer_name_is_one_reject(made, tmp_path):
    _, vae, _, _ = made
    long = "k" * 85
    (tmp_path / "in").mkdir()
    write_shard(tmp_path / "in/a.tar", [Sample(key, (("png", make_png(1)),)) for key in ("a", long)])
    plain = lutkit.encode_latents(tmp_path / "in", tmp_path / "plain", vae=vae, device="cpu")
    assert plain.missing == 0
    found = lutkit.encode_latents(tmp_path / "in", tmp_path / "out", vae=vae, device="cpu", mirror=True)
    assert [(reject.path, reject.reason) for reject in found.rejects] == [
        (f"a/{long}", "its key is too long for mirrored latents")
    ]


# Readers.


def ways(folder, epoch=0, **options):
    """For each key, whether the mirrored latents were read: (input, target)."""
    plain = {sample["__key__"]: sample for sample in Latents(folder)}
    dataset = Latents(folder, mirror=True, **options)
    dataset.set_epoch(epoch)
    found = {}
    for sample in dataset:
        key = sample["__key__"]
        found[key] = tuple(not torch.equal(sample[name], plain[key][name]) for name in ("input", "target"))
    return found


def test_readers_take_one_or_the_other_at_random_alike_for_all_fields(made):
    latents = made[3]
    over = [ways(latents, epoch) for epoch in range(6)]
    flips = [way for found in over for way in found.values()]
    assert set(flips) == {(False, False), (True, True)}
    assert 20 < sum(way[0] for way in flips) < 52  # of 72
    assert over[0] != over[1]
    assert ways(latents) == over[0]
    assert ways(latents, seed=1) != over[0]


def test_joined_latents_and_images_are_mirrored_with_them(made):
    pairs, _, model, latents = made
    joined = {"again": latents, "photo": pairs}
    flipped = ways(latents)
    plain = {sample["__key__"]: sample for sample in Latents(latents, joined=joined)}
    for sample in Latents(latents, mirror=True, joined=joined):
        torch.testing.assert_close(sample["again.target"], sample["target"])
        same = plain[sample["__key__"]]["photo.target"]
        mirrored = flipped[sample["__key__"]][0]
        assert torch.equal(sample["photo.target"], same.flip(-1) if mirrored else same)
        want = oracle(model, sample["photo.target"][None])[0]
        torch.testing.assert_close(sample["target"], want, rtol=0, atol=1e-5)


def test_latents_without_mirrored_ones_are_refused(made, tmp_path):
    pairs, vae, _, latents = made
    lutkit.encode_latents(pairs, tmp_path / "plain", vae=vae, device="cpu", dtype="fp32")
    assert json.loads((tmp_path / "plain/dataset.json").read_text())["mirrored"] is False
    for options in ({"source": tmp_path / "plain"}, {"source": latents, "joined": {"x": tmp_path / "plain"}}):
        with pytest.raises(DatasetError, match=r"plain: holds no latents of mirrored images.*--mirror"):
            Latents(mirror=True, **options)
    read = lutkit.read_latents(latents, mirror=True)
    assert len(list(read)) == 12


def test_images_are_decoded_once_for_both(made, tmp_path, monkeypatch):
    pairs, vae, _, _ = made
    decoded = []
    monkeypatch.setattr(
        "lutkit.latents.sources.decode_image", lambda data: decoded.append(1) or decode_image(data)
    )
    found = lutkit.encode_latents(
        pairs, tmp_path / "out", vae=vae, device="cpu", dtype="fp32", mirror=True, fields="input"
    )
    assert found.pictures == 24
    assert len(decoded) == 12 + _TRIED["cpu"]
