"""The latent balancer and the direct network: known changes of colour, training, and what is refused."""

import json
import signal

import colour
import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image
from small_datasets import build, make_photos, manifest_of, textured
from small_models import build_pairs
from small_vaes import StandInVae, one_thread, save_vae

import lutkit
from lutkit.balancing.balance import load_balancer
from lutkit.balancing.balancer_training import Batch
from lutkit.balancing.color_map import Window
from lutkit.balancing.image_balancers import DirectBalancer, LatentBalancer
from lutkit.balancing.latent_training import DecodedTraining
from lutkit.balancing.latent_unet import LatentUnet
from lutkit.balancing.models import load_model
from lutkit.balancing.pixel_unet import PixelUnet
from lutkit.balancing.unet import UNet
from lutkit.errors import DatasetError, ImageError, LutkitError, SourceError, VaeError
from lutkit.training.train import TrainSettings

IMAGE = textured(4, 120, 90)
SHIFT = np.array([0.12, -0.05, 0.03])
# One fault only, always in the same direction: what a network can learn in seconds.
ONE_FAULT = lutkit.DamageSettings(
    families={"tone_curve": 1.0}, severity=(6, 10), mixed_light=0.0, max_families=1
)
VAE_BLOCKS = (8, 8, 8, 8)


def shifting_unet():
    """A network that adds SHIFT to the colours of the stand-in VAE's pixels, and leaves log-variances."""
    network = LatentUnet(12, (8,)).eval()
    # The stand-in's channels are R at four places, then G, then B, in -1..1.
    with torch.no_grad():
        network.change.last.bias[:12] = torch.from_numpy(2 * SHIFT.repeat(4)).float()
    return network


def shifting_pixels():
    network = PixelUnet((8,)).eval()
    with torch.no_grad():
        network.change.last.bias.copy_(torch.from_numpy(SHIFT))
    return network


BALANCERS = {
    "latent": lambda fit: LatentBalancer(shifting_unet(), StandInVae(), 96, fit),
    "direct": lambda fit: DirectBalancer(shifting_pixels(), 96, fit),
}


@pytest.mark.parametrize("fit", ["lut", "polynomial", "mlp"])
@pytest.mark.parametrize("kind", BALANCERS)
def test_a_known_change_of_colour_reaches_the_photo_at_its_full_size(kind, fit):
    found = lutkit.balance(IMAGE, BALANCERS[kind](fit)) / 255
    expected = (IMAGE / 255 + SHIFT).clip(0, 1)
    assert abs(found - expected).mean() < (0.003 if fit == "lut" else 0.012)


def test_passes_compose():
    # The second pass makes half of its change.
    found = lutkit.balance(IMAGE, BALANCERS["direct"]("lut"), passes=2, strength=0.5) / 255
    expected = ((IMAGE / 255 + SHIFT).clip(0, 1) + SHIFT / 2).clip(0, 1)
    assert abs(found - (IMAGE / 255 + expected) / 2).mean() < 0.006


class _Halves:
    """A network whose left half becomes redder and whose right half bluer."""

    def color_maps(self, image, windows, size):
        from lutkit.balancing.image_balancers import _learned

        tensor = torch.from_numpy(image).permute(2, 0, 1)[None]
        changed = tensor.clone()
        half = image.shape[1] // 2
        changed[:, 0, :, :half] += 0.2
        changed[:, 2, :, half:] += 0.2
        return _learned(tensor, changed.clamp(0, 1), image.shape[:2], windows, size, "lut", 0.0)


def test_a_change_that_no_lut_can_make_has_a_residual_and_parts_follow_it():
    seen = (textured(8, 160, 96) / 255).astype(np.float32) * 0.7
    whole = _Halves().color_maps(seen, [Window(0, 96, 0, 160)], 5)
    left = _Halves().color_maps(seen, [Window(10, 90, 0, 70)], 5)
    assert whole.residual > 3
    assert left.residual < 0.5
    photo = np.rint(seen * 255).astype(np.uint8)
    local = lutkit.balance(photo, _Halves(), local=True).astype(float) - photo
    assert local[:, :15, 0].mean() > 40
    assert local[:, :15, 2].mean() < 8
    assert local[:, -15:, 2].mean() > 40


def test_a_u_net_takes_any_size_and_begins_with_nothing():
    network = UNet(5, 3, (8, 16, 24)).eval()
    values = torch.randn(2, 5, 13, 22)
    assert torch.equal(network(values), torch.zeros(2, 3, 13, 22))
    torch.nn.init.normal_(network.last.weight, std=0.1)
    whole = network(values)
    assert whole.shape == (2, 3, 13, 22)
    assert torch.allclose(network(values[1:]), whole[1:], atol=1e-5)
    assert not any(isinstance(part, torch.nn.Dropout) and part.p for part in network.modules())


def test_normalising_does_not_change_what_the_network_begins_with():
    moments = torch.randn(30, 8, 5, 4) * torch.arange(1, 9)[None, :, None, None] - 20
    network = LatentUnet(4)
    network.normalise_by(moments)
    flat = moments.transpose(0, 1).flatten(1).numpy()
    np.testing.assert_allclose(network.mean.flatten(), flat.mean(1), rtol=1e-4)
    np.testing.assert_allclose(network.spread.flatten(), flat.std(1, ddof=1), rtol=1e-4)
    assert torch.equal(network(moments), moments)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LatentUnet(0), "channels is 0"),
        (lambda: LatentUnet(4, (12,)), r"widths are \[12\]; give multiples of 8"),
        (lambda: PixelUnet(()), r"widths are \[\]"),
        (lambda: PixelUnet((8,), 1.0), "dropout is 1.0"),
    ],
)
def test_impossible_networks_are_refused(make, message):
    with pytest.raises(LutkitError, match=message):
        make()


# Training on latents.


@pytest.fixture(scope="module")
def latents(tmp_path_factory):
    """A folder with a VAE, pairs and their latents, 32 px: 8 x 4 x 4."""
    folder = tmp_path_factory.mktemp("latents")
    photos = make_photos(folder / "photos", 24)
    build(
        manifest_of(photos, n=96, splits=(("train", 0.75), ("val", 0.25)), damage=ONE_FAULT, size_px=32),
        folder / "pairs",
    )
    # With the wide posteriors of random weights, no divergence would tell one image from another.
    narrow = save_vae(folder / "vae", block_out_channels=VAE_BLOCKS, seed=1)
    with torch.no_grad():
        narrow.quant_conv.bias[4:] -= 9
    narrow.save_pretrained(folder / "vae")
    save_vae(folder / "other", block_out_channels=VAE_BLOCKS, seed=2)
    with one_thread():
        lutkit.encode_latents(folder / "pairs", vae=folder / "vae", out=folder / "latents", dtype="fp32",
                              device="cpu")  # fmt: skip
    return folder


OPTIONS = {"steps": 12, "validate": 6, "device": "cpu", "width": 16}


def weights_of(folder):
    return (folder / "model.safetensors").read_bytes()


def test_a_balancer_is_measured_on_decoded_images_and_balances_photos(latents, tmp_path):
    notes = []
    made = lutkit.train_balancer(
        latents / "latents", tmp_path / "m", vae=latents / "vae", **OPTIONS,
        on_progress=lambda now: notes.extend(now.notes),
    )  # fmt: skip
    assert (made.architecture, made.unit, made.steps) == ("latent-balancer", "delta E 2000", 12)
    assert [note.partition(":")[0] for note in notes] == ["step 6", "step 12"]
    vae = AutoencoderKL.from_pretrained(latents / "vae")
    found = []
    for sample in lutkit.read_latents(latents / "latents", split="val", metadata=False):
        with torch.no_grad():
            images = [vae.decode(sample[name][None, :4]).sample[0] for name in ("input", "target")]
        labs = [
            colour.XYZ_to_Lab(
                colour.sRGB_to_XYZ(((one + 1) / 2).clamp(0, 1).permute(1, 2, 0).double().numpy())
            )
            for one in images
        ]
        found.append(colour.delta_E(*labs, method="CIE 2000").mean())
    assert made.before == pytest.approx(np.mean(found), abs=0.02)
    config = json.loads((tmp_path / "m/config.json").read_text())
    index = json.loads((latents / "latents/dataset.json").read_text())
    assert (config["channels"], config["side"], config["moments"]) == (4, 32, "unscaled")
    assert config["vae"]["sha256"] == index["vae"]["sha256"]
    assert config["data"]["source"] == index["source"]
    assert (
        "lutkit balance PHOTOS --model THIS_FOLDER --vae ITS_VAE -o fixed"
        in (tmp_path / "m/README.md").read_text()
    )
    Image.fromarray(IMAGE).save(tmp_path / "a.png")
    done = lutkit.balance_photos(
        tmp_path / "a.png", tmp_path / "b.png", model=tmp_path / "m", vae=latents / "vae",
        export=tmp_path / "look.cube",
    )  # fmt: skip
    assert done.written == 1
    again = lutkit.apply(IMAGE, lutkit.read_lut(tmp_path / "look.cube"))
    assert abs(again.astype(int) - np.asarray(Image.open(tmp_path / "b.png"))).max() <= 1
    again = LatentUnet.from_pretrained(tmp_path / "m")
    assert torch.equal(again.change.first.weight, load_model(tmp_path / "m").change.first.weight)


def test_the_loss_is_the_divergence_and_without_a_vae_it_is_the_measure(latents, tmp_path):
    made = lutkit.train_balancer(latents / "latents", tmp_path / "m", **OPTIONS)
    assert made.unit == "nats"
    # What `before` is: torch's own divergence of the stored posteriors, with variances of at least e^-2 of
    # each channel's own over the training inputs.
    train = torch.stack(
        [
            sample["input"][:4].double()
            for sample in lutkit.read_latents(latents / "latents", split="train", metadata=False)
        ]
    )
    floor = -2 + 2 * train.transpose(0, 1).flatten(1).std(1).log()[:, None, None]
    reader = lutkit.read_latents(latents / "latents", split="val", metadata=False)
    found = []
    for sample in reader:
        (mean, log), (goal, goal_log) = (sample[name].double().chunk(2) for name in ("input", "target"))
        log, goal_log = torch.maximum(log, floor), torch.maximum(goal_log, floor)
        kl = torch.distributions.kl_divergence(
            torch.distributions.Normal(goal, (0.5 * goal_log).exp()),
            torch.distributions.Normal(mean, (0.5 * log).exp()),
        )
        found.append(float(kl.mean()))
    assert made.before == pytest.approx(sum(found) / len(found), rel=1e-4)


def test_a_stop_changes_nothing(latents, tmp_path):
    def stop(now):
        if (now.stage, now.done) == ("steps", 7) and not now.notes:
            signal.raise_signal(signal.SIGINT)

    lutkit.train_balancer(latents / "latents", tmp_path / "whole", **OPTIONS)
    with pytest.raises(KeyboardInterrupt):
        lutkit.train_balancer(latents / "latents", tmp_path / "cut", **OPTIONS, on_progress=stop)
    lutkit.train_balancer(latents / "latents", tmp_path / "cut", **OPTIONS)
    assert weights_of(tmp_path / "cut") == weights_of(tmp_path / "whole")


class _Watchful:
    """A VAE that says in what precision it decodes."""

    def __init__(self):
        self.weights = torch.rand(3, 4, 1, 1)
        self.dtypes = set()

    def decode(self, latents):
        images = torch.nn.functional.conv2d(latents, self.weights)
        self.dtypes |= {latents.dtype, images.dtype}
        return images.sigmoid()


def test_decodings_are_measured_in_float32_though_the_network_computes_in_16_bits():
    settings = TrainSettings(
        steps=1, minutes=0, validate=1, learning_rate=1e-3, weight_decay=0, seed=0, device="cpu", devices=1,
        precision="bf16-mixed", log="csv",
    )  # fmt: skip
    module = DecodedTraining(LatentUnet(4, (8,)), settings, _Watchful())
    torch.nn.init.normal_(module.network.change.last.weight)
    moments = torch.randn(2, 8, 4, 4)
    batch = Batch(moments, moments + 1, ("a", "b"))
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        error = module.error(batch)
        found = module.corrected(moments)
    assert module.vae.dtypes == {torch.float32}
    exact = module.difference(found.float(), batch.targets)
    assert torch.equal(error, exact)


def test_another_vae_is_refused_and_both_are_named(latents, tmp_path, monkeypatch):
    lutkit.train_balancer(latents / "latents", tmp_path / "m", **OPTIONS)
    with pytest.raises(DatasetError, match=r"'vae', whose location is not recorded; name that VAE with vae"):
        load_balancer(tmp_path / "m")
    monkeypatch.chdir(latents.parent)
    with pytest.raises(VaeError, match="/vea: no such folder; name a folder"):
        load_balancer(tmp_path / "m", vae=f"{latents.name}/vea")
    with pytest.raises(DatasetError, match=r"the VAE 'other' has .* of 'vae', [0-9a-f]{12}; name 'vae' with"):
        load_balancer(tmp_path / "m", vae=latents / "other")
    with pytest.raises(DatasetError, match="the latents were made with"):
        lutkit.train_balancer(latents / "latents", tmp_path / "n", vae=latents / "other", **OPTIONS)
    assert not (tmp_path / "n").exists()
    with pytest.raises(LutkitError, match=r"^fit is 'spline'; choose from lut, polynomial, mlp"):
        load_balancer(tmp_path / "m", vae=latents / "vae", fit="spline")
    small = load_balancer(tmp_path / "m", vae=latents / "vae")
    with pytest.raises(ImageError, match=r"an image of 30 x 5 px, but the VAE needs at least 8 x 8"):
        small.color_maps(np.zeros((5, 30, 3), np.float32), [Window(0, 5, 0, 30)], 9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 24}, "--width is 24; give a multiple of 16"),
        ({"unchanged": 1}, "--unchanged is 1"),
        ({"weight_decay": -1}, "--weight-decay is -1"),
        ({"weight_decay": "0"}, "--weight-decay is '0'; give a number"),
    ],
)
def test_impossible_options_of_a_balancer_are_refused(options, message, latents, tmp_path):
    with pytest.raises(LutkitError, match=message):
        lutkit.train_balancer(latents / "latents", tmp_path / "m", **{**OPTIONS, **options})
    assert not (tmp_path / "m").exists()


def test_pairs_and_latents_of_single_images_are_refused(latents, tmp_path):
    with pytest.raises(
        DatasetError, match="holds images, not latents; encode it with `lutkit encode-latents`"
    ):
        lutkit.train_balancer(latents / "pairs", tmp_path / "m", **OPTIONS)
    with one_thread():
        lutkit.encode_latents(latents / "photos", vae=latents / "vae", out=tmp_path / "single", size=32,
                              dtype="fp32", device="cpu")  # fmt: skip
    with pytest.raises(DatasetError, match=r"no split 'train'"):
        lutkit.train_balancer(tmp_path / "single", tmp_path / "m", **OPTIONS)


# The direct network.


def test_the_direct_network_learns_and_balances(tmp_path):
    build(
        manifest_of(make_photos(tmp_path / "photos", 24), n=48, splits=(("train", 0.75), ("val", 0.25)),
                    damage=ONE_FAULT, size_px=32),
        tmp_path / "pairs",
    )  # fmt: skip
    options = {"steps": 24, "validate": 12, "device": "cpu", "size": 32, "width": 8, "learning_rate": 3e-3}
    made = lutkit.train_direct(tmp_path / "pairs", tmp_path / "m", **options, dropout=0.1, unchanged=0)
    assert (made.architecture, made.pairs + 0) == (
        "direct",
        len(lutkit.pairs(tmp_path / "pairs", split="train")),
    )
    assert made.validation < made.before
    balancer = load_balancer(tmp_path / "m", fit="polynomial")
    assert (balancer.side, balancer.fit, balancer.network.dropout) == (32, "polynomial", 0.1)
    assert lutkit.balance(IMAGE, balancer).shape == IMAGE.shape

    def stop(now):
        if (now.stage, now.done) == ("steps", 11):
            signal.raise_signal(signal.SIGINT)

    again = {**options, "dropout": 0.1, "unchanged": 0}
    with pytest.raises(KeyboardInterrupt):
        lutkit.train_direct(tmp_path / "pairs", tmp_path / "cut", **again, on_progress=stop)
    lutkit.train_direct(tmp_path / "pairs", tmp_path / "cut", **again)
    assert weights_of(tmp_path / "cut") == weights_of(tmp_path / "m")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 20}, "--size is 20; choose from 32 to 1024"),
        ({"width": 12}, "--width is 12; give a multiple of 8"),
        ({"dropout": 1}, "--dropout is 1; choose from 0 to below 1"),
    ],
)
def test_impossible_options_of_the_direct_network_are_refused(options, message, tmp_path):
    with pytest.raises(LutkitError, match=message):
        lutkit.train_direct(tmp_path / "pairs", tmp_path / "m", **options)


def test_a_config_of_another_kind_is_one_line(tmp_path):
    build_pairs(tmp_path, n=24)
    lutkit.train_direct(tmp_path / "pairs", tmp_path / "m", steps=1, device="cpu", size=32, width=8)
    path = tmp_path / "m/config.json"
    config = json.loads(path.read_text())
    for change, message in (
        ({"widths": ["8"]}, "not a model: widths is not a list of whole numbers"),
        ({"widths": [9]}, r"not a model: widths are \[9\]"),
        ({"side": "big"}, "not a model: side is not a whole number"),
        ({"architecture": "latent-balancer", "channels": 4}, "the weights cannot be read"),
    ):
        path.write_text(json.dumps(config | change))
        with pytest.raises(SourceError, match=message):
            load_balancer(tmp_path / "m")
    path.write_text(json.dumps(config))
    with pytest.raises(VaeError):
        load_model("nobody/has-this-model")
