"""`lutkit encode-latents` as a new user sees it."""

import importlib.util
import json

import pytest
import torch
from small_datasets import assert_one_line, build, manifest_of
from small_vaes import one_thread, save_vae


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    with one_thread():
        yield


@pytest.fixture(scope="module")
def made(photos, tmp_path_factory):
    """(pairs, vae)."""
    folder = tmp_path_factory.mktemp("made")
    build(manifest_of(photos, n=20), folder / "pairs")
    save_vae(folder / "vae")
    return folder / "pairs", folder / "vae"


def test_a_run_says_what_it_does_and_what_came_of_it(made, lutkit_):
    pairs, vae = made
    ended = lutkit_("encode-latents", pairs, "--vae", vae, "--device", "cpu", "--out", "lat")
    assert ended.code == 0
    for text in ("Encoding in ", "float32: ", "images/s", "20 in 3 shards", "input, target: 8 x 16 x 16",
                 "scaling 0.18215", "fed -1,1", "PSNR", "of it encoding", "decode-latents lat"):  # fmt: skip
        assert text in ended.out, ended.out
    assert_one_line(ended.err, "WARNING", "decode to")
    again = lutkit_("encode-latents", pairs, "--vae", vae, "--device", "cpu", "--out", "lat")
    assert (again.code, again.err) == (0, "")
    assert "20 samples are there already." in again.out
    assert "Done already" in again.out


def test_json(made, lutkit_):
    pairs, vae = made
    ended = lutkit_("encode-latents", pairs, "--vae", vae, "--device", "cpu", "--dtype", "bf16", "--json",
                    "--store-dtype", "fp16", "--input-range", "0,1", "--fields", "target")  # fmt: skip
    found = json.loads(ended.out)
    assert (found["samples"], found["missing"], found["built"]) == (20, 0, 3)
    assert (found["folder"], found["fields"]) == ("data/latents", ["target"])
    assert (found["dtype"], found["store_dtype"], found["input_range"]) == ("bfloat16", "float16", "0,1")
    assert found["latent_shape"] == [8, 16, 16]
    assert 0 < found["encoder_share"] <= 1


def test_a_missing_latent_is_exit_code_1(made, photos, lutkit_, tmp_path):
    (tmp_path / "broken").mkdir()
    for path in sorted(photos.glob("*.jpg"))[:2]:
        (tmp_path / "broken" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "broken/zebra.jpg").write_bytes(b"text")
    ended = lutkit_("encode-latents", tmp_path / "broken", "--size", 16, "--vae", made[1], "--device", "cpu")
    assert ended.code == 1
    assert "1 sample" in ended.out
    assert "zebra.jpg: not an image" in ended.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--dtype", "fp8"], ["--dtype is 'fp8'", "choose from auto, fp32"]),
        (["--store-dtype", "bf16"], ["--store-dtype is 'bf16'"]),
        (["--input-range", "0,255"], ["--input-range is '0,255'", "-1,1, 0,1"]),
        (["--devices", "0,x"], ["'0,x'", "write 0,1"]),
        (["--device", "gpu"], ["no device 'gpu'", "choose cpu"]),
        (
            ["--devices", "0,1", "--device", "cuda:1"],
            ["--device cuda:1 together with --devices", "leave it out"],
        ),
        (["more", "names"], ["2 names where one source is expected"]),
        (["--size", "7"], ["leave out --size"]),
        (["--vae-config", "x.json"], ["--vae-config", "lone .safetensors"]),
        (["--batch-size", "0"], ["the batch size is 0; give 1 or more"]),
    ],
)
def test_mistakes_are_one_line(arguments, words, made, lutkit_):
    pairs, vae = made
    ended = lutkit_("encode-latents", *([] if "more" in arguments else [pairs]), "--vae", vae, *arguments)
    assert ended.code == 2
    assert_one_line(ended.err, *words)


@pytest.mark.parametrize(
    "ranks", [{"WORLD_SIZE": "many"}, {"WORLD_SIZE": "2"}, {"WORLD_SIZE": "2", "RANK": "x"}]
)
def test_half_of_a_torchrun_is_no_torchrun(ranks, made, lutkit_, monkeypatch):
    for name, value in ranks.items():
        monkeypatch.setenv(name, value)
    pairs, vae = made
    ended = lutkit_("encode-latents", pairs, "--vae", vae, "--device", "cpu")
    assert ended.code == 2
    assert_one_line(ended.err, "are not all numbers", "torchrun")


def test_photos_of_no_fitting_size_and_what_is_said_when_done(made, photos, lutkit_, tmp_path):
    out = tmp_path / "latents"
    ended = lutkit_(
        "encode-latents", photos, "--size", "17", "--vae", made[1], "--out", out, "--device", "cpu"
    )
    assert ended.code == 2
    assert_one_line(ended.err, "17 x 17 px", "give --size 16")
    ended = lutkit_(
        "encode-latents", photos, "--size", "16", "--vae", made[1], "--out", out, "--device", "cpu"
    )
    assert ended.code == 0
    assert "--vae VAE --images SOURCE` shows some" in ended.out
    ended = lutkit_("decode-latents", out, "--vae", made[1], "--images", made[0], "-o", tmp_path / "s.png")
    assert ended.code == 2
    assert_one_line(ended.err, "name with --images what `lutkit encode-latents` was given")


def test_cuda_that_is_not_there(made, lutkit_):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    for options in (["--device", "cuda"], ["--devices", "0,1"]):
        ended = lutkit_("encode-latents", made[0], "--vae", made[1], *options)
        assert ended.code == 2
        assert_one_line(ended.err, "CUDA is requested", "--device cpu")


def test_bare_and_without_a_network(made, lutkit_, tmp_path, monkeypatch):
    missing = lutkit_("encode-latents", "--device", "cpu")
    assert missing.code == 2
    assert_one_line(missing.err, "data/pairs")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "here/data").mkdir()
    (tmp_path / "here/data/pairs").symlink_to(made[0])
    ended = lutkit_("encode-latents", "--device", "cpu")
    assert ended.code == 2
    assert_one_line(ended.err, "stabilityai/sd-vae-ft-mse", "config.json", "hf download")
    assert not (tmp_path / "here/data/latents").exists()


def test_without_torch_it_says_what_to_install(made, lutkit_, monkeypatch):
    true = importlib.util.find_spec
    gone = ("torch", "diffusers")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in gone else true(name))
    ended = lutkit_("encode-latents", made[0], "--vae", made[1])
    assert ended.code == 2
    assert_one_line(ended.err, "torch and diffusers", "pip install 'lutkit[latents]'")
