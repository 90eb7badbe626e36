"""A small VAE: it begins as a linear code, learns from there, and is saved as lutkit reads VAEs."""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from small_vaes import one_thread

from lutkit.latents.vae import load_vae
from lutkit.nn.color import srgb_to_lab
from lutkit.nn.color_losses import delta_e_2000
from lutkit.training.train import one_cycle

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
WIDTHS = [16, 20, 24, 32]


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    with one_thread():
        import train_vae

        yield train_vae
    sys.modules.pop("train_vae", None)


@pytest.fixture
def photos(script):
    """The photos that ship with lutkit."""
    return script.read_photos("sample", lambda _: None)[0]


def blocks_of(pixels):
    """The blocks of 8 x 8 px of (B, H, W, 3) images, (n, 192), of -1..1: rows, columns, channels."""
    count, height, width, _ = pixels.shape
    cut = pixels.reshape(count, height // 8, 8, width // 8, 8, 3).transpose(0, 1, 3, 2, 4, 5)
    return cut.reshape(-1, 192) / 127.5 - 1


def psnr_of(decoded, pixels):
    """The mean PSNR of images, (B, H, W, 3) of 0..1."""
    squares = ((np.clip(decoded, 0, 1) - pixels / 255) ** 2).mean((1, 2, 3))
    return float((-10 * np.log10(squares)).mean())


def by_components(pixels, count):
    """Images from the first principal components of their own blocks, in numpy alone."""
    blocks = blocks_of(pixels)
    axes = np.linalg.svd(blocks - blocks.mean(0), full_matrices=False)[2][:count]
    kept = (blocks - blocks.mean(0)) @ axes.T @ axes + blocks.mean(0)
    images, height, width, _ = pixels.shape
    tiles = kept.reshape(images, height // 8, width // 8, 8, 8, 3).transpose(0, 1, 3, 2, 4, 5)
    return (tiles.reshape(pixels.shape) + 1) / 2


def block_delta_e(decoded, pixels):
    means = [
        torch.from_numpy(np.clip(values, 0, 1)).float().permute(0, 3, 1, 2).unfold(2, 8, 8).unfold(3, 8, 8)
        for values in (decoded, pixels / 255)
    ]
    labs = [srgb_to_lab(values.mean((4, 5))) for values in means]
    return float(delta_e_2000(*labs).mean())


def decoded(vae, pixels):
    """What a VAE makes of images, by lutkit's rules, (B, H, W, 3) of 0..1."""
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        found = vae.decode(vae.encode(2 * images - 1).latent_dist.mean).sample
    return ((found + 1) / 2).permute(0, 2, 3, 1).numpy()


def began(script, pixels):
    code = script.linear_code(2 * script.as_images(pixels) - 1)
    torch.manual_seed(0)
    return script.build_vae(WIDTHS, code)


def test_the_encoder_begins_as_the_principal_components_of_mean_colours_and_of_the_rest(script, photos):
    vae = began(script, photos.pixels)
    with torch.no_grad():
        posterior = vae.encode(2 * script.as_images(photos.pixels) - 1).latent_dist
    latents = posterior.mean.permute(0, 2, 3, 1).reshape(-1, 4).numpy()
    blocks = blocks_of(photos.pixels)
    means = blocks.reshape(-1, 64, 3).mean(1)
    colors = (means - means.mean(0)) @ np.linalg.svd(means - means.mean(0), full_matrices=False)[2].T
    rest = (blocks.reshape(-1, 64, 3) - means[:, None]).reshape(-1, 192)
    rest = rest - rest.mean(0)
    details = rest @ np.linalg.svd(rest, full_matrices=False)[2][:2].T
    gradients = [details[:, 0] + details[:, 1], details[:, 0] - details[:, 1]]
    for number in range(3):
        assert abs(np.corrcoef(latents[:, number], colors[:, number])[0, 1]) > 0.9999
    assert max(abs(np.corrcoef(latents[:, 3], one)[0, 1]) for one in gradients) > 0.9999
    np.testing.assert_allclose(latents.mean(0), 0, atol=0.01)
    np.testing.assert_allclose(latents.std(0), 1, atol=0.01)
    assert posterior.logvar.mean().item() == pytest.approx(script.FIRST_LOG_VARIANCE, abs=0.5)


def test_exposure_and_size_do_not_change_what_a_block_is_encoded_to(script, photos):
    vae = began(script, photos.pixels)
    whole = script.as_images(photos.pixels) * 2 - 1
    with torch.no_grad():
        found = vae.encode(whole).latent_dist.mean[..., 4:12, 4:12]
        part = vae.encode(whole[..., 32:96, 32:96]).latent_dist.mean
        dark = vae.encode(whole * 0.25 - 0.75).latent_dist.mean[..., 4:12, 4:12]
        code = script.linear_code(whole)
    np.testing.assert_allclose(part, found, atol=0.02)
    # The code is linear: a quarter of the exposure is a quarter of the latent, and a step toward black.
    black = -0.75 * code.filters.sum((1, 2, 3)) - 0.75 * code.means
    np.testing.assert_allclose(dark, found * 0.25 + black[:, None, None], atol=0.02)


def test_it_begins_near_the_components_and_keeps_colours_better_after_a_few_steps(script, photos):
    vae = began(script, photos.pixels)
    components = by_components(photos.pixels, 4)
    first = decoded(vae, photos.pixels)
    # Three components are as many as the mean colours, which the first decoder interpolates.
    assert psnr_of(first, photos.pixels) > psnr_of(by_components(photos.pixels, 3), photos.pixels) - 1.5
    assert block_delta_e(first, photos.pixels) < 0.8 * block_delta_e(components, photos.pixels)

    settings = script.TrainSettings(
        steps=60, minutes=0, validate=60, learning_rate=1e-3, weight_decay=0, seed=0, device="cpu", devices=1,
        precision="32-true", log="csv",
    )  # fmt: skip
    module = script.VaeTraining(vae, settings, lambda _: None)
    batches = script.CropBatches(photos, seed=0, crop_px=32, size=8)
    optimizer = torch.optim.Adam(vae.parameters())
    losses = []
    for step in range(settings.steps):
        optimizer.param_groups[0]["lr"] = settings.learning_rate * one_cycle(step / settings.steps)
        loss = module.loss(batches.at(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])
    last = decoded(vae, photos.pixels)
    # These components are those of the very photographs, and training has seen 480 crops.
    assert psnr_of(last, photos.pixels) > psnr_of(components, photos.pixels) - 1
    assert block_delta_e(last, photos.pixels) < 0.7 * block_delta_e(components, photos.pixels)


def test_a_folder_that_cannot_be_written_is_one_line(script, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(script, "READ_PX", 64)
    (tmp_path / "file").write_text("")
    assert run(script, tmp_path / "file/vae") == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith(f"lutkit: {tmp_path}/file")
    assert "cannot be read or written: " in said[-1]
    assert not any("Traceback" in line for line in said)


def run(script, out, steps=4):
    widths = ",".join(map(str, WIDTHS))
    options = ["--widths", widths, "--precision", "32-true", "--device", "cpu", "--seed", "3"]
    return script.main(["sample", "-o", str(out), "--steps", str(steps), *options])


def test_a_run_that_was_stopped_ends_with_the_same_bytes_and_lutkit_reads_them(
    script, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(script, "READ_PX", 64)
    assert run(script, tmp_path / "whole") == 0
    shown = capsys.readouterr()
    assert "held out" in shown.out
    assert "damaged" in shown.out

    at = script.CropBatches.at

    def stopped_at(self, step):
        if step == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return at(self, step)

    with monkeypatch.context() as patched:
        patched.setattr(script.CropBatches, "at", stopped_at)
        assert run(script, tmp_path / "parts") == 130
    assert capsys.readouterr().err == "lutkit: stopped; the same command goes on\n"
    name = "diffusion_pytorch_model.safetensors"
    weights = {part: tmp_path / part / name for part in ("whole", "parts")}
    assert load_vae(str(tmp_path / "parts")).factor == 8
    assert weights["parts"].read_bytes() != weights["whole"].read_bytes()
    assert run(script, tmp_path / "parts") == 0
    assert weights["parts"].read_bytes() == weights["whole"].read_bytes()

    vae = load_vae(str(tmp_path / "whole"))
    assert (vae.factor, vae.identity.latent_channels) == (8, 4)
    images = torch.randint(0, 256, (2, 3, 32, 24), dtype=torch.uint8)
    moments = vae.encode(images)
    with torch.no_grad():
        posterior = AutoencoderKL.from_pretrained(tmp_path / "whole").encode(images / 127.5 - 1).latent_dist
    torch.testing.assert_close(moments, torch.cat([posterior.mean, posterior.logvar], 1))
    assert vae.decode(moments[:, :4]).shape == images.shape


def test_bad_input_is_one_line(script, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for arguments, message in (
        ([str(tmp_path / "none")], "none: "),
        (["sample", "-o", str(tmp_path / "file")], "not a folder"),
        (["sample", "--widths", "16,32,32,64"], "--widths is '16,32,32,64'"),
        (["sample", "--widths", "8,16,32,64"], "--widths"),
        (["sample", "--steps", "0"], "--steps is 0"),
    ):
        assert script.main([*arguments, "--device", "cpu"]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
