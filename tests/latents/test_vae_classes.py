"""The VAEs of today, each a tiny random model of its class: diffusers' models and pipelines are oracles."""

import copy
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderDC,
    AutoencoderKL,
    AutoencoderKLFlux2,
    AutoencoderKLHunyuanImage,
    AutoencoderKLQwenImage,
    AutoencoderKLWan,
    AutoencoderTiny,
)
from gpus import DEVICES, needs_cuda
from safetensors.torch import load_file, save_file
from small_datasets import textured
from small_latents import make_latents
from small_vaes import one_thread

import lutkit
from lutkit.dataset.latent_index import Encoding, VaeIdentity, read_latent_index
from lutkit.errors import DatasetError, VaeError
from lutkit.latents import autoencoders, encode, vae_classes
from lutkit.latents.devices import computing_on, is_lent, lent_layers
from lutkit.latents.precision import choose_dtype
from lutkit.latents.reading import Latents
from lutkit.latents.show import encoded_rows, ready_lines
from lutkit.latents.vae import decodable, load_vae
from lutkit.latents.vae_files import find_vae
from lutkit.nn.posterior import sample_posterior, scale_latents
from lutkit.photos.encoding import encode_image

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    with one_thread():
        yield


def _kl(width=4, **changes):
    return AutoencoderKL(
        block_out_channels=(width, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=2,
        **changes,
    )


def _flux2(**changes):
    return AutoencoderKLFlux2(
        block_out_channels=(4, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=2,
        latent_channels=3,
        **changes,
    )


MEANS, DEVIATIONS = [0.5, -0.25, 1.0], [1.5, 0.5, 2.5]
FRAMES = {
    "base_dim": 4,
    "z_dim": 3,
    "dim_mult": [1, 2, 2],
    "num_res_blocks": 1,
    "temperal_downsample": [False, True],
    "latents_mean": MEANS,
    "latents_std": DEVIATIONS,
}
HUNYUAN = {
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "block_out_channels": (32, 32, 64),
    "layers_per_block": 1,
    "spatial_compression_ratio": 4,
    "sample_size": 16,
}
DC = {
    "latent_channels": 4,
    "attention_head_dim": 4,
    "encoder_block_types": ("ResBlock", "ResBlock", "EfficientViTBlock"),
    "decoder_block_types": ("ResBlock", "ResBlock", "EfficientViTBlock"),
    "encoder_block_out_channels": (4, 8, 8),
    "decoder_block_out_channels": (4, 8, 8),
    "encoder_layers_per_block": (1, 1, 1),
    "decoder_layers_per_block": (1, 1, 1),
    "encoder_qkv_multiscales": ((), (), (5,)),
    "decoder_qkv_multiscales": ((), (), (5,)),
}
TINY = {
    "encoder_block_out_channels": (8, 8),
    "decoder_block_out_channels": (8, 8),
    "num_encoder_blocks": (1, 2),
    "num_decoder_blocks": (2, 1),
}


def _rae(kind, **changes):
    pytest.importorskip("transformers")
    from diffusers import AutoencoderRAE

    return AutoencoderRAE(
        encoder_type=kind,
        encoder_hidden_size=64,
        encoder_patch_size=7,
        encoder_num_hidden_layers=1,
        decoder_hidden_size=16,
        decoder_num_hidden_layers=1,
        decoder_num_attention_heads=2,
        decoder_intermediate_size=16,
        patch_size=8,
        encoder_input_size=14,
        scaling_factor=0.7,
        **changes,
    )


# By name: a function that builds a tiny model, the factor of its sizes, and the channels that are stored.
MODELS = {
    "sd15": (_kl, 2, 8),
    "sdxl": (
        lambda: _kl(scaling_factor=0.13, latents_mean=[0.1, -0.2, 0.3, 0.4], latents_std=[2, 3, 4, 5]),
        2,
        8,
    ),
    "flux1": (lambda: _kl(8, latent_channels=16, scaling_factor=0.3611, shift_factor=0.1159), 2, 32),
    "flux2": (_flux2, 2, 6),
    "flux2 with another decoder": (lambda: _flux2(decoder_block_out_channels=(8, 16)), 2, 6),
    "qwen": (lambda: AutoencoderKLQwenImage(**FRAMES), 4, 6),
    "wan 2.1": (lambda: AutoencoderKLWan(**FRAMES), 4, 6),
    "wan 2.2": (
        lambda: AutoencoderKLWan(
            **FRAMES, is_residual=True, in_channels=12, out_channels=12, patch_size=2, decoder_base_dim=8
        ),
        8,
        6,
    ),
    "hunyuan": (lambda: AutoencoderKLHunyuanImage(**HUNYUAN, scaling_factor=0.75), 4, 8),
    "dc-ae": (lambda: AutoencoderDC(**DC, scaling_factor=0.41), 4, 4),
    "taesd": (lambda: AutoencoderTiny(**TINY, latent_channels=16), 2, 16),
    "rae dinov2": (lambda: _rae("dinov2"), 8, 64),
    "rae mae": (lambda: _rae("mae", latents_mean=[0.5], latents_std=[2.0]), 8, 64),
}


def random_model(name):
    torch.manual_seed(5)
    model = MODELS[name][0]().eval()
    with torch.no_grad():
        # As diffusers starts them, biases are 0, and channels and rows look alike.
        for weights in model.parameters():
            weights.add_(0.05 * torch.randn_like(weights))
        if hasattr(model, "bn"):
            model.bn.running_mean.copy_(torch.linspace(-1, 1, model.bn.num_features))
            model.bn.running_var.copy_(torch.linspace(0.1, 3, model.bn.num_features))
    return model


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return (folder, model) by name, made when first asked for."""
    made = {}

    def of(name):
        if name not in made:
            made[name] = tmp_path_factory.mktemp("vae") / "small", random_model(name)
            made[name][1].save_pretrained(made[name][0])
        return made[name]

    return of


def images(name, count=2):
    size = (16, 16) if name.startswith("rae") else (16, 24)
    return torch.randint(0, 256, (count, 3, *size), generator=torch.Generator().manual_seed(1)).byte()


def fed(name, values):
    values = values.float() / 255
    return values if name.startswith("rae") else values * 2 - 1


def is_of_frames(model):
    return isinstance(model, (AutoencoderKLQwenImage, AutoencoderKLWan))


def oracle(name, model, values):
    return oracle_of_fed(model, fed(name, values))


@torch.no_grad()
def oracle_of_fed(model, values):
    """diffusers' own moments or points."""
    if is_of_frames(model):
        return model.encode(values.unsqueeze(2)).latent_dist.parameters.squeeze(2)
    found = model.encode(values)
    if hasattr(found, "latent_dist"):
        return torch.cat([found.latent_dist.mean, found.latent_dist.logvar], 1)
    return found.latents if hasattr(found, "latents") else found.latent


@torch.no_grad()
def decoded(name, model, latents):
    if is_of_frames(model):
        return (model.decode(latents.unsqueeze(2)).sample.squeeze(2) / 2 + 0.5).clamp(0, 1)
    sample = model.decode(latents).sample
    return (sample if name.startswith("rae") else sample / 2 + 0.5).clamp(0, 1)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", MODELS)
def test_encodings_and_decodings_are_diffusers_own(name, device, saved):
    folder, model = saved(name)
    vae, model = load_vae(str(folder), device=device), copy.deepcopy(model).to(device)
    with computing_on(vae.device, torch.float32):
        want = oracle(name, model, images(name).to(device))
    found = vae.encode(images(name))
    assert found.device.type == device
    torch.testing.assert_close(found, want, rtol=0, atol=1e-5)
    assert found.std() > 1e-3
    _, factor, channels = MODELS[name]
    height, width = images(name).shape[-2:]
    assert found.shape == (2, channels, height // factor, width // factor)
    assert vae.factor == factor
    kind = vae_classes.class_of(vae.identity.config).kind
    assert channels == vae.identity.latent_channels * (2 if kind == "posterior" else 1)
    means = decodable(found, vae.identity)
    with computing_on(vae.device, torch.float32):
        want = decoded(name, model, means)
    torch.testing.assert_close(vae.decode(means), want, rtol=0, atol=1e-5)


def assert_alike(ours, theirs, tolerance):
    """The same bits; on a GPU, which may choose another algorithm each time, the same within a tolerance."""
    if ours.device.type == "cpu":
        assert torch.equal(ours, theirs)
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", MODELS)
def test_bfloat16_is_near_and_shares_no_weights(name, device, saved):
    folder, _ = saved(name)
    vae = load_vae(str(folder), device=device)
    exact = vae.encode(images(name))
    converted, loaded = vae.in_dtype("bfloat16"), load_vae(str(folder), device=device, dtype="bfloat16")
    for half in (converted, loaded):
        kinds = {tensor.dtype for part in (half.encoder, half.decoder) for tensor in part.parameters()}
        assert kinds == {torch.bfloat16}
    ours = converted.encode(images(name))
    assert_alike(ours, loaded.encode(images(name)), 1e-2)
    assert 0 < (ours - exact).norm() / exact.norm() < 0.1
    assert_alike(vae.encode(images(name)), exact, 1e-5)
    means = decodable(exact, vae.identity)
    assert (converted.decode(means) - vae.decode(means)).abs().mean() < 0.05


# Weights that stay on the CPU, and that a device is lent layer by layer.


def on_meta(vae):
    """The same VAE for the device `meta`, which refuses to compute with weights that are on the CPU."""
    for half in (vae.encoder, vae.decoder):
        for layer in filter(lambda layer: not is_lent(layer), half.modules()):
            layer._apply(lambda tensor: tensor.to("meta"), recurse=False)
    return replace(vae, device=torch.device("meta"))


@pytest.mark.parametrize("name", MODELS)
def test_a_device_is_lent_the_weights_of_one_layer_at_a_time(name, saved):
    folder, model = saved(name)
    vae = on_meta(load_vae(str(folder), lends=True))
    halves = vae.encoder, vae.decoder
    layers = list(filter(is_lent, [layer for half in halves for layer in half.modules()]))
    before = [(layer, layer.weight) for layer in layers]
    there = []

    def count(*_):
        there.append(sum(layer.weight.is_meta for layer in set(layers)))

    latents = torch.zeros(1, vae.identity.latent_channels, 2, 2, device="meta")
    values = images(name, 1).float().to("meta")
    for half, given in zip(halves, (values, latents), strict=True):
        with torch.no_grad(), lent_layers(half, vae.device):
            handles = [layer.register_forward_pre_hook(count) for layer in filter(is_lent, half.modules())]
            assert half(given).is_meta
            for handle in handles:
                handle.remove()
        assert len(there) > 3
        assert set(there) == {1}
    assert all(layer.weight is weight for layer, weight in before)
    # Nearly all of them are lent; only in so small a DINOv2 the embeddings of positions have more numbers.
    own = sum(weight.numel() for weight in model.parameters())
    assert sum(weight.numel() for _, weight in before) > (0.3 if name == "rae dinov2" else 0.8) * own


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ["sd15", "wan 2.2", "rae mae"])
def test_what_is_lent_encodes_and_decodes_alike(name, device, saved):
    folder, _ = saved(name)
    lent, whole = (load_vae(str(folder), device=device, lends=lends) for lends in (True, False))
    found = lent.encode(images(name))
    assert_alike(found, whole.encode(images(name)), 1e-5)
    means = decodable(found, lent.identity)
    assert_alike(lent.decode(means), whole.decode(means), 1e-5)
    for dtype, tolerance in (("float32", 1e-5), ("bfloat16", 1e-2)):
        there = lent.in_dtype(dtype)
        assert not there.lends
        assert {weight.device.type for weight in there.encoder.parameters()} == {device}
        assert_alike(there.encode(images(name)), whole.in_dtype(dtype).encode(images(name)), tolerance)
    with pytest.raises(RuntimeError), torch.no_grad(), lent_layers(lent.encoder, torch.device("meta")):
        lent.encoder(torch.zeros(1, 5, 16, 16, device="meta"))
    assert_alike(lent.encode(images(name)), found, 1e-5)  # an error leaves no weight behind


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_weights_of_16_bits_are_not_doubled_on_a_gpu_by_the_trial(
    half, tmp_path, monkeypatch, photos_of_noise
):
    random_model("sd15").to(half).save_pretrained(tmp_path / "half")
    random_model("sd15").save_pretrained(tmp_path / "float32")
    loaded = []

    def load(files, **options):
        loaded.append((options["dtype"], options["lends"]))
        return load_vae(files, **options)

    monkeypatch.setattr(encode, "load_vae", load)
    monkeypatch.setattr(encode, "fast_dtypes", lambda _: ("bfloat16",))

    def first_loaded(vae, dtype="auto"):
        loaded.clear()
        out = tmp_path / f"{vae}-{dtype}-{len(list(tmp_path.iterdir()))}"
        options = {"vae": tmp_path / vae, "size": 16, "device": "cpu", "dtype": dtype}
        lutkit.encode_latents(photos_of_noise, out, **options)
        return loaded[0]

    lends_float32 = encode.lends_float32
    assert first_loaded("half") == ("float32", False)
    # With weights in the memory of a GPU, in name only.
    monkeypatch.setattr(encode, "lends_float32", lambda files, _: lends_float32(files, "cuda:1"))
    assert first_loaded("half") == ("float32", True)
    assert first_loaded("half", "bf16") == ("bfloat16", False)
    assert first_loaded("float32") == ("float32", False)
    files = find_vae(str(tmp_path / "half"))
    assert files.has_half_weights()
    vae, trials = choose_dtype(load_vae(files, lends=True), images("sd15"), ())
    assert [trial.taken for trial in trials] == [True]
    assert not vae.lends


@needs_cuda
def test_a_gpu_never_holds_what_is_lent(tmp_path):
    _kl(width=512, latent_channels=4).bfloat16().save_pretrained(tmp_path / "wide")

    def peak(*, lends):
        before = torch.cuda.memory_allocated()
        vae = load_vae(str(tmp_path / "wide"), device="cuda", lends=lends)
        torch.cuda.reset_peak_memory_stats()
        vae.decode(decodable(vae.encode(images("sd15")), vae.identity))
        return torch.cuda.max_memory_allocated() - before

    peak(lends=False)  # libraries allocate their working memory once
    # Both need the same activations.
    assert peak(lends=True) < peak(lends=False) - (tmp_path / "wide" / WEIGHTS).stat().st_size


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["fp32", "auto"])
def test_a_folder_is_encoded_alike_on_every_device(dtype, device, saved, encoded, photos_of_noise, tmp_path):
    options = {"vae": saved("sd15")[0], "size": 16, "device": device, "dtype": dtype, "mirror": True}
    made = lutkit.encode_latents(photos_of_noise, tmp_path / "out", **options)
    assert (made.samples, made.missing, made.device == "cpu") == (2, 0, device == "cpu")
    ours, want = (read(folder)[:, :4] for folder in (tmp_path / "out", encoded("sd15")))
    assert (ours - want).norm() / want.norm() < (1e-4 if dtype == "fp32" else 3e-2)
    mirrored = load_vae(str(saved("sd15")[0])).encode(noise_codes().flip(3))
    both = torch.stack([sample["image"] for sample in Latents(tmp_path / "out", mirror=True, seed=1)])
    for one, *ways in zip(both, read(encoded("sd15")), mirrored, strict=True):
        assert min((one - way).norm() / way.norm() for way in ways) < 3e-2


# What a network is fed.


class Pipeline:
    """A pipeline without its text encoders and its network: those of its methods that scale latents."""

    def __init__(self, kind, model, **known):
        self.kind, self.vae = kind, model
        self.__dict__ |= {"latent_channels": model.config.get("z_dim"), **known}

    def __getattr__(self, name):
        found = vars(self.kind)[name]
        return found.__get__(self, self.kind)


def by_pipeline(name, model, values):
    """What the pipeline of a family feeds its network, for an image: by diffusers' own methods."""
    pytest.importorskip("transformers")
    import diffusers

    if name.startswith("flux2"):
        return Pipeline(diffusers.Flux2Pipeline, model)._encode_vae_image(values, None)
    if name == "qwen":
        edit = Pipeline(diffusers.QwenImageEditPipeline, model)
        return edit._encode_vae_image(values.unsqueeze(2), None).squeeze(2)
    if name == "flux1":
        draws = torch.Generator().manual_seed(9)
        return Pipeline(diffusers.FluxImg2ImgPipeline, model)._encode_vae_image(values, draws)
    # In `prepare_latents`, with a scheduler that adds no noise.
    silent = SimpleNamespace(add_noise=lambda latents, _noise, _time: latents)
    sizes = {"vae_scale_factor_temporal": 4, "vae_scale_factor_spatial": MODELS[name][1]}
    wan = Pipeline(diffusers.WanVideoToVideoPipeline, model, scheduler=silent, **sizes)
    video = wan.prepare_latents(
        video=values.unsqueeze(2), batch_size=len(values), num_channels_latents=3, height=16, width=16,
        dtype=torch.float32, device=torch.device("cpu"), timestep=torch.zeros(1),
    )  # fmt: skip
    return video.squeeze(2)


def by_formula(name, model, values):
    """The same for every family, as its pipeline's source has it."""
    config, latents = model.config, oracle_of_fed(model, values)
    if name.startswith("rae"):
        return latents  # `encode` has scaled them
    latents = latents if name in ("dc-ae", "taesd") else latents.chunk(2, 1)[0]
    if name.startswith("flux2"):
        b, c, h, w = latents.shape
        squares = latents.reshape(b, c, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4)
        mean, variance = (
            model.state_dict()[f"bn.running_{kind}"].view(1, -1, 1, 1) for kind in ("mean", "var")
        )
        return (squares.reshape(b, 4 * c, h // 2, w // 2) - mean) / torch.sqrt(variance + 1e-4)
    if is_of_frames(model) or name == "sdxl":
        mean, std = (
            torch.tensor(config[key], dtype=torch.float32).view(1, -1, 1, 1)
            for key in ("latents_mean", "latents_std")
        )
        # pipeline_stable_diffusion_xl_img2img.py, `prepare_latents`.
        return (latents - mean) * config.get("scaling_factor", 1) / std
    # Hunyuan image, SANA and TAESD divide by it before they decode; SD 1.5 and FLUX.1 do this.
    return (latents - (config.get("shift_factor") or 0)) * (config.scaling_factor or 1)


@pytest.fixture(scope="module")
def photos_of_noise(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for number in range(2):
        (folder / f"{number}.png").write_bytes(encode_image(textured(number, 16, 16), "png"))
    return folder


@pytest.fixture(scope="module")
def encoded(saved, photos_of_noise, tmp_path_factory):
    """A folder of latents of two photos by the name of a model, made when first asked for."""
    made = {}

    def of(name):
        if name not in made:
            made[name] = tmp_path_factory.mktemp("latents") / "out"
            vae = saved(name)[0]
            lutkit.encode_latents(photos_of_noise, made[name], vae=vae, size=16, device="cpu", dtype="fp32")
        return made[name]

    return of


def noise_codes():
    return torch.stack([torch.from_numpy(textured(i, 16, 16).copy()).permute(2, 0, 1) for i in range(2)])


def noise(name):
    return fed(name, noise_codes())


@torch.no_grad()
def each(way, name, model):
    """One image at a time, as two of them are encoded: in batches of another size, sums differ a little."""
    return torch.cat([way(name, model, image[None]) for image in noise(name)])


def read(folder, **options):
    return torch.stack([sample["image"] for sample in Latents(folder, **options)])


@pytest.mark.parametrize("name", MODELS)
def test_scaled_latents_are_what_the_formula_of_the_pipeline_gives(name, saved, encoded):
    _, model = saved(name)
    want = each(by_formula, name, model)
    found = read(encoded(name), scaled=True)[:, : want.shape[1]]
    torch.testing.assert_close(found, want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["flux2", "qwen", "wan 2.1", "wan 2.2"])
def test_scaled_latents_are_what_the_pipeline_feeds_its_network(name, saved, encoded):
    _, model = saved(name)
    want = each(by_pipeline, name, model)
    found = read(encoded(name), scaled=True)[:, : want.shape[1]]
    torch.testing.assert_close(found, want, rtol=1e-6, atol=1e-6)


def test_scaled_draws_are_what_the_pipeline_feeds_its_network(saved, encoded):
    _, model = saved("flux1")
    with torch.no_grad():
        want = by_pipeline("flux1", model, noise("flux1"))
    by = read_latent_index(encoded("flux1")).vae.scaling()
    drawn = sample_posterior(read(encoded("flux1")), torch.Generator().manual_seed(9))
    torch.testing.assert_close(scale_latents(drawn, by.scale, by.shift), want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_the_index_says_what_was_stored_and_sheets_show_it(name, saved, encoded, photos_of_noise, tmp_path):
    index = read_latent_index(encoded(name))
    points = name in ("dc-ae", "taesd") or name.startswith("rae")
    assert index.encoding.kind == json.loads((encoded(name) / "dataset.json").read_text())["encoding"]["kind"]
    assert index.encoding.kind == ("point" if points else "posterior")
    assert index.encoding.input_range == ("0,1" if name.startswith("rae") else "-1,1")
    assert index.vae.patch == (2 if name.startswith("flux2") else 1)
    assert ("point" in index.encoding.kind) == ("no variance" in (encoded(name) / "README.md").read_text())
    folder, model = saved(name)
    shown = lutkit.decode_latents(
        encoded(name), tmp_path / "sheet.png", vae=folder, images=photos_of_noise, n=2
    )
    want = decoded(name, model, decodable(read(encoded(name)), index.vae))
    for one, image in zip(shown.decodings, want, strict=True):
        np.testing.assert_allclose(one.decoded, image.permute(1, 2, 0) * 255, rtol=0, atol=0.51)
    assert [one.field for one in shown.measured] == ["image", "image"]


@pytest.mark.parametrize(
    ("name", "said", "on_card"),
    [
        ("sd15", "scaling 0.18215, shift 0 (not applied)", "(sample - 0) * 0.18215"),
        (
            "wan 2.1",
            "scaling by means and deviations of channels (not applied)",
            "latents_mean) / latents_std",
        ),
        ("rae mae", "scaled by the model", "has no variance, scaled by the VAE itself."),
    ],
)
def test_the_summary_and_the_card_say_how_latents_are_scaled(
    name, said, on_card, saved, encoded, photos_of_noise
):
    again = lutkit.encode_latents(photos_of_noise, encoded(name), vae=saved(name)[0], size=16, device="cpu")
    assert dict(encoded_rows(again.encoded))["VAE"] == f"small, {said}"
    assert on_card in (encoded(name) / "README.md").read_text()


def test_points_are_not_drawn(encoded):
    assert torch.equal(read(encoded("taesd"), draw=True), read(encoded("taesd")))
    scaled = read(encoded("dc-ae"), draw=True, scaled=True)
    torch.testing.assert_close(scaled, 0.41 * read(encoded("dc-ae")))


def test_a_run_of_points_goes_on(saved, encoded, photos_of_noise):
    folder = encoded("dc-ae")
    before = {path: path.read_bytes() for path in folder.rglob("*.tar")}
    again = lutkit.encode_latents(photos_of_noise, folder, vae=saved("dc-ae")[0], size=16, device="cpu")
    assert (again.built, again.samples) == (0, 2)
    (folder / "records/photos-000000.json").unlink()
    again = lutkit.encode_latents(photos_of_noise, folder, vae=saved("dc-ae")[0], size=16, device="cpu")
    assert again.built == 1
    assert {path: path.read_bytes() for path in folder.rglob("*.tar")} == before


def test_latents_without_whole_squares_are_not_scaled(tmp_path):
    from small_latents import ENCODING, VAE

    vae = replace(VAE, patch=2, latents_mean=(0.0,) * 16, latents_std=(1.0,) * 16)
    make_latents(tmp_path / "odd", {"train": [1]}, vae=vae, encoding=ENCODING)
    with pytest.raises(
        DatasetError, match=r"latents of 5 x 6 have no whole squares of 2 x 2.*leave out scaled"
    ):
        Latents(tmp_path / "odd", scaled=True)


# Dtypes, sizes and layers.


def test_points_are_compared_without_variances(saved):
    vae = load_vae(str(saved("dc-ae")[0]))
    taken, trials = choose_dtype(vae, images("dc-ae"), ("bfloat16",))
    assert [(trial.sigmas, trial.nats, trial.l2_logvar) for trial in trials] == [(None, None, None)] * 2
    assert trials[0].l2_mean == 0 < trials[1].l2_mean < 0.1
    assert taken.dtype in ("float32", "bfloat16")
    rows = tuple(trial.row() for trial in trials)
    encoding = Encoding("float32", "float32", "cpu", "-1,1", (4, 2, 2), rows, "point")
    assert "latents off by" in ready_lines(encoding)[2]


# A representation autoencoder's largest tensors are those of its hidden layers, far below what is assumed.
@pytest.mark.parametrize("name", [name for name in MODELS if not name.startswith("rae")])
def test_no_tensor_at_full_size_has_more_than_is_counted(name, saved):
    folder, _ = saved(name)
    vae = load_vae(str(folder))
    height, width = images(name).shape[-2:]
    largest = 0

    def watch(_module, inputs, output):
        nonlocal largest
        for tensor in (*inputs, output):
            largest = max(largest, tensor.numel() if isinstance(tensor, torch.Tensor) else 0)

    hooks = [
        module.register_forward_hook(watch)
        for part in (vae.encoder, vae.decoder)
        for module in part.modules()
    ]
    encoded_one = vae.encode(images(name, 1))
    pixels = (height + 1) * (width + 1)
    assert largest <= vae_classes.widest_encoded(vae.identity) * pixels
    largest = 0
    vae.decode(decodable(encoded_one, vae.identity))
    assert largest <= vae_classes.widest_decoded(vae.identity) * pixels
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_are_loaded_without_a_copy_in_float32(dtype, saved, tmp_path):
    folder, _ = saved("sd15")
    (tmp_path / "half").mkdir()
    (tmp_path / "half/config.json").write_bytes((folder / "config.json").read_bytes())
    halves = {name: tensor.to(dtype) for name, tensor in load_file(folder / WEIGHTS).items()}
    save_file(halves, tmp_path / "half" / WEIGHTS)

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __init__(self):
            super().__init__()
            self.floats = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            found = function(*args, **(kwargs or {}))
            for tensor in found if isinstance(found, (list, tuple)) else [found]:
                if isinstance(tensor, torch.Tensor) and tensor.dtype == torch.float32 and not tensor.is_meta:
                    self.floats += tensor.numel()
            return found

    with Watch() as watch:
        load_vae(str(tmp_path / "half"), dtype="bfloat16")
    assert watch.floats == 0
    with Watch() as watch:
        load_vae(str(tmp_path / "half")).in_dtype("bfloat16")
    assert watch.floats > 0


# What can be wrong.


def refused(folder, match):
    with pytest.raises(VaeError, match=match) as caught:
        load_vae(str(folder))
    assert "\n" not in str(caught.value)


def changed(folder, tmp_path, **changes):
    """A copy of a VAE's folder with another config."""
    (tmp_path / "copy").mkdir()
    config = {**json.loads((folder / "config.json").read_text()), **changes}
    (tmp_path / "copy/config.json").write_text(json.dumps(config))
    (tmp_path / "copy" / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes())
    return tmp_path / "copy"


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        (
            "wan 2.1",
            {"_class_name": "AutoencoderKLCogVideoX"},
            "class AutoencoderKLCogVideoX; the known classes",
        ),
        ("wan 2.1", {"latents_mean": None}, "latents_mean or latents_std is missing"),
        ("wan 2.1", {"latents_mean": [1.0, 2.0]}, "2 means and 3 deviations for 3 channels"),
        ("wan 2.1", {"latents_std": [1.0, 0.0, 1.0]}, "a standard deviation is 0"),
        ("wan 2.1", {"latents_std": "small"}, "latents_std is not a list"),
        ("wan 2.1", {"dim_mult": [1, 2.5]}, r"dim_mult is \[1, 2.5\]"),
        ("wan 2.1", {"z_dim": -3}, "z_dim is -3"),
        ("hunyuan", {"spatial_compression_ratio": 0}, "spatial_compression_ratio is 0"),
        ("taesd", {"encoder_block_out_channels": []}, r"encoder_block_out_channels is \[\]"),
    ],
)
def test_configs_that_mean_nothing_are_refused(name, changes, said, saved, tmp_path):
    refused(changed(saved(name)[0], tmp_path, **changes), said)


def test_a_class_that_the_installed_diffusers_lacks_is_named(saved, monkeypatch):
    folder = saved("flux2")[0]
    files = find_vae(str(folder))
    monkeypatch.setattr(autoencoders, "import_module", lambda _: SimpleNamespace())
    with pytest.raises(
        VaeError, match=r"diffusers [0-9.]+ has no AutoencoderKLFlux2; install a newer diffusers"
    ):
        load_vae(files)


@pytest.mark.parametrize("break_it", [lambda data: data[:40], lambda data: b"\xff" * 8 + data[8:]])
def test_running_statistics_that_cannot_be_read_are_one_line(break_it, saved, tmp_path):
    folder = changed(saved("flux2")[0], tmp_path)
    (folder / WEIGHTS).write_bytes(break_it((folder / WEIGHTS).read_bytes()))
    refused(folder, "cannot be read as safetensors: .*download the file again")


def test_running_statistics_are_read_in_any_dtype(saved, tmp_path):
    folder = changed(saved("flux2")[0], tmp_path)
    exact = find_vae(str(folder)).identity()
    weights = load_file(folder / WEIGHTS)
    for dtype, tolerance in ((torch.bfloat16, 4e-3), (torch.float16, 5e-4), (torch.float64, 1e-9)):
        save_file(
            {n: t.to(dtype) if t.is_floating_point() else t for n, t in weights.items()}, folder / WEIGHTS
        )
        found = find_vae(str(folder)).identity()
        np.testing.assert_allclose(found.latents_mean, exact.latents_mean, rtol=tolerance, atol=1e-9)
        np.testing.assert_allclose(found.latents_std, exact.latents_std, rtol=tolerance)
    del weights["bn.running_var"]
    save_file(weights, folder / WEIGHTS)
    refused(folder, "bn.running_var is missing")


def test_loading_prints_nothing(saved, capfd):
    for name in ("rae mae", "wan 2.1"):
        load_vae(str(saved(name)[0]), dtype="bfloat16")
    assert capfd.readouterr() == ("", "")


def test_a_vae_of_one_size_says_which(saved):
    vae = load_vae(str(saved("rae dinov2")[0]))
    with pytest.raises(VaeError, match="an image of 24 x 16 px, but this VAE takes 16 x 16 px only"):
        vae.encode(torch.zeros(1, 3, 16, 24, dtype=torch.uint8))


def test_configs_of_models_in_use_have_the_latents_that_they_are_known_for():
    # The sizes that the table gives for 256 px, from the shapes of the published configs.
    known = {
        "AutoencoderKLQwenImage": ({"latents_mean": [0.0] * 16, "latents_std": [1.0] * 16}, (16, 8)),
        "AutoencoderDC": ({}, (32, 32)),
        "AutoencoderTiny": ({}, (4, 8)),
        "AutoencoderKLHunyuanImage": (
            {"latent_channels": 64, "spatial_compression_ratio": 32, "block_out_channels": [128] * 6},
            (64, 32),
        ),
        "AutoencoderRAE": ({}, (768, 16)),
    }
    for name, (config, (channels, factor)) in known.items():
        numbers = vae_classes.numbers_of({"_class_name": name, **config}, lambda _: ())
        identity = VaeIdentity(name, "", "0" * 64, {"_class_name": name, **config}, 1.0, 0.0, channels)
        assert (numbers.latent_channels, vae_classes.factor_of(identity)) == (channels, factor)
    assert vae_classes.only_size_of(identity) == 256
