"""From images to latent shards: diffusers' own posteriors are the oracle, and nothing is lost in silence."""

import hashlib
import io
import json
import shutil
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image
from small_datasets import build, contents, make_photos, manifest_of, samples_of, textured
from small_vaes import STAND_IN, StandInVae, one_thread, oracle, save_vae

import lutkit
from lutkit.dataset.latent_index import read_latent_index
from lutkit.dataset.records import read_record
from lutkit.dataset.tars import Sample, read_samples, write_shard
from lutkit.errors import DatasetError, SourceError, VaeError
from lutkit.latents import batches, pipeline, precision, sources
from lutkit.latents import encode as module
from lutkit.latents.batches import BatchEncoder, BatchSize
from lutkit.latents.checks import (
    ConventionTrial,
    convention_warning,
    fidelity,
    telling_images,
    try_conventions,
)
from lutkit.latents.decode import decode_some, find_images
from lutkit.latents.devices import Transfer
from lutkit.latents.encode import EncodeSettings
from lutkit.latents.encoded import encode_result
from lutkit.latents.pipeline import EncodeListener
from lutkit.latents.ranks import Ranks
from lutkit.latents.show import encoded_rows
from lutkit.latents.sources import EncodeTask, open_source
from lutkit.latents.vae import load_vae
from lutkit.latents.vae_files import find_vae
from lutkit.photos.decoding import center_square, decode_image
from lutkit.photos.encoding import encode_image

FLOAT32 = EncodeSettings(dtype="float32")


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    with one_thread():
        yield


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    """(folder, model)."""
    folder = tmp_path_factory.mktemp("vae") / "small"
    return folder, save_vae(folder)


@pytest.fixture(scope="module")
def jpeg_300(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs") / "300"
    build(manifest_of(photos, n=300), folder)
    return folder


class Log:
    def __init__(self):
        self.there, self.total, self.samples, self.notes, self.encodings = 0, 0, 0, [], []
        self.choices = []

    def on_start(self, there, total):
        self.there, self.total = there, total

    def on_samples(self, count):
        self.samples += count


def encode(source, vae, out, settings=FLOAT32, fields=(), size_px=None):
    """Encode in this process; return the result and what was reported meanwhile."""
    log = Log()
    listener = EncodeListener(
        log.on_start, log.encodings.append, log.on_samples, log.notes.append, log.choices.append
    )
    files = find_vae(str(vae[0]))
    opened = open_source(str(source), fields, size_px)
    return module.encode_source(opened, files, settings, out, listener), log


def latents_of(folder):
    """{key: ({field: array}, JSON)} of every shard."""
    found = {}
    for path in sorted((folder / "shards").glob("*.tar")):
        for sample in read_samples(path):
            members = dict(sample.members)
            data = members.pop("json", b"")
            arrays = {name.removesuffix(".npy"): np.load(io.BytesIO(npy)) for name, npy in members.items()}
            assert sample.key not in found
            found[sample.key] = (arrays, data)
    return found


def assert_posterior(array, model, pixels):
    images = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]
    np.testing.assert_allclose(array, oracle(model, images)[0].numpy(), rtol=0, atol=1e-5)


def tar_of(path, samples):
    """A plain tar of (key, {suffix: bytes})."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_shard(path, [Sample(key, tuple(members.items())) for key, members in samples])
    return path


def png(seed, width=16, height=16):
    return encode_image(textured(seed, width, height), "png")


# What comes out.


def test_pairs_become_the_posteriors_that_diffusers_gives(jpeg_300, vae, tmp_path):
    result, log = encode(jpeg_300, vae, tmp_path / "out")
    images, latents = samples_of(jpeg_300), latents_of(tmp_path / "out")
    assert [key for key, _, _ in images] == list(latents)
    for i, (key, members, data) in enumerate(images):
        arrays, carried = latents[key]
        assert json.loads(carried) == data
        assert list(arrays) == ["input", "target"]
        if i % 20 == 0:
            for field, array in arrays.items():
                assert (array.shape, array.dtype) == ((8, 16, 16), np.float32)
                assert_posterior(array, vae[1], decode_image(members[f"{field}.jpg"]))
    shards = sorted(path.name for path in (jpeg_300 / "shards").iterdir())
    assert sorted(path.name for path in (tmp_path / "out/shards").iterdir()) == shards
    assert (log.there, log.total, log.samples, result.missing) == (0, 300, 300, 0)
    index = read_latent_index(tmp_path / "out")
    assert index == result.index
    assert "path: shards/train-*.tar" in (tmp_path / "out" / "README.md").read_text()
    assert index.complete
    assert (index.encoding.dtype, index.encoding.latent_shape) == ("float32", (8, 16, 16))
    assert index.vae.scaling_factor == vae[1].config.scaling_factor
    assert sum(file.samples for file in index.shards.values()) == 300


def test_a_target_that_comes_again_is_encoded_once(jpeg_300, vae, tmp_path):
    result, _ = encode(jpeg_300, vae, tmp_path / "out")
    targets = {members["target.jpg"] for _, members, _ in samples_of(jpeg_300)}
    inputs = {members["input.jpg"] for _, members, _ in samples_of(jpeg_300)}
    assert len(targets) <= 30
    assert result.stats.images == len(targets) + len(inputs)
    totals = [(record.summary["encoded"], record.summary["shared"]) for record in result.records]
    assert sum(map(sum, totals)) == 600


def test_what_is_kept_of_earlier_pictures_is_bounded(jpeg_300, vae, tmp_path, monkeypatch):
    whole, _ = encode(jpeg_300, vae, tmp_path / "whole")
    monkeypatch.setattr(module, "_KEPT_BYTES", 5 * 8 * 16 * 16 * 4)
    bounded, _ = encode(jpeg_300, vae, tmp_path / "bounded")
    assert bounded.stats.images > whole.stats.images
    assert_close(tmp_path / "bounded", tmp_path / "whole")


def assert_close(folder, other):
    """Batches of other sizes round slightly differently."""
    ours, theirs = latents_of(folder), latents_of(other)
    assert list(ours) == list(theirs)
    for key, (arrays, data) in ours.items():
        assert data == theirs[key][1]
        for field, array in arrays.items():
            np.testing.assert_allclose(array, theirs[key][0][field], rtol=0, atol=2e-5)


def test_inputs_that_are_not_stored_are_replayed(photos, vae, tmp_path):
    build(manifest_of(photos, n=20, codec="png", store="recipe"), tmp_path / "pairs")
    encode(tmp_path / "pairs", vae, tmp_path / "out")
    latents = latents_of(tmp_path / "out")
    assert len(latents) == 20
    for damaged, target, data in lutkit.pairs(tmp_path / "pairs"):
        arrays, _ = latents[data["key"]]
        assert_posterior(arrays["input"], vae[1], damaged)
        assert_posterior(arrays["target"], vae[1], target)


def test_plain_tars(vae, tmp_path):
    samples = [(f"a/{i}", {"jpg": png(i), "x.png": png(i + 50), "json": b'{"i": 1}'}) for i in range(5)]
    tar_of(tmp_path / "in/00000.tar", samples[:3])
    tar_of(tmp_path / "in/00001.tar", samples[3:])
    encode(tmp_path / "in", vae, tmp_path / "out", fields=("jpg", "x"))
    latents = latents_of(tmp_path / "out")
    assert list(latents) == [key for key, _ in samples]
    for i, (arrays, data) in enumerate(latents.values()):
        assert data == b'{"i": 1}'
        assert_posterior(arrays["image"], vae[1], textured(i, 16, 16))
        assert_posterior(arrays["x"], vae[1], textured(i + 50, 16, 16))
    assert sorted(p.name for p in (tmp_path / "out/shards").iterdir()) == ["00000.tar", "00001.tar"]


def test_a_field_means_pictures_and_not_what_else_bears_its_name(tmp_path):
    members = {"x.txt": b"a cat", "x.json": b"{}", "x.png": png(1), "x.y.png": png(2)}
    source = open_source(str(tar_of(tmp_path / "a.tar", [("k", members)])), ("x",))
    (sample,) = source.read(source.tasks[0])
    assert np.array_equal(sample.images[0].decode(), textured(1, 16, 16))


@pytest.mark.parametrize("named", ["in/a-{0..1}.tar", "in/*.tar", "in", "in/a-0.tar"])
def test_tars_by_any_name(named, vae, tmp_path):
    for i in range(2):
        tar_of(tmp_path / f"in/a-{i}.tar", [(f"{i}", {"png": png(i)})])
    encode(tmp_path / named, vae, tmp_path / "out")
    assert list(latents_of(tmp_path / "out")) == (["0"] if "a-0" in named else ["0", "1"])


def test_photos_are_cut_to_squares(photos, vae, tmp_path):
    encode(photos, vae, tmp_path / "out", size_px=24)
    latents = latents_of(tmp_path / "out")
    assert list(latents)[:2] == ["photos-000000000", "photos-000000001"]
    assert len(latents) == 30
    for arrays, data in list(latents.values())[::7]:
        path = photos / json.loads(data)["source"]["path"]
        assert_posterior(arrays["image"], vae[1], center_square(path.read_bytes(), 24))


def test_many_photos_are_several_shards(photos, vae, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "SHARD_SAMPLES", 8)
    encode(photos, vae, tmp_path / "out", size_px=16)
    index = read_latent_index(tmp_path / "out")
    counts = {shard: file.samples for shard, file in index.shards.items()}
    assert counts == {f"photos-{i:06d}": size for i, size in enumerate((8, 8, 8, 6))}
    latents = latents_of(tmp_path / "out")
    assert list(latents) == [f"photos-{i:09d}" for i in range(30)]
    seen = set()
    for key, (arrays, data) in latents.items():
        told = json.loads(data)
        content = (photos / told["source"]["path"]).read_bytes()
        assert (told["key"], told["source"]["sha256"]) == (key, hashlib.sha256(content).hexdigest())
        seen.add(told["source"]["path"])
        if key.endswith(("7", "8")):
            assert_posterior(arrays["image"], vae[1], center_square(content, 16))
    assert len(seen) == 30


def test_a_photo_that_is_a_link_to_nothing_is_absent_and_one_that_goes_later_stops_the_run(tmp_path, vae):
    make_photos(tmp_path / "photos", 3)
    (tmp_path / "photos/a.jpg").symlink_to(tmp_path / "nothing")
    result, _ = encode(tmp_path / "photos", vae, tmp_path / "out", size_px=16)
    assert [(r.path, r.reason) for r in result.rejects] == [("a.jpg", "cannot be read")]
    assert list(latents_of(tmp_path / "out")) == [f"photos-{i:09d}" for i in (1, 2, 3)]
    source = open_source(str(tmp_path / "photos"), (), 16)
    (tmp_path / "photos/beach-01.jpg").unlink()
    with pytest.raises(SourceError, match=r"beach-01\.jpg: can no longer be read"):
        list(source.read(source.tasks[0]))


def test_half_floats_are_stored_where_asked(jpeg_300, vae, tmp_path):
    encode(jpeg_300, vae, tmp_path / "whole")
    encode(jpeg_300, vae, tmp_path / "half", replace(FLOAT32, store_dtype="float16"))
    halves, whole = latents_of(tmp_path / "half"), latents_of(tmp_path / "whole")
    for key, (arrays, _) in halves.items():
        assert arrays["input"].dtype == np.float16
        np.testing.assert_allclose(arrays["input"], whole[key][0]["input"], rtol=2e-3, atol=1e-3)


def test_what_half_floats_cannot_hold_is_absent_and_named(vae, tmp_path, monkeypatch):
    class Large(StandInVae):
        def encode(self, images):
            found = super().encode(images)
            found[:, :12] *= 1e5
            return found

    grey = encode_image(np.full((16, 16, 3), 128, np.uint8), "png")
    tar_of(tmp_path / "in/a.tar", [("k0", {"png": grey}), ("k1", {"png": png(1)})])
    stood_in(monkeypatch, Large())
    half = replace(FLOAT32, store_dtype="float16")
    result, _ = encode(tmp_path / "in", vae, tmp_path / "half", half)
    assert list(latents_of(tmp_path / "half")) == ["k0"]
    named = [("a.tar/k1.png", "beyond what float16 holds: store float32")]
    assert [(reject.path, reject.reason) for reject in result.rejects] == named
    assert encode(tmp_path / "in", vae, tmp_path / "whole")[0].rejects == ()


def test_the_dtype_is_chosen_recorded_and_kept(jpeg_300, vae, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "fast_dtypes", lambda _: ("bfloat16",))
    true = module.choose_dtype

    def choose(vae, images, candidates):
        _, trials = true(vae, images, candidates)
        return vae.in_dtype("bfloat16"), trials

    monkeypatch.setattr(module, "choose_dtype", choose)
    auto = EncodeSettings()
    result, log = encode(jpeg_300, vae, tmp_path / "out", auto)
    assert result.index.encoding.dtype == log.encodings[0].dtype == "bfloat16"
    rows = {row["dtype"]: row for row in result.index.encoding.trials}
    assert 0 < rows["bfloat16"]["l2_mean"] < 3e-2
    assert rows["bfloat16"]["nats"] > 0
    monkeypatch.setattr(module, "choose_dtype", None)
    (tmp_path / "out/records/val-000000.json").unlink()
    result, log = encode(jpeg_300, vae, tmp_path / "out", auto)
    assert result.index.encoding.dtype == log.encodings[0].dtype == "bfloat16"
    with pytest.raises(DatasetError, match="--dtype was bfloat16, is float32"):
        encode(jpeg_300, vae, tmp_path / "out")


# What goes wrong with single pictures.


def test_a_picture_that_cannot_be_decoded_is_absent_and_named(vae, tmp_path):
    samples = [(f"k{i}", {"png": png(i)}) for i in range(4)]
    samples[1][1]["png"] = png(1)[:90]
    samples[2] = ("k2", {"txt": b"no picture"})
    tar_of(tmp_path / "in/a.tar", samples)
    result, log = encode(tmp_path / "in", vae, tmp_path / "out")
    assert list(latents_of(tmp_path / "out")) == ["k0", "k3"]
    record = read_record(tmp_path / "out", "a")
    assert (record.planned, record.file.samples) == (4, 2)
    assert record.summary["absent"] == ["k1", "k2"]
    lines = [json.loads(line) for line in (tmp_path / "out/rejects.jsonl").read_text().splitlines()]
    assert lines == [
        {"path": "a.tar/k1.png", "reason": "truncated"},
        {"path": "a.tar/k2", "reason": "no member png"},
    ]
    assert (result.missing, log.samples) == (2, 4)


def foreign_tar(path, members):
    """A tar from elsewhere: any names, in any order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


GOOD = [("g0.png", png(0)), ("g0.json", b'{"n": 0}'), ("g1.png", png(1)), ("g1.json", b'{"n": 1}')]
BAD = {
    "no picture": ([("bad.txt", b"a cat"), ("bad.json", b"{}")], "bad", "no member png"),
    "no json": ([("bad.png", png(9))], "bad", "no json, which the first samples have"),
    "no object": ([("bad.png", png(9)), ("bad.json", b"[]")], "bad", "json: the document is not an object"),
    "no JSON": ([("bad.png", png(9)), ("bad.json", b"{")], "bad", "json: not JSON: Expecting property"),
    "Japanese": ([("写真.png", png(9)), ("写真.json", b"{}")], "写真", "its key is not printable ASCII"),
    "a space": ([("my cat.png", png(9)), ("my cat.json", b"{}")], "my cat", "its key is not printable ASCII"),
    "too long": ([("k" * 92 + ".png", png(9)), ("k" * 92 + ".json", b"{}")], "k" * 92, "its key is not"),
    "twice": (
        [("bad.png", png(9)), ("bad.json", b"{}"), ("bad.PNG", png(8))],
        "bad",
        "two members of one name",
    ),
    "a second time": ([("g1.png", png(9))], "g1", "two members of one name"),
}


@pytest.mark.parametrize("place", [0, 2, 4])
@pytest.mark.parametrize(("bad", "key", "reason"), BAD.values(), ids=BAD)
def test_one_bad_sample_is_one_line_wherever_it_stands(bad, key, reason, place, vae, tmp_path):
    foreign_tar(tmp_path / "in/a.tar", [*GOOD[:place], *bad, *GOOD[place:]])
    result, _ = encode(tmp_path / "in", vae, tmp_path / "out")
    lines = (tmp_path / "out/rejects.jsonl").read_text().splitlines()
    (reject,) = map(json.loads, lines)
    assert reject["path"].startswith(f"a.tar/{key}")
    assert reject["reason"].startswith(reason)
    assert result.missing == 1
    latents = latents_of(tmp_path / "out")
    assert latents.keys() == {"g0", "g1"} - {key}
    for name, (arrays, data) in latents.items():
        assert json.loads(data) == {"n": int(name[1])}
        assert_posterior(arrays["image"], vae[1], textured(int(name[1]), 16, 16))
    assert (
        encode(tmp_path / "in", vae, tmp_path / "out")[0].stats is None
    )  # a reject is no reason to begin anew


@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_json_that_the_others_have_not_is_one_line(place, vae, tmp_path):
    samples = [(f"g{i}.png", png(i)) for i in range(4)]
    foreign_tar(
        tmp_path / "in/a.tar", [*samples[:place], ("bad.png", png(9)), ("bad.json", b"{}"), *samples[place:]]
    )
    result, _ = encode(tmp_path / "in", vae, tmp_path / "out")
    assert [(one.path, one.reason) for one in result.rejects] == [
        ("a.tar/bad", "a json, which the first samples have not")
    ]
    assert latents_of(tmp_path / "out").keys() == {f"g{i}" for i in range(4)}


def test_members_that_are_not_adjacent_are_joined(vae, tmp_path):
    # All pictures first, and then all that is said of them: as `tar cf a.tar *.png *.json` writes them.
    foreign_tar(tmp_path / "in/a.tar", sorted(GOOD, key=lambda member: member[0].endswith("json")))
    result, _ = encode(tmp_path / "in", vae, tmp_path / "out")
    assert (result.missing, result.rejects) == (0, ())
    latents = latents_of(tmp_path / "out")
    for i in range(2):
        arrays, data = latents[f"g{i}"]
        assert data == GOOD[2 * i + 1][1]
        assert_posterior(arrays["image"], vae[1], textured(i, 16, 16))


def test_every_sample_that_a_broken_picture_is_lost_to_is_named(vae, tmp_path):
    broken, sound = png(1)[:90], png(2)
    samples = [("k0", {"png": broken}), ("k1", {"png": sound}), ("k2", {"png": broken})]
    tar_of(tmp_path / "in/a.tar", samples)
    tar_of(tmp_path / "in/b.tar", [("k3", {"png": broken}), ("k4", {"png": sound})])
    result, _ = encode(tmp_path / "in", vae, tmp_path / "out")
    assert list(latents_of(tmp_path / "out")) == ["k1", "k4"]
    named = ["a.tar/k0.png", "a.tar/k2.png", "b.tar/k3.png"]
    assert [(reject.path, reject.reason) for reject in result.rejects] == [(n, "truncated") for n in named]
    assert [record.summary["absent"] for record in result.records] == [["k0", "k2"], ["k3"]]


def stood_in(monkeypatch, vae):
    """Load this VAE, whatever the files say."""
    monkeypatch.setattr(module, "load_vae", lambda *_, dtype="float32", **__: vae.in_dtype(dtype))


def test_a_latent_that_is_not_finite_is_absent_and_named(tmp_path, vae, monkeypatch):
    samples = [(f"k{i}", {"png": png(i)}) for i in range(3)]
    white = np.full((16, 16, 3), 255, np.uint8)
    samples[1][1]["png"] = encode_image(white, "png")
    tar_of(tmp_path / "in/a.tar", samples)
    stood_in(monkeypatch, StandInVae(overflows=0.99, stays=True))
    result, _ = encode(tmp_path / "in", vae, tmp_path / "out")
    assert list(latents_of(tmp_path / "out")) == ["k0", "k2"]
    assert [(r.path, r.reason) for r in result.rejects] == [("a.tar/k1.png", "not finite, even in float32")]
    assert result.records[0].summary["again_in_float32"] == 1


def test_an_overflow_is_mended_by_float32(tmp_path, vae, monkeypatch):
    tar_of(tmp_path / "in/a.tar", [(f"k{i}", {"png": png(i)}) for i in range(3)])
    for name, settings in (("exact", FLOAT32), ("half", EncodeSettings(dtype="float16"))):
        stood_in(monkeypatch, StandInVae(overflows=-2.0))
        result, _ = encode(tmp_path / "in", vae, tmp_path / name, settings)
    assert result.records[0].summary["again_in_float32"] == 3
    assert result.missing == 0
    assert contents(tmp_path / "half", "shards") == contents(tmp_path / "exact", "shards")


def test_a_dtype_that_most_pictures_overflow_is_said_once(tmp_path, vae, monkeypatch):
    tar_of(tmp_path / "in/a.tar", [(f"k{i}", {"png": png(i)}) for i in range(6)])
    stood_in(monkeypatch, StandInVae(overflows=-2.0))
    half = EncodeSettings(dtype="float16", batch=2)
    _, log = encode(tmp_path / "in", vae, tmp_path / "out", half)
    assert [note for note in log.notes if "overflow in float16" in note] == log.notes[:1]
    stood_in(monkeypatch, StandInVae())
    assert encode(tmp_path / "in", vae, tmp_path / "sound", half)[1].notes == []
    # One of seven is no reason to take another dtype.
    white = encode_image(np.full((16, 16, 3), 255, np.uint8), "png")
    tar_of(tmp_path / "in/b.tar", [("white", {"png": white})])
    stood_in(monkeypatch, StandInVae(overflows=0.99))
    result, log = encode(tmp_path / "in", vae, tmp_path / "few", replace(half, batch=7))
    assert (result.index.encoding.dtype, log.notes) == ("float16", [])
    assert sum(record.summary["again_in_float32"] for record in result.records) == 1


def test_conventions_that_do_not_fit_into_memory_are_passed_over(tmp_path, vae, monkeypatch):
    class Undecoding(StandInVae):
        def decode(self, latents):
            raise torch.OutOfMemoryError("out of memory")

    tar_of(tmp_path / "in/a.tar", [(f"k{i}", {"png": png(i)}) for i in range(6)])
    stood_in(monkeypatch, Undecoding())
    result, log = encode(tmp_path / "in", vae, tmp_path / "out", replace(FLOAT32, batch=4))
    assert "no memory to decode" in log.notes[0]
    assert (result.stats.batch, result.missing) == (4, 0)
    assert result.records[0].summary["decoded"] == 0


def test_memory_and_gpus_that_fail_elsewhere_are_one_line(tmp_path, vae, monkeypatch):
    tar_of(tmp_path / "in/a.tar", [("k", {"png": png(1)})])
    for error, words in (
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "memory runs out; use smaller images"),
        (
            RuntimeError("CUDA error: unspecified launch failure\nmore"),
            "the GPU failed: .*launch failure; .*log",
        ),
    ):
        monkeypatch.setattr(module, "load_vae", Mock(side_effect=error))
        with pytest.raises(VaeError, match=words):
            encode(tmp_path / "in", vae, tmp_path / "out")
        assert not (tmp_path / "out").exists()


# Batches.


class StandInGpu:
    """Work in one other thread, in order, like a GPU's single stream."""

    def __init__(self):
        self.thread = ThreadPoolExecutor(1)
        self.said = []

    def start_transfer(self, device, work, values):
        assert device.type == "cuda"
        number = sum(kind == "started" for kind, _ in self.said)
        self.said.append(("started", number))
        coming = self.thread.submit(work, values)
        on_cpu = torch.full((len(values), 24, 8, 8), torch.nan)

        def wait():
            self.said.append(("waited", number))
            on_cpu[:] = coming.result()
            return 0.5

        return Transfer(on_cpu, on_cpu, wait)


def on_gpu(monkeypatch, gpu):
    """Let batches go to this GPU."""
    monkeypatch.setattr(batches, "start_transfer", gpu.start_transfer)
    monkeypatch.setattr(batches, "cpu_memory", lambda _, shape, dtype: torch.empty(shape, dtype=dtype))
    seconds = {"contiguous": 2.0, "channels last": 1.0}
    monkeypatch.setattr(module, "timed", lambda vae, _: (None, seconds[vae.layout]))
    monkeypatch.setattr(module, "_device_name", lambda _: "a GPU")
    monkeypatch.setattr(pipeline.ShardTally, "next_is_decoded", lambda _: False)
    monkeypatch.setattr(pipeline.EncodePipeline, "_try_conventions", lambda *_: None)


def test_a_gpu_gets_its_next_batch_before_the_last_one_is_waited_for(tmp_path, vae, monkeypatch):
    tar_of(tmp_path / "in/a.tar", [(f"k{i}", {"png": png(i)}) for i in range(11)])
    stood_in(monkeypatch, StandInVae())
    encode(tmp_path / "in", vae, tmp_path / "plain", replace(FLOAT32, batch=3))
    gpu = StandInGpu()
    on_gpu(monkeypatch, gpu)
    stood_in(monkeypatch, StandInVae(device=torch.device("cuda")))
    settings = replace(FLOAT32, batch=3, compiled=False)
    result, log = encode(tmp_path / "in", vae, tmp_path / "out", settings)
    assert log.choices == [
        "Layout: channels last (images/s without compiling: contiguous 1, channels last 2)."
    ]
    assert gpu.said == [
        ("started", 0), ("started", 1), ("waited", 0), ("started", 2), ("waited", 1),
        ("started", 3), ("waited", 2), ("waited", 3),
    ]  # fmt: skip
    assert contents(tmp_path / "out", "shards") == contents(tmp_path / "plain", "shards")
    assert (result.stats.busy_s, result.index.encoding.device) == (2.0, "a GPU")


def test_the_number_of_samples_of_tars_is_estimated_from_the_first_ones(tmp_path):
    for name, count in (("a", 40), ("b", 90)):
        tar_of(
            tmp_path / f"in/{name}.tar", [(f"k{i:02d}", {"png": png(i), "json": b"{}"}) for i in range(count)]
        )
    tasks = open_source(str(tmp_path / "in"), ("png",)).tasks
    assert [task.samples for task in tasks] == [0, 0]
    for task, count in zip(tasks, (40, 90), strict=True):
        assert abs(task.estimated - count) <= 0.1 * count + 4  # a tar ends in empty blocks


def test_a_batch_that_is_cut_is_said_and_the_one_used_is_recorded(tmp_path, vae, monkeypatch):
    tar_of(tmp_path / "in/a.tar", [(f"k{i}", {"png": png(i)}) for i in range(5)])
    on_gpu(monkeypatch, StandInGpu())
    stood_in(monkeypatch, StandInVae(device=torch.device("cuda")))
    monkeypatch.setattr(batches, "_GPU_ELEMENTS", 3 * 128 * 17 * 17)
    result, log = encode(tmp_path / "in", vae, tmp_path / "out", replace(FLOAT32, batch=300))
    assert len(log.notes) == 1
    assert [choice.partition(":")[0] for choice in log.choices] == ["Layout"]
    assert "--batch-size 300 is reduced to 3: " in log.notes[0]
    assert (result.stats.batch, result.records[0].summary["batch"]) == (3, 3)
    result, log = encode(tmp_path / "in", vae, tmp_path / "less", replace(FLOAT32, batch=2))
    assert (log.notes, result.records[0].summary["batch"]) == ([], 2)


def test_pictures_that_a_gpu_can_encode_and_not_decode_are_not_checked(tmp_path, vae, monkeypatch):
    class Undecoding(StandInVae):
        def decode(self, latents):
            raise AssertionError("beyond what a GPU counts")

    tar_of(tmp_path / "in/a.tar", [(f"k{i}", {"png": png(i)}) for i in range(5)])
    stood_in(monkeypatch, StandInVae())
    encode(tmp_path / "in", vae, tmp_path / "plain")
    monkeypatch.setattr(batches, "start_transfer", StandInGpu().start_transfer)
    monkeypatch.setattr(batches, "cpu_memory", lambda _, shape, dtype: torch.empty(shape, dtype=dtype))
    seconds = {"contiguous": 2.0, "channels last": 1.0}
    monkeypatch.setattr(module, "timed", lambda vae, _: (None, seconds[vae.layout]))
    monkeypatch.setattr(module, "_device_name", lambda _: "a GPU")
    monkeypatch.setattr(module, "fast_dtypes", lambda _: ())
    monkeypatch.setattr(precision, "_wait", lambda _: None)
    monkeypatch.setattr(batches, "_GPU_ELEMENTS", 5 * 128 * 17 * 17)
    identity = replace(STAND_IN, config={"block_out_channels": [128, 1024]})
    stood_in(monkeypatch, Undecoding(device=torch.device("cuda"), identity=identity))
    result, log = encode(tmp_path / "in", vae, tmp_path / "out", EncodeSettings())
    assert contents(tmp_path / "out", "shards") == contents(tmp_path / "plain", "shards")
    assert len(log.notes) == 1
    assert "encodes 16 x 16 px but decodes to 12 x 12 px" in log.notes[0]
    assert result.index.encoding.trials[0]["psnr"] is None
    summary = result.records[0].summary
    assert (summary["decoded"], summary["psnr"], summary["delta_e_2000"]) == (0, None, None)
    assert "conventions" not in summary
    assert [row[0] for row in encoded_rows(result) if "decoded" in row] == []


def test_pictures_that_a_gpu_cannot_count_are_refused_before_one_is_read(
    photos, jpeg_300, vae, tmp_path, monkeypatch
):
    def prepared(source, size_px=None):
        opened, files = open_source(str(source), (), size_px), find_vae(str(vae[0]))
        on_gpu = replace(FLOAT32, device="cuda")
        module.prepare(opened, files, on_gpu, tmp_path / "out", lambda *_: None)

    monkeypatch.setattr(module, "load_vae", Mock(side_effect=AssertionError))
    pairs = len(decode_image(samples_of(jpeg_300)[0][1]["target.jpg"]))
    monkeypatch.setattr(batches, "_GPU_ELEMENTS", 128 * pairs**2)
    with pytest.raises(VaeError, match=f"the first image: {pairs} x {pairs} px.*use images of"):
        prepared(jpeg_300)
    monkeypatch.undo()
    monkeypatch.setattr(module, "first_images", Mock(side_effect=AssertionError))
    with pytest.raises(VaeError, match=r"--size: 4096 x 4096 px .*give --size 4094 or less"):
        prepared(photos, 4096)
    with pytest.raises(VaeError, match=r"--size: .*multiples of 2.*give --size 16"):
        prepared(photos, 17)


def sizes_of(monkeypatch):
    true, sizes = BatchEncoder.launch, []
    monkeypatch.setattr(
        BatchEncoder, "launch", lambda self, images, d=(): sizes.append(len(images)) or true(self, images, d)
    )
    return sizes


def test_all_batches_but_the_last_are_full(jpeg_300, vae, tmp_path, monkeypatch):
    sizes = sizes_of(monkeypatch)
    result, _ = encode(jpeg_300, vae, tmp_path / "out", replace(FLOAT32, batch=7))
    assert set(sizes[:-1]) == {7}
    assert sum(sizes) == result.stats.images


def test_batches_are_full_where_pictures_are_broken(vae, tmp_path, monkeypatch):
    samples = [(f"k{i}", {"png": png(i)[: 90 if i % 3 == 1 else None]}) for i in range(20)]
    tar_of(tmp_path / "in/a.tar", samples)
    sizes = sizes_of(monkeypatch)
    encode(tmp_path / "in", vae, tmp_path / "out", replace(FLOAT32, batch=4))
    assert sizes == [4, 4, 4, 1]
    assert list(latents_of(tmp_path / "out")) == [f"k{i}" for i in range(20) if i % 3 != 1]


def test_out_of_memory_with_one_picture_stops_the_run(tmp_path, vae, monkeypatch):
    tar_of(tmp_path / "in/a.tar", [(f"k{i}", {"png": png(i)}) for i in range(3)])
    stood_in(monkeypatch, StandInVae(most=0))
    with pytest.raises(VaeError, match="memory runs out with a single image"):
        encode(tmp_path / "in", vae, tmp_path / "out", replace(FLOAT32, batch=4))
    assert contents(tmp_path / "out", "shards", "records") == {}


# Checks of what was encoded.


@pytest.mark.parametrize("batch", [1, 70])
def test_decodings_are_compared(batch, vae, tmp_path, monkeypatch):
    tar_of(tmp_path / "in/a.tar", [(f"k{i:03d}", {"png": png(i)}) for i in range(70)])
    stood_in(monkeypatch, StandInVae(clip=(-0.9, 0.2)))
    result, _ = encode(tmp_path / "in", vae, tmp_path / "out", replace(FLOAT32, batch=batch))
    summary = result.records[0].summary
    first, last = (textured(i, 16, 16) for i in (0, 64))
    expected = [fidelity(p, np.clip(p / 255, 0.05, 0.6).transpose(2, 0, 1)) for p in (first, last)]
    assert summary["decoded"] == 2
    assert summary["psnr"] == pytest.approx(np.mean([one.psnr for one in expected]), abs=2e-3)
    assert summary["delta_e_2000"] == pytest.approx(np.mean([one.delta_e_2000 for one in expected]), abs=2e-3)


def test_four_pictures_of_a_shard_are_decoded():
    notes = pipeline.ShardTally(EncodeTask("a"))
    assert [i for i in range(1000) if notes.next_is_decoded()] == [0, 64, 128, 192]


def test_fidelity_is_that_of_scikit_image():
    from skimage.color import deltaE_ciede2000, rgb2lab
    from skimage.metrics import peak_signal_noise_ratio

    picture, other = textured(1, 20, 10), textured(2, 20, 10)
    found = fidelity(picture, (other / 255).transpose(2, 0, 1))
    assert found.psnr == pytest.approx(peak_signal_noise_ratio(picture, other, data_range=255), abs=1e-4)
    expected = deltaE_ciede2000(rgb2lab(picture), rgb2lab(other)).mean()
    assert found.delta_e_2000 == pytest.approx(expected, abs=1e-2)


def test_another_range_that_decodes_better_is_said_loudly(vae, tmp_path, monkeypatch):
    tar_of(tmp_path / "in/a.tar", [(f"k{i}", {"png": png(i)}) for i in range(3)])
    stood_in(monkeypatch, StandInVae(clip=(0, 1)))
    result, log = encode(tmp_path / "in", vae, tmp_path / "out", replace(FLOAT32, batch=1))
    assert len(log.notes) == 1
    assert "WARNING: these images decode better as RGB 0,1" in log.notes[0]
    assert "--input-range=0,1" in log.notes[0]
    found = result.records[0].summary["conventions"]
    assert found["RGB 0,1"] > found["RGB -1,1"] + 10
    fed = replace(FLOAT32, input_range="0,1")
    assert encode(tmp_path / "in", vae, tmp_path / "other", fed)[1].notes == []


def test_swapped_channels_that_decode_better_are_said():
    reddish = textured(1, 16, 16)
    reddish[..., 2] = 127
    vae = StandInVae(red_only=True)
    assert convention_warning(try_conventions(vae, [reddish], lambda: vae)) == ""
    swapped = try_conventions(vae, [reddish[..., ::-1]], lambda: vae)
    means = swapped.means()
    assert next(iter(means)) == "RGB -1,1"
    assert max(means, key=means.get) == "BGR -1,1"
    assert "red and blue were swapped" in convention_warning(swapped)


def test_conventions_are_compared_in_float32_where_a_decoding_overflows():
    picture, exact = textured(1, 16, 16), StandInVae()
    overflowing = SimpleNamespace(
        input_range="-1,1",
        identity=STAND_IN,
        in_range=lambda _: overflowing,
        encode=exact.encode,
        decode=lambda latents: exact.decode(latents) * torch.nan,
    )
    found = try_conventions(overflowing, [picture], lambda: exact)
    assert found == try_conventions(exact, [picture], lambda: exact)
    assert convention_warning(found) == ""


def test_a_convention_that_decodes_to_no_number_has_no_psnr(tmp_path, vae, monkeypatch):
    class Undecodable(StandInVae):
        def decode(self, latents):
            return super().decode(latents) * (torch.nan if self.input_range == broken else 1)

    pictures, none = [textured(1, 16, 16), textured(2, 16, 16)], Undecodable()
    broken = "0,1"
    found = try_conventions(none, pictures, lambda: none)
    assert [name for name, psnr in found.means().items() if psnr is None] == ["RGB 0,1", "BGR 0,1"]
    assert convention_warning(found) == ""
    tar_of(tmp_path / "in/a.tar", [("k", {"png": png(1)})])
    stood_in(monkeypatch, none)
    result, _ = encode(tmp_path / "in", vae, tmp_path / "out")
    assert result.records[0].summary["conventions"]["RGB 0,1"] is None
    broken = "-1,1"
    found = try_conventions(none, pictures, lambda: none)
    assert "decode better as RGB 0,1" in convention_warning(found)
    assert "than as RGB -1,1 (values that are not finite), by" in convention_warning(found)
    assert "in each of 2 images: try --input-range=0,1" in convention_warning(found)
    none = ConventionTrial(dict.fromkeys(found.psnrs, (np.nan, np.nan)), colored=True)
    assert "decode to values that are not finite, but" in convention_warning(none)


class HazyVae(StandInVae):
    """A VAE that, like trained ones, decodes mid greys well and values near the ends badly."""

    def decode(self, latents):
        off = latents.abs() * torch.where(torch.arange(latents.shape[-1]) % 2 == 0, 0.15, -0.15)
        return super().decode(latents + off)


@pytest.mark.parametrize("factor", [0, 0.12])
def test_dark_photos_that_are_right_are_no_other_range(vae, tmp_path, monkeypatch, factor):
    dark = [(textured(seed, 20, 20) * factor).astype(np.uint8) for seed in range(3)]
    hazy = HazyVae()
    psnrs = try_conventions(hazy, dark, lambda: hazy).means()
    assert psnrs["RGB 0,1"] > psnrs["RGB -1,1"] + 3  # which is what would be said
    assert telling_images(dark, 2) == []
    members = [(f"k{i}", {"png": encode_image(image, "png")}) for i, image in enumerate(dark)]
    tar_of(tmp_path / "in/a.tar", members)
    stood_in(monkeypatch, hazy)
    result, log = encode(tmp_path / "in", vae, tmp_path / "out", replace(FLOAT32, batch=1))
    assert log.notes == []
    assert "conventions" not in result.records[0].summary
    # A picture with contrast is waited for.
    tar_of(tmp_path / "more/a.tar", [*members, ("k9", {"png": png(9, 20, 20)})])
    stood_in(monkeypatch, HazyVae(clip=(0, 1)))
    result, log = encode(tmp_path / "more", vae, tmp_path / "other", replace(FLOAT32, batch=1))
    assert "decode better as RGB 0,1" in log.notes[0]
    assert "dB or more in one image" in log.notes[0]


def test_another_convention_has_to_be_better_in_every_image_and_colours_to_show_an_order():
    both = {
        "RGB -1,1": (30.0, 25.0),
        "BGR -1,1": (32.0, 28.0),
        "RGB 0,1": (33.0, 25.5),
        "BGR 0,1": (20.0, 20.0),
    }
    assert (
        "decode better as BGR -1,1 (30.0 dB) than as RGB -1,1 (27.5 dB), by 2.0 dB or more in each of 2"
        in (convention_warning(ConventionTrial(both, colored=True)))
    )
    assert convention_warning(ConventionTrial(both, colored=False)) == ""
    grey = np.repeat(textured(1, 20, 20)[..., :1], 3, axis=2)
    vae = StandInVae()
    assert not try_conventions(vae, [grey, textured(2, 20, 20)], lambda: vae).colored
    coloured = textured(2, 20, 20)
    assert [image is coloured for image in telling_images([grey, coloured, grey], 2)] == [True, False]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_of_a_decoding_that_is_no_number_nothing_is_measured(value):
    picture = textured(1, 16, 16)
    decoded = np.full((3, 16, 16), 0.25, np.float32)
    assert fidelity(picture, decoded) is not None
    decoded[1, 3, 5] = value
    assert fidelity(picture, decoded) is None


def test_decodings_that_are_no_numbers_are_counted_and_left_out_of_the_mean(vae, tmp_path, monkeypatch):
    class Overflowing(StandInVae):
        def decode(self, latents):
            found = super().decode(latents)
            return torch.where(found.amin((1, 2, 3), keepdim=True) > bound, torch.nan, found)

    samples = [(f"k{i:03d}", {"png": png(i)}) for i in range(70)]
    samples[64] = ("k064", {"png": encode_image(np.full((16, 16, 3), 255, np.uint8), "png")})
    tar_of(tmp_path / "in/a.tar", samples)
    stood_in(monkeypatch, Overflowing())
    bound = 0.99
    result, _ = encode(tmp_path / "in", vae, tmp_path / "out", replace(FLOAT32, batch=1))
    summary, told = result.records[0].summary, encode_result(result).to_dict()
    assert (summary["decoded"], summary["decoded_not_finite"], result.missing) == (1, 1, 0)
    assert summary["psnr"] == told["psnr"] == 100
    assert (told["decoded"], told["decoded_not_finite"]) == (1, 1)
    rows = dict(encoded_rows(result))
    assert "PSNR 100.0 dB, delta E 2000 0.0 (of one image)" in rows["decoded"]
    assert rows["not finite"].startswith("one image decoded to NaN")
    bound = -1.0
    result, _ = encode(tmp_path / "in", vae, tmp_path / "none", replace(FLOAT32, batch=1))
    summary, told = result.records[0].summary, encode_result(result).to_dict()
    assert (summary["decoded"], summary["decoded_not_finite"]) == (0, 2)
    assert summary["psnr"] is summary["delta_e_2000"] is told["psnr"] is told["delta_e_2000"] is None
    assert "decoded" not in dict(encoded_rows(result))
    assert dict(encoded_rows(result))["not finite"].startswith("2 images decoded")


def test_a_vae_that_decodes_nothing_is_said(jpeg_300, vae, tmp_path):
    _, log = encode(jpeg_300, vae, tmp_path / "out")
    assert "the config are those of a trained VAE" in log.notes[0]


# Going on.


def test_the_same_command_again_finds_all_done(jpeg_300, vae, tmp_path, monkeypatch):
    encode(jpeg_300, vae, tmp_path / "out")
    before = contents(tmp_path / "out")
    monkeypatch.setattr(module, "load_vae", None)
    result, log = encode(jpeg_300, vae, tmp_path / "out")
    assert contents(tmp_path / "out") == before
    assert (result.stats, log.there, log.samples) == (None, 300, 0)


def test_what_is_missing_or_damaged_is_made_again(jpeg_300, vae, tmp_path):
    encode(jpeg_300, vae, tmp_path / "out")
    whole = contents(tmp_path / "out", "shards")
    shards = sorted((tmp_path / "out/shards").iterdir())
    shards[0].unlink()
    shards[1].write_bytes(shards[1].read_bytes()[:-1] + b"x")
    result, log = encode(jpeg_300, vae, tmp_path / "out")
    assert len(result.stats.records) == 2
    assert log.there == 300 - log.samples
    assert contents(tmp_path / "out", "shards").keys() == whole.keys()
    assert read_latent_index(tmp_path / "out").complete


def test_a_run_that_goes_on_says_so_until_it_is_done(vae, tmp_path, monkeypatch):
    for i in range(3):
        tar_of(tmp_path / f"in/a-{i}.tar", [(f"{i}", {"png": png(i)})])
    _, log = encode(tmp_path / "in", vae, tmp_path / "out")
    assert len(log.notes) == 1
    (tmp_path / "out/shards/a-1.tar").write_bytes(b"")
    meanwhile = []
    monkeypatch.setattr(module, "write_latent_index", lambda folder, index: meanwhile.append((folder, index)))
    result, log = encode(tmp_path / "in", vae, tmp_path / "out")
    (folder, index), (_, last) = meanwhile
    assert last == result.index
    assert (folder, index.complete, list(index.shards)) == (tmp_path / "out", False, ["a-0", "a-2"])
    assert (result.index.complete, list(result.index.shards)) == (True, ["a-0", "a-1", "a-2"])
    # Conventions were tried when it began.
    assert log.notes == []


def test_pictures_of_another_size_than_those_it_was_begun_with_are_refused(vae, tmp_path):
    tar_of(tmp_path / "in/a.tar", [("0", {"png": png(0)})])
    encode(tmp_path / "in", vae, tmp_path / "out")
    before = contents(tmp_path / "out")
    tar_of(tmp_path / "in/b.tar", [("1", {"png": png(1, 18, 14)})])
    with pytest.raises(DatasetError, match="b: begun with images of 16 x 16 px, but these are 18 x 14"):
        encode(tmp_path / "in", vae, tmp_path / "out")
    assert contents(tmp_path / "out") == before


def test_a_folder_whose_index_is_lost_is_refused(vae, tmp_path):
    tar_of(tmp_path / "in/a.tar", [("0", {"png": png(0)})])
    encode(tmp_path / "in", vae, tmp_path / "out")
    (tmp_path / "out/dataset.json").unlink()
    before = contents(tmp_path / "out")
    with pytest.raises(DatasetError, match=r"out/dataset\.json: missing; restore it, or write into another"):
        encode(tmp_path / "in", vae, tmp_path / "out")
    assert contents(tmp_path / "out") == before


def test_a_dataset_that_grew_gets_its_new_shards(photos, vae, tmp_path):
    build(manifest_of(photos, n=20, splits=(("train", 1.0),)), tmp_path / "pairs")
    encode(tmp_path / "pairs", vae, tmp_path / "out")
    build(manifest_of(photos, n=270, splits=(("train", 1.0),)), tmp_path / "pairs")
    result, log = encode(tmp_path / "pairs", vae, tmp_path / "out")
    assert (log.there, log.total, len(result.stats.records)) == (0, 270, 2)
    assert log.notes[0].startswith(
        "train-000000: encoded again, because the source has more samples there now"
    )
    assert len(latents_of(tmp_path / "out")) == 270
    build(manifest_of(photos, n=600, splits=(("train", 1.0),)), tmp_path / "pairs")
    _, log = encode(tmp_path / "pairs", vae, tmp_path / "out")
    assert (log.there, log.total) == (256, 600)


@pytest.mark.parametrize(
    ("settings", "fields", "words"),
    [
        (replace(FLOAT32, input_range="0,1"), (), "--input-range was -1,1, is 0,1"),
        (replace(FLOAT32, store_dtype="float16"), (), "--store-dtype was float32, is float16"),
        (replace(FLOAT32, dtype="bfloat16"), (), "--dtype was float32, is bfloat16"),
        (FLOAT32, ("target",), "--fields was input, target, is target"),
    ],
)
def test_a_folder_that_was_begun_otherwise_is_refused(settings, fields, words, jpeg_300, vae, tmp_path):
    encode(jpeg_300, vae, tmp_path / "out")
    before = contents(tmp_path / "out")
    with pytest.raises(DatasetError) as caught:
        encode(jpeg_300, vae, tmp_path / "out", settings, fields)
    assert words in str(caught.value)
    assert contents(tmp_path / "out") == before


def test_another_vae_is_refused(jpeg_300, vae, tmp_path):
    encode(jpeg_300, vae, tmp_path / "out")
    other = (tmp_path / "other", save_vae(tmp_path / "other", seed=1))
    with pytest.raises(
        DatasetError, match=r"VAE's weights: small \([0-9a-f]{12}\) then, other \([0-9a-f]{12}\)"
    ):
        encode(jpeg_300, other, tmp_path / "out")
    shutil.copytree(vae[0], tmp_path / "scaled")
    config = json.loads((tmp_path / "scaled/config.json").read_text())
    (tmp_path / "scaled/config.json").write_text(json.dumps({**config, "scaling_factor": 0.5}))
    with pytest.raises(DatasetError, match="the VAE's config: scaling_factor"):
        encode(jpeg_300, (tmp_path / "scaled", None), tmp_path / "out")


def test_another_source_is_refused(jpeg_300, png_300, photos, vae, tmp_path):
    encode(photos, vae, tmp_path / "out", size_px=24)
    with pytest.raises(DatasetError, match="the source's size_px was 24, is 32"):
        encode(photos, vae, tmp_path / "out", size_px=32)
    with pytest.raises(DatasetError, match="the source's kind was photos, is pairs"):
        encode(jpeg_300, vae, tmp_path / "out")
    fewer = make_photos(tmp_path / "fewer", 29)
    with pytest.raises(DatasetError, match="other sources than before: 0 added, 1 removed"):
        encode(fewer, vae, tmp_path / "out", size_px=24)


def test_a_folder_of_something_else_is_refused(jpeg_300, photos, vae, tmp_path):
    copied = shutil.copytree(jpeg_300, tmp_path / "copied")
    before = contents(copied)
    with pytest.raises(DatasetError, match="holds a dataset of images"):
        encode(jpeg_300, vae, copied)
    assert contents(copied) == before
    with pytest.raises(DatasetError, match="is not a dataset of lutkit"):
        encode(jpeg_300, vae, photos)


def test_another_set_of_tars_of_the_same_names_is_refused_and_nothing_is_lost(vae, tmp_path):
    # img2dataset calls the shards of every dataset 00000.tar, and its keys begin at 000000000 in all.
    for folder, first in (("one", 0), ("same-keys", 10), ("other-keys", 20)):
        for shard in range(2):
            names = [f"{'x' if folder == 'other-keys' else ''}{shard:05d}{i:04d}" for i in range(3)]
            images = [(name, {"png": png(first + shard * 3 + i)}) for i, name in enumerate(names)]
            tar_of(tmp_path / folder / f"{shard:05d}.tar", images)
    encode(tmp_path / "one", vae, tmp_path / "out")
    before = contents(tmp_path / "out")
    said = r"out: its 00000 was not made from the images that the source now has in 00000; .*another folder"
    for folder in ("same-keys", "other-keys"):
        with pytest.raises(DatasetError, match=said):
            encode(tmp_path / folder, vae, tmp_path / "out")
        assert contents(tmp_path / "out") == before


@pytest.mark.parametrize("samples", [[0, 5, 2], [0, 1], [1, 0, 2], []])
def test_a_tar_that_changed_is_refused_until_its_record_is_deleted(samples, vae, tmp_path):
    tar = tar_of(tmp_path / "in/a.tar", [(f"{i}", {"png": png(i)}) for i in range(3)])
    encode(tar, vae, tmp_path / "out")
    tar_of(tar, [(f"{place}", {"png": png(i)}) for place, i in enumerate([*samples, 7])])
    with pytest.raises(DatasetError, match=r"if the images were replaced on purpose, delete records/a\.json"):
        encode(tar, vae, tmp_path / "out")
    (tmp_path / "out/records/a.json").unlink()
    encode(tar, vae, tmp_path / "out")
    arrays, _ = latents_of(tmp_path / "out")[f"{len(samples)}"]
    assert_posterior(arrays["image"], vae[1], textured(7, 16, 16))


def test_a_tar_that_has_grown_is_encoded_again(vae, tmp_path):
    # Both fit into one padded record of a tar: only content tells them apart.
    tar = tar_of(tmp_path / "in/a.tar", [("0", {"png": png(0)}), ("1", {"txt": b"no picture"})])
    encode(tar, vae, tmp_path / "out", fields=("png",))
    tar_of(tar, [("0", {"png": png(0)}), ("1", {"txt": b"no picture"}), ("2", {"png": png(2)})])
    _, log = encode(tar, vae, tmp_path / "out", fields=("png",))
    assert log.notes[0] == "a: encoded again, because the source has more samples there now"
    arrays, _ = latents_of(tmp_path / "out")["2"]
    assert_posterior(arrays["image"], vae[1], textured(2, 16, 16))


def test_photos_of_the_same_names_and_sizes_are_not_taken_for_those_that_were_encoded(vae, tmp_path):
    for folder, first in (("one", 0), ("other", 50)):
        (tmp_path / folder).mkdir()
        for i in range(3):
            path = tmp_path / folder / f"{i}.bmp"
            Image.fromarray(textured(first + i, 20, 18)).save(path)
    encode(tmp_path / "one", vae, tmp_path / "out", size_px=16)
    before = contents(tmp_path / "out")
    assert encode(tmp_path / "one", vae, tmp_path / "out", size_px=16)[0].stats is None
    with pytest.raises(DatasetError, match="its photos-000000 was not made from the images"):
        encode(tmp_path / "other", vae, tmp_path / "out", size_px=16)
    assert contents(tmp_path / "out") == before


def test_another_dataset_of_the_same_seed_is_refused(photos, vae, tmp_path):
    build(manifest_of(photos, n=3), tmp_path / "pairs")
    encode(tmp_path / "pairs", vae, tmp_path / "out")
    before = contents(tmp_path / "out")
    build(manifest_of(make_photos(tmp_path / "others", 5), n=3), tmp_path / "of-others")
    with pytest.raises(
        DatasetError, match=r"begun with other settings: the source's photos was \w{12}, is \w{12}; use"
    ):
        encode(tmp_path / "of-others", vae, tmp_path / "out")
    build(manifest_of(photos, n=3, quality=90), tmp_path / "worse")
    with pytest.raises(DatasetError, match=r"its train-000000 was not made from the images .*another folder"):
        encode(tmp_path / "worse", vae, tmp_path / "out")
    # As many more pairs as it likes do not make it the same dataset.
    build(manifest_of(photos, n=9, quality=90, splits=(("train", 1.0),)), tmp_path / "more")
    with pytest.raises(DatasetError, match=r"its train-000000 was not made from the images"):
        encode(tmp_path / "more", vae, tmp_path / "out")
    assert contents(tmp_path / "out") == before


def test_an_index_of_before_sources_were_told_apart_goes_on(photos, vae, tmp_path):
    build(manifest_of(photos, n=3), tmp_path / "pairs")
    encode(tmp_path / "pairs", vae, tmp_path / "out")
    path = tmp_path / "out/dataset.json"
    document = json.loads(path.read_text())
    del document["source"]["photos"]
    path.write_text(json.dumps(document))
    assert encode(tmp_path / "pairs", vae, tmp_path / "out")[0].stats is None


@pytest.mark.parametrize("left", [("shards", "records"), ("shards",), ("records",)])
def test_shards_the_source_has_not_are_refused(left, vae, tmp_path):
    for i in range(2):
        tar_of(tmp_path / f"in/a-{i}.tar", [(f"{i}", {"png": png(i)})])
    encode(tmp_path / "in", vae, tmp_path / "out")
    (tmp_path / "in/a-1.tar").unlink()
    for part, name in (("shards", "a-1.tar"), ("records", "a-1.json")):
        if part not in left:
            (tmp_path / "out" / part / name).unlink()
    with pytest.raises(DatasetError, match="holds latents of a-1, which the source does not have"):
        encode(tmp_path / "in", vae, tmp_path / "out")


# Bad sources.


def test_sizes_that_the_vae_does_not_take(vae, tmp_path):
    tar_of(tmp_path / "in/a.tar", [("k", {"png": png(1, 17, 16)})])
    with pytest.raises(VaeError, match="17 x 16 px, but this VAE needs multiples of 2, such as 16 x 16"):
        encode(tmp_path / "in", vae, tmp_path / "new/out")
    assert not (tmp_path / "new").exists()


def test_pictures_of_mixed_sizes(vae, tmp_path):
    tar_of(tmp_path / "in/a.tar", [("k0", {"png": png(1)}), ("k1", {"png": png(2, 18, 16)})])
    with pytest.raises(
        DatasetError, match=r"a\.tar/k1\.png: 18 x 16 px, but the other images have 16 x 16 px.*--size PX"
    ):
        encode(tmp_path / "in", vae, tmp_path / "out")
    three = [("k0", {"png": png(1)}), ("k1", {"png": png(3)}), ("k2", {"png": png(2, 18, 16)})]
    tar_of(tmp_path / "later/a.tar", three)  # dtypes are not tried on so many
    with pytest.raises(DatasetError, match=r"a\.tar/k2\.png: 18 x 16 px, but the other images have 16 x 16"):
        encode(tmp_path / "later", vae, tmp_path / "out")
    encode(tmp_path / "in", vae, tmp_path / "squares", size_px=14)
    assert {a["image"].shape for a, _ in latents_of(tmp_path / "squares").values()} == {(8, 7, 7)}


def decoded_by(monkeypatch):
    """The list of every image of a tar that is decoded from now on."""
    true, seen = sources.read_pixels, []
    monkeypatch.setattr(sources, "read_pixels", lambda *given: seen.append(given) or true(*given))
    return seen


def test_mixed_sizes_are_found_without_reading_on(vae, tmp_path, monkeypatch):
    others = [(f"k{i}", {"png": png(i, 18, 16)}) for i in range(1, 40)]
    tar_of(tmp_path / "in/a.tar", [("k0", {"png": png(0)}), *others])
    seen = decoded_by(monkeypatch)
    with pytest.raises(DatasetError, match=r"a\.tar/k1\.png: 18 x 16 px, but the other images have 16 x 16"):
        encode(tmp_path / "in", vae, tmp_path / "out")
    assert len(seen) == 2
    assert not (tmp_path / "out").exists()


def test_few_sound_pictures_among_broken_ones_are_enough_to_begin(vae, tmp_path, monkeypatch):
    broken = [(f"k{i}", {"png": png(i)[:90]}) for i in range(1, 200)]
    tar_of(tmp_path / "in/a.tar", [("k0", {"png": png(0)}), *broken])
    seen = decoded_by(monkeypatch)
    opened = open_source(str(tmp_path / "in"))
    assert len(module.first_images(opened, opened.tasks, 2)) == 1
    assert len(seen) == 65


def test_a_source_shard_that_changed(jpeg_300, vae, tmp_path):
    copied = shutil.copytree(jpeg_300, tmp_path / "copied")
    shard = copied / "shards/train-000000.tar"
    data = bytearray(shard.read_bytes())
    data[5000] ^= 1
    shard.write_bytes(bytes(data))
    with pytest.raises(DatasetError, match=r"train-000000\.tar: missing, or its size or sha256 differs"):
        encode(copied, vae, tmp_path / "out")
    assert contents(tmp_path / "out", "shards", "records") == {}


def test_a_tar_that_was_cut_off(vae, tmp_path):
    path = tar_of(tmp_path / "in/a.tar", [(f"k{i}", {"png": png(i)}) for i in range(30)])
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(DatasetError, match="at or after k"):
        encode(tmp_path / "in", vae, tmp_path / "out")
    assert contents(tmp_path / "out", "shards", "records") == {}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ((), "its first sample has jpg, x.png.*choose --fields from jpg, x.png, txt"),
        (("webp",), "no member webp in its first sample.*there are jpg, x.png, txt"),
        (("x", "x.png"), "would have the same name"),
    ],
)
def test_tars_without_the_fields(fields, words, vae, tmp_path):
    tar_of(tmp_path / "in/a.tar", [("k", {"jpg": png(1), "x.png": png(2), "txt": b"a cat"})])
    with pytest.raises(DatasetError, match=words):
        encode(tmp_path / "in", vae, tmp_path / "out", fields=fields)


def test_sources_that_make_no_sense(jpeg_300, photos, vae, tmp_path):
    cases = [
        (jpeg_300, ("look",), None, "no field 'look'.*input and target"),
        (jpeg_300, (), 24, "leave out --size"),
        (photos, (), None, "add --size PX"),
        (photos, ("jpg",), 24, "leave out --fields"),
        (tmp_path / "nothing", (), None, "no such file or folder"),
    ]
    for source, fields, size_px, words in cases:
        with pytest.raises((DatasetError, SourceError), match=words):
            encode(source, vae, tmp_path / "out", fields=fields, size_px=size_px)
    encode(jpeg_300, vae, tmp_path / "latents")
    with pytest.raises(DatasetError, match="already holds latents"):
        encode(tmp_path / "latents", vae, tmp_path / "out")
    with pytest.raises(DatasetError, match="a dataset of latents, not of images"):
        lutkit.pairs(tmp_path / "latents")
    for where in ("x", "y"):
        tar_of(tmp_path / where / "a.tar", [("k", {"png": png(1)})])
    with pytest.raises(DatasetError, match=r"this tar and .*x/a\.tar would both become the shard a"):
        open_source(str(tmp_path / "{x,y}" / "a.tar").replace("{x,y}", "?"))


def test_other_photos_of_the_same_names_are_not_taken_for_what_was_encoded(vae, tmp_path):
    # Of one size, as uncompressed photos are; and six white ones of another.
    for folder, seeds in (("one", (0, 1, 2)), ("first", (9, 1, 2)), ("last", (0, 1, 9))):
        (tmp_path / folder).mkdir()
        for i, seed in enumerate(seeds):
            Image.fromarray(textured(seed, 20, 18)).save(tmp_path / folder / f"{i}.bmp")
    (tmp_path / "white").mkdir()
    for i in range(3):
        Image.new("RGB", (200, 180), "white").save(tmp_path / "white" / f"{i}.bmp")
    out = tmp_path / "out"
    index = encode(tmp_path / "one", vae, out, size_px=16)[0].index
    model = load_vae(find_vae(str(vae[0])), device="cpu")

    def decoded(folder):
        return list(decode_some(out, index, 3, model, find_images(out, index, str(tmp_path / folder))))

    for i, one in enumerate(decoded("one")):
        assert np.array_equal(one.photo, center_square((tmp_path / f"one/{i}.bmp").read_bytes(), 16))
    with pytest.raises(
        DatasetError, match=r"white: .*names and sizes differ from the list in .*sources\.tsv"
    ):
        decoded("white")
    with pytest.raises(DatasetError, match=r"first: not the images .*its shard photos-000000 differs"):
        decoded("first")
    with pytest.raises(DatasetError, match="photos-000000: photos-000000002: not the image that was encoded"):
        decoded("last")


def test_pairs_made_anew_since_are_not_taken_for_what_was_encoded(photos, vae, tmp_path):
    build(manifest_of(photos, n=3), tmp_path / "pairs")
    index = encode(tmp_path / "pairs", vae, tmp_path / "latents")[0].index
    assert find_images(tmp_path / "latents", index, "") is not None
    shutil.rmtree(tmp_path / "pairs")
    build(manifest_of(make_photos(tmp_path / "others", 5), n=3), tmp_path / "pairs")
    assert find_images(tmp_path / "latents", index, "") is None
    said = r"pairs: not the images .*photos [0-9a-f]{12}, not .*photos [0-9a-f]{12};"
    with pytest.raises(DatasetError, match=said):
        find_images(tmp_path / "latents", index, str(tmp_path / "pairs"))
    shutil.rmtree(tmp_path / "pairs")
    build(manifest_of(photos, n=3, quality=90), tmp_path / "pairs")
    assert find_images(tmp_path / "latents", index, "") is None
    with pytest.raises(DatasetError, match=r"pairs: not the images .*its shard train-000000 differs"):
        find_images(tmp_path / "latents", index, str(tmp_path / "pairs"))


def test_what_overflows_is_encoded_again_by_weights_that_were_never_rounded(vae, tmp_path, monkeypatch):
    # No small VAE overflows bfloat16: one image's latents are spoilt on their way.
    launched = []

    class Spoiling(BatchEncoder):
        def launch(self, images, decoded=()):
            found = super().launch(images, decoded)
            if not launched:
                found.moments[0].on_cpu[0] = torch.nan
                launched.append(images[0])
            return found

    monkeypatch.setattr(module, "BatchEncoder", Spoiling)
    tar_of(tmp_path / "in/a.tar", [(f"{i}", {"png": png(i)}) for i in range(3)])
    result, _ = encode(tmp_path / "in", vae, tmp_path / "out", EncodeSettings(dtype="bfloat16", batch=3))
    assert result.records[0].summary["again_in_float32"] == 1
    arrays, _ = latents_of(tmp_path / "out")["0"]
    assert_posterior(arrays["image"], vae[1], launched[0])


def test_samples_do_not_pile_up_where_one_picture_comes_again_and_again(vae, tmp_path, monkeypatch):
    tar_of(tmp_path / "in/a.tar", [(f"{i}", {"png": png(1)}) for i in range(30)])
    done = []
    monkeypatch.setattr(Log, "on_samples", lambda _, count: done.append(count))
    monkeypatch.setattr(pipeline, "_MOST_WAITING", 4)
    encode(tmp_path / "in", vae, tmp_path / "out", replace(FLOAT32, batch=16))
    assert sum(done) == 30
    assert max(done) == 5


def test_a_tar_whose_name_no_shard_can_bear(vae, tmp_path):
    tar_of(tmp_path / "in/my photos.tar", [("k", {"png": png(1)})])
    with pytest.raises(DatasetError, match=r"my photos\.tar: 'my photos' is not a shard's name"):
        encode(tmp_path / "in", vae, tmp_path / "out")
    assert not (tmp_path / "out").exists()  # hours of encoding before it were lost


def test_not_one_picture(vae, tmp_path):
    tar_of(tmp_path / "in/a.tar", [("k", {"png": b"text"})])
    with pytest.raises(
        DatasetError,
        match=r"no image can be used: 1 cannot be decoded, the first is a\.tar/k\.png: not an image",
    ):
        encode(tmp_path / "in", vae, tmp_path / "out")
    with tarfile.open(tmp_path / "empty.tar", "w"):
        pass
    with pytest.raises(DatasetError, match="no samples"):
        encode(tmp_path / "empty.tar", vae, tmp_path / "out")


def test_two_ranks_do_what_one_does(jpeg_300, vae, tmp_path, monkeypatch):
    encode(jpeg_300, vae, tmp_path / "one")
    said = {}

    class Half(Ranks):
        def agree(self, value):
            return said.setdefault("first", value) if self.rank == 0 else said["first"]

    log = Log()
    listener = EncodeListener(log.on_start, log.encodings.append, log.on_samples, log.notes.append)
    source, files = open_source(str(jpeg_300)), find_vae(str(vae[0]))
    built = []
    for rank in (0, 1, 0):
        result = module.encode_source(
            source, files, FLOAT32, tmp_path / "two", listener, ranks=Half(rank, 2, rank)
        )
        built.append(sorted(path.stem for path in (tmp_path / "two/shards").iterdir()))
        if rank == 1:
            assert not read_latent_index(tmp_path / "two").complete
            said.clear()
    names = [task.shard for task in source.tasks]
    assert built == [sorted(names[::2]), sorted(names), sorted(names)]
    assert result.index.complete
    assert_close(tmp_path / "two", tmp_path / "one")


def test_a_batch_that_runs_out_of_memory_loses_nothing(jpeg_300, vae, tmp_path, monkeypatch):
    encode(jpeg_300, vae, tmp_path / "whole")
    true = BatchEncoder._start

    def start(self, batch):
        if len(batch) > 3:
            raise torch.OutOfMemoryError("out of memory")
        return true(self, batch)

    monkeypatch.setattr(BatchEncoder, "_start", start)
    result, _ = encode(jpeg_300, vae, tmp_path / "halved", replace(FLOAT32, batch=16))
    assert result.stats.batch == 2
    assert_close(tmp_path / "halved", tmp_path / "whole")
    assert BatchSize(16).now == 1
