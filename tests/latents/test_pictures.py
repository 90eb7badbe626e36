"""One picture for each latent: of our folders, and of latents that a model predicted, in any form."""

import io
import re

import numpy as np
import pytest
import torch
from PIL import Image
from small_datasets import build, make_photos, manifest_of
from small_latents import npy
from small_vaes import StandInVae, one_thread, save_vae

import lutkit
from lutkit.dataset.latent_index import VaeIdentity
from lutkit.dataset.tars import Sample, write_shard
from lutkit.errors import DatasetError, LutkitError, VaeError
from lutkit.latents import pictures
from lutkit.latents.pictures import StoredLatent, found_latents, unscaled_latent, write_pictures
from lutkit.latents.reading import Latents


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    with one_thread():
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(folder of the VAE, model, folder of latents)."""
    folder = tmp_path_factory.mktemp("made")
    make_photos(folder / "photos", 4)
    build(manifest_of(folder / "photos", n=5), folder / "pairs")
    model = save_vae(folder / "vae", shift_factor=0.25)
    lutkit.encode_latents(folder / "pairs", folder / "lat", vae=folder / "vae", device="cpu", dtype="fp32")
    return folder / "vae", model, folder / "lat"


def read(path):
    return np.asarray(Image.open(path), np.int64)


@torch.no_grad()
def picture_of(model, means):
    decoded = (model.decode(means[None]).sample[0] / 2 + 0.5).clamp(0, 1)
    return np.rint(decoded.permute(1, 2, 0).numpy() * 255)


def assert_picture(path, model, means):
    assert np.abs(read(path) - picture_of(model, means)).max() <= 1


def test_every_latent_of_a_folder_becomes_a_picture(made, tmp_path):
    vae, model, latents = made
    seen = []
    found = lutkit.decode_latents(latents, tmp_path / "out", vae=vae, on_progress=seen.append)
    assert (found.decoded, found.not_finite, found.folder, found.file) == (10, 0, tmp_path / "out", None)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    samples = list(Latents(latents))
    assert names == {f"{s['__key__']}.{name}.png" for s in samples for name in ("input", "target")}
    for sample in samples:
        for name in ("input", "target"):
            assert_picture(tmp_path / "out" / f"{sample['__key__']}.{name}.png", model, sample[name][:4])
    assert (seen[0].total, seen[-1].done) == (10, 10)
    few = lutkit.decode_latents(latents, tmp_path / "few-0.2", vae=vae, n=2, device="auto")
    assert (few.decoded, few.folder) == (4, tmp_path / "few-0.2")
    assert found.to_dict()["folder"] == str(tmp_path / "out")


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("form", ["folder", "file", "pattern", "tar"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
def test_predicted_latents_become_pictures(form, scaled, dtype, made, tmp_path):
    vae, model, latents = made
    samples = list(Latents(latents, scaled=scaled, fields=("target",)))
    arrays = {s["__key__"]: s["target"][:4].numpy().astype(dtype) for s in samples}
    arrays[samples[1]["__key__"]] = samples[1]["target"].numpy().astype(dtype)  # moments
    if form == "tar":
        (tmp_path / "in").mkdir()
        write_shard(tmp_path / "in/a.tar", [Sample(key, (("npy", npy(a)),)) for key, a in arrays.items()])
        source = tmp_path / "in"
    else:
        (tmp_path / "in").mkdir()
        for key, array in arrays.items():
            np.save(tmp_path / "in" / f"{key}.npy", array)
        (tmp_path / "in/notes.txt").write_text("not a latent")
        source = {"folder": tmp_path / "in", "pattern": tmp_path / "in/*.npy"}.get(form)
        source = source or tmp_path / "in" / f"{samples[0]['__key__']}.npy"
    found = lutkit.decode_latents(source, tmp_path / "out", vae=vae, scaled=scaled)
    assert found.decoded == (1 if form == "file" else 5)
    for sample in Latents(latents, fields=("target",)):
        path = tmp_path / "out" / f"{sample['__key__']}.png"
        if form != "file" or path.exists():
            assert np.abs(read(path) - picture_of(model, sample["target"][:4])).max() <= (
                2 if dtype == "float16" else 1
            )


def test_predicted_latents_decode_to_the_range_that_is_named(made, tmp_path):
    vae, model, latents = made
    sample = next(iter(Latents(latents)))
    np.save(tmp_path / "k.npy", sample["input"][:4].numpy())
    lutkit.decode_latents(tmp_path / "k.npy", tmp_path / "as-made", vae=vae, input_range="-1,1")
    lutkit.decode_latents(tmp_path / "k.npy", tmp_path / "auto", vae=vae)
    lutkit.decode_latents(tmp_path / "k.npy", tmp_path / "other", vae=vae, input_range="0,1")
    assert_picture(tmp_path / "as-made/k.png", model, sample["input"][:4])
    assert (tmp_path / "as-made/k.png").read_bytes() == (tmp_path / "auto/k.png").read_bytes()
    with torch.no_grad():
        decoded = model.decode(sample["input"][None, :4]).sample[0].clamp(0, 1).permute(1, 2, 0).numpy()
    assert np.abs(read(tmp_path / "other/k.png") - np.rint(decoded * 255)).max() <= 1


def test_fields_of_tars_are_in_the_names_and_other_members_are_left(made, tmp_path):
    latent = npy(np.zeros((4, 2, 3), np.float32))
    (tmp_path / "in").mkdir()
    write_shard(tmp_path / "in/a.tar", [Sample("k", (("x.npy", latent), ("y.npy", latent), ("json", b"{}")))])
    found = lutkit.decode_latents(tmp_path / "in", tmp_path / "out", vae=made[0], n=1)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["k.x.png"]
    assert found.decoded == 1


# What they are.

FLUX2 = VaeIdentity("v", "", "0" * 64, {}, 1.0, 0.0, 3, tuple(range(1, 13)), tuple(range(2, 14)), 2)


def test_patches_are_put_together_before_decoding():
    z = torch.arange(3 * 4 * 6.0).reshape(3, 4, 6)
    b, c, h, w = 1, 3, 4, 6
    squares = z.view(b, c, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4).reshape(12, 2, 3)
    mean, std = (torch.tensor(numbers)[:, None, None] for numbers in (FLUX2.latents_mean, FLUX2.latents_std))
    scaled = (squares - mean) / std
    torch.testing.assert_close(unscaled_latent(scaled, FLUX2, "x", scaled=True), z)
    moments = torch.cat([scaled, torch.zeros_like(scaled)])
    torch.testing.assert_close(unscaled_latent(moments, FLUX2, "x", scaled=True), z)
    assert torch.equal(unscaled_latent(z, FLUX2, "x", scaled=False), z)


@pytest.mark.parametrize(
    ("shape", "scaled", "said"),
    [
        (
            (4, 2, 2),
            False,
            r"x: a latent of shape \(4, 2, 2\), but this VAE's are \(3, h, w\), or \(6, h, w\)",
        ),
        ((1, 3, 2, 2), False, r"shape \(1, 3, 2, 2\)"),
        ((3, 2, 2), True, r"\(12, h, w\), or \(24, h, w\) with log-variances"),
    ],
)
def test_other_shapes_are_refused(shape, scaled, said):
    with pytest.raises(DatasetError, match=said):
        unscaled_latent(torch.zeros(shape), FLUX2, "x", scaled=scaled)


def latents_of(*arrays):
    return iter([StoredLatent(f"k{i}", npy(a), f"k{i}.npy") for i, a in enumerate(arrays)])


def test_what_is_not_finite_is_black_and_counted(tmp_path):
    sound = np.full((12, 2, 2), 0.5, np.float32)
    broken = np.full((12, 2, 2), np.nan, np.float32)
    *_, last = write_pictures(latents_of(sound, broken), StandInVae(), tmp_path / "out", scaled=False)
    assert (last.pictures, last.not_finite) == (2, 1)
    assert read(tmp_path / "out/k1.png").max() == 0
    assert (read(tmp_path / "out/k0.png") == 191).all()


def test_batches_are_of_one_shape_and_halve_where_memory_runs_out(tmp_path, monkeypatch):
    sizes = []

    class Narrow(StandInVae):
        def decode(self, latents):
            sizes.append(len(latents))
            if len(latents) > 2:
                raise torch.OutOfMemoryError("out of memory")
            return super().decode(latents)

    arrays = [np.full((12, 2, 2 + (i > 4)), i / 10, np.float32) for i in range(8)]
    *_, last = write_pictures(latents_of(*arrays), Narrow(), tmp_path / "out", scaled=False)
    assert last.pictures == 8
    assert sizes == [5, 2, 3, 1, 2, 3, 1, 2]
    for i in range(8):
        assert (read(tmp_path / f"out/k{i}.png") == round((i / 10 + 1) / 2 * 255)).all()
    monkeypatch.setattr(pictures, "_PIXELS", 2 * 4 * 4)
    sizes.clear()
    list(write_pictures(latents_of(*arrays[:5]), StandInVae(), tmp_path / "more", scaled=False))


# What can be wrong.


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (npy(np.zeros((12, 2, 2), np.int32)), "expected float32 or float16 or float64, found int32"),
        (npy(np.zeros((12, 2, 2), np.float32))[:-4], "too short"),
        (b"PK", "not a .npy array"),
    ],
)
def test_arrays_that_are_none_are_named(content, said, tmp_path):
    latents = iter([StoredLatent("k", content, "in/k.npy")])
    with pytest.raises(DatasetError, match=f"in/k.npy: .*{said}"):
        list(write_pictures(latents, StandInVae(), tmp_path / "out", scaled=False))


def test_objects_are_never_unpickled(tmp_path):
    out = io.BytesIO()
    np.save(out, np.array([{"x": 1}], dtype=object), allow_pickle=True)
    pickled = StoredLatent("k", out.getvalue(), "k")
    with pytest.raises(DatasetError, match="found object"):
        list(write_pictures(iter([pickled]), StandInVae(), tmp_path, scaled=False))


def test_two_latents_of_one_name_are_refused(tmp_path):
    latent = StoredLatent("k", npy(np.zeros((12, 2, 2), np.float32)), "b.tar: k.npy")
    with pytest.raises(DatasetError, match=r"b.tar: k.npy: a second latent for the picture k.png"):
        list(write_pictures(iter([latent, latent]), StandInVae(), tmp_path / "out", scaled=False))


def test_a_key_that_leads_elsewhere_is_refused(made, tmp_path):
    import tarfile

    (tmp_path / "in").mkdir()
    with tarfile.open(tmp_path / "in/a.tar", "w") as tar:
        content = npy(np.zeros((4, 2, 2), np.float32))
        member = tarfile.TarInfo("../../evil.npy")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    with pytest.raises(DatasetError):
        lutkit.decode_latents(tmp_path / "in", tmp_path / "out", vae=made[0])
    assert not list(tmp_path.rglob("evil*"))


def test_options_that_do_not_apply_are_refused(made, tmp_path):
    vae, _, latents = made
    np.save(tmp_path / "k.npy", np.zeros((4, 2, 2), np.float32))
    cases = [
        (latents, {"scaled": True}, LutkitError, "stored unscaled; leave out --scaled"),
        (latents, {"images": "photos"}, LutkitError, "--images applies to a sheet"),
        (latents, {"n": 0}, LutkitError, "--n is 0"),
        (tmp_path / "k.npy", {"vae": ""}, VaeError, "name it with --vae"),
        (tmp_path / "none.npy", {}, DatasetError, "none.npy: no such file"),
        (tmp_path / "none", {}, DatasetError, "no latents here"),
        (tmp_path / "empty", {}, DatasetError, r"empty: neither \.npy files nor tars in this folder; name"),
        (latents, {"input_range": "0,1"}, LutkitError, "has the input range; leave out --input-range"),
        (
            tmp_path / "k.npy",
            {"input_range": "0..1"},
            LutkitError,
            "--input-range is '0..1'; choose from auto",
        ),
    ]
    (tmp_path / "empty").mkdir()
    for source, options, kind, said in cases:
        with pytest.raises(kind, match=said):
            lutkit.decode_latents(source, tmp_path / "out", **{"vae": vae, **options})
    for option, value in (("scaled", True), ("input_range", "0,1")):
        said = f"--{option.replace('_', '-')} applies to predicted latents"
        with pytest.raises(LutkitError, match=said):
            lutkit.decode_latents(latents, tmp_path / "sheet.png", vae=vae, **{option: value})
    (tmp_path / "full").mkdir()
    (tmp_path / "full/a.png").touch()
    with pytest.raises(LutkitError, match=re.escape("full: is not empty; give --overwrite")):
        lutkit.decode_latents(tmp_path / "k.npy", tmp_path / "full", vae=vae)
    (tmp_path / "file").touch()
    with pytest.raises(LutkitError, match="file: is a file"):
        lutkit.decode_latents(tmp_path / "k.npy", tmp_path / "file", vae=vae)
    assert lutkit.decode_latents(tmp_path / "k.npy", tmp_path / "full", vae=vae, overwrite=True).decoded == 1
    latents, count = found_latents(str(tmp_path / "k.npy"))
    assert (count, [one.name for one in latents]) == (1, ["k"])


def test_the_command_writes_pictures(made, tmp_path, capsys, monkeypatch):
    from lutkit.cli import main

    vae, _, latents = made
    out = tmp_path / "pictures"
    given = ["decode-latents", str(latents), "--vae", str(vae), "-o", str(out), "--n", "1"]
    monkeypatch.setattr("sys.argv", ["lutkit", *given])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert "pictures: 2 pictures, decoded with vae." in capsys.readouterr().out
    assert len(list(out.iterdir())) == 2
