"""Train a small VAE on photographs, so that latents can be made without a download.

    python scripts/train_vae.py PHOTOS -o models/vae --minutes 20
    lutkit encode-latents data/pairs --vae models/vae

The VAE is an ordinary `AutoencoderKL` of diffusers: one latent of four numbers for each 8 x 8 px. PHOTOS is
what `lutkit synth --images` takes. Half of the images are damaged by lutkit. Every tenth photo is held out:
the figures are measured on these photos at 224 px, as they are and damaged.

The network begins as a linear code: three latents are the principal components of a block's mean colour, the
fourth is of the brightness gradient. The same command continues a run that was stopped;
the folder holds the VAE that the stopped run had.
"""

import argparse
import hashlib
import itertools
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn
from torch.nn import functional

import lutkit
from lutkit.dataset.atomic import write_whole
from lutkit.dataset.os_errors import explain_os_error
from lutkit.engine.progress import OnProgress, Progress
from lutkit.engine.stopping import Stopped, stopping
from lutkit.errors import ImageError, LutkitError
from lutkit.latents.vae_files import CONFIG_NAME, WEIGHTS_NAME
from lutkit.nn.color import srgb_to_lab
from lutkit.nn.color_losses import delta_e_2000, lab_loss
from lutkit.photos.decoding import center_square
from lutkit.photos.photo_list import read_bytes
from lutkit.photos.sources import list_photos
from lutkit.report.plain_text import print_line, tell
from lutkit.report.progress import shown_progress
from lutkit.training.model_folder import model_folder
from lutkit.training.train import Training, TrainSettings, chosen_device, train

Codes = npt.NDArray[np.uint8]

FACTOR = 8  # pixels a side that one latent covers
LATENTS = 4
READ_PX, TEST_PX = 256, 224
HELD_OUT = 10  # every tenth photo
MOST_TESTED = 24
TEST_SEED = 1_000_003  # of the damage of held-out photos, whatever the seed of the run
TEST_BATCH = 8
CROP_PX, BATCH = 64, 16
CODE_PHOTOS = 200

# The loss is the mean squared error of pixels, of -1..1, and these shares of the two other terms.
LAB_WEIGHT = 2e-3  # for one delta E 1976 between the means of blocks
KL_WEIGHT = 1e-4  # for one nat an element of the latent

# GroupNorm divides by the standard deviation of an image's features, and would remove its exposure and
# contrast. Two channels of +NORM_OFF and -NORM_OFF are so much larger than the others that mean and deviation
# are nearly the same for every image and every size.
NORM_OFF = 32.0
NORM_OFF_IN_BRANCH = 4.0
FIRST_LOG_VARIANCE = -7.0


@dataclass(frozen=True)
class LinearCode:
    """The linear code that the network begins with.

    Args:
        filters: (4, 3, 8, 8): a block's latents are its products with these, less `means`; values are -1..1.
        means: (4,), so that latents have the mean 0. They have the standard deviation 1.
        colors: (3, 4): the change of a block's mean colour for one unit of each latent.
        grey: (3,): the mean colour of all blocks, -1..1.
    """

    filters: Tensor
    means: Tensor
    colors: Tensor
    grey: Tensor


def linear_code(images: Tensor) -> LinearCode:
    """Find the principal components of blocks' mean colours, and of what the means leave.

    Three latents keep the mean colour of every block exactly; the four principal components of whole blocks
    lose one of its dimensions. The fourth is the sum of the two largest components of the rest, which are the
    gradients of brightness along the two axes. A linear decoder that sees 3 x 3 latents recovers more from
    the sum than from the larger one (on 50 photographs 23.3 dB and 23.0 dB), because the neighbours' mean
    colours tell part of both gradients.

    Args:
        images: (B, 3, H, W) float32, -1..1; sides are multiples of 8.
    """
    blocks = functional.unfold(images, FACTOR, stride=FACTOR).transpose(1, 2).reshape(-1, 3 * FACTOR**2)
    mean = blocks.mean(0)
    blocks = blocks - mean
    averages = torch.eye(3).repeat_interleave(FACTOR**2, 0) / FACTOR**2
    axes = torch.linalg.eigh(torch.cov((blocks @ averages).T)).eigenvectors.flip(1)
    rest = torch.eye(len(mean)) - FACTOR**2 * averages @ averages.T
    details = torch.linalg.eigh(rest @ torch.cov(blocks.T) @ rest).eigenvectors.flip(1)[:, :2]
    ramp = torch.arange(FACTOR) - (FACTOR - 1) / 2
    diagonal = (ramp[:, None] + ramp).flatten().repeat(3)
    gradient = details @ (diagonal @ details).sign()
    filters = torch.cat([averages @ axes, gradient[:, None]], 1)
    filters = filters / (blocks @ filters).std(0).clamp_min(1e-4)
    # Only the first three filters see the mean colour, and they see nothing else.
    colors = torch.cat([torch.linalg.inv((filters[:, :3].T @ averages) * FACTOR**2), torch.zeros(3, 1)], 1)
    return LinearCode(filters.T.reshape(LATENTS, 3, FACTOR, FACTOR), mean @ filters, colors, mean @ averages)


def build_vae(widths: Sequence[int], code: LinearCode) -> AutoencoderKL:
    """Build an `AutoencoderKL` whose encoder computes the code, and whose decoder interpolates mean colours.

    Residual branches begin at 0. The rest of the network is linear: convolutions, and the two activations at
    the ends, which get each value with both signs, since silu(x) - silu(-x) = x. No decoder of this kind
    inverts a code of blocks exactly: a latent that is the same everywhere is decoded to one colour, whatever
    its gradient is. Training learns the gradients.

    Args:
        widths: channels at full size, 1/2, 1/4 and 1/8 of it, from 16, and each more than the one before.
        code: the code.
    """
    vae = AutoencoderKL(
        block_out_channels=tuple(widths),
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        latent_channels=LATENTS,
        layers_per_block=1,
        norm_num_groups=1,
        mid_block_add_attention=False,
        sample_size=TEST_PX,
    )
    with torch.no_grad():
        for block in vae.modules():
            if isinstance(block, ResnetBlock2D):
                _begin_at_zero(block)
        _begin_encoder(vae.encoder, code)
        _begin_decoder(vae.decoder, code)
        for conv in (vae.quant_conv, vae.post_quant_conv):
            conv.weight.copy_(torch.eye(len(conv.weight))[:, :, None, None])
            conv.bias.zero_()
    return vae


# The first channels of every layer carry the code, after two for the constants that switch off GroupNorm.
_FIRST = 2


def _begin_at_zero(block: nn.Module) -> None:
    """Make a residual block pass its input on, with a branch that knows absolute values."""
    for conv in (block.conv1, block.conv2):
        conv.bias.zero_()
    block.conv2.weight.zero_()
    block.conv1.weight[:_FIRST] = 0
    block.conv1.bias[:_FIRST] = torch.tensor([NORM_OFF_IN_BRANCH, -NORM_OFF_IN_BRANCH])
    _switch_off(block.norm2, NORM_OFF_IN_BRANCH)
    if block.conv_shortcut is not None:
        block.conv_shortcut.weight.mul_(0.5)
        block.conv_shortcut.bias.zero_()


def _switch_off(norm: nn.GroupNorm, constant: float) -> None:
    """Make a GroupNorm of one group, two of whose channels are +-`constant`, pass the others on unchanged."""
    norm.weight.fill_(constant * math.sqrt(2 / norm.num_channels))
    norm.weight[:_FIRST] = 0
    norm.bias.zero_()


def _carry(block: nn.Module, count: int, *, twice: bool = False) -> None:
    """Make the shortcut of a residual block copy the code's channels; `twice`: x and -x, side by side."""
    weight = block.conv_shortcut.weight
    copies = torch.eye(count)
    if twice:
        copies = torch.stack([copies, -copies], 1).flatten(0, 1)
    weight[_FIRST : _FIRST + len(copies)] = 0
    weight[_FIRST : _FIRST + len(copies), _FIRST : _FIRST + count, 0, 0] = copies


def _halve(conv: nn.Conv2d, weight: Tensor) -> None:
    """Make a convolution of stride 2 apply weights (out, in, 2, 2) to the code's channels."""
    outputs, inputs = weight.shape[:2]
    conv.weight.mul_(0.5)
    conv.bias.zero_()
    conv.weight[_FIRST : _FIRST + outputs] = 0
    conv.weight[_FIRST : _FIRST + outputs, _FIRST : _FIRST + inputs, :2, :2] = weight


def _begin_encoder(encoder: nn.Module, code: LinearCode) -> None:
    """Factor filters of 8 x 8 px into three convolutions of 2 x 2."""
    down = encoder.down_blocks
    encoder.conv_in.weight.mul_(0.5)
    encoder.conv_in.bias.zero_()
    encoder.conv_in.weight[_FIRST : _FIRST + 3] = 0
    encoder.conv_in.weight[_FIRST : _FIRST + 3, :, 1, 1] = torch.eye(3)
    # The first halving keeps everything: 2 x 2 x 3 values become 12 channels.
    _halve(down[0].downsamplers[0].conv, torch.eye(12).reshape(12, 3, 2, 2))
    _carry(down[1].resnets[0], 12)
    # Each filter has four quarters of 4 x 4 px. The second halving computes a basis of all quarters.
    quarters = code.filters.reshape(LATENTS, 3, 2, 4, 2, 4).permute(0, 2, 4, 1, 3, 5).reshape(-1, 48)
    left, sizes, basis = torch.linalg.svd(quarters, full_matrices=False)
    rank = int((sizes > 1e-5 * sizes[0]).sum())
    loudness = math.sqrt(len(quarters))  # so that channels have about the same size as the values of pixels
    patches = (basis[:rank] / loudness).reshape(rank, 3, 2, 2, 2, 2)
    _halve(down[1].downsamplers[0].conv, patches.permute(0, 1, 3, 5, 2, 4).reshape(rank, 12, 2, 2))
    _carry(down[2].resnets[0], rank)
    weights = (left[:, :rank] * sizes[:rank] * loudness).reshape(LATENTS, 2, 2, rank)
    _halve(down[2].downsamplers[0].conv, weights.permute(0, 3, 1, 2))
    _carry(down[3].resnets[0], LATENTS, twice=True)
    _begin_end(encoder, down[3].resnets[0], encoder.mid_block.resnets[-1])
    last = encoder.conv_out
    last.weight[LATENTS:] *= 0.1
    last.weight[:LATENTS] = 0
    _read_out(last, torch.eye(LATENTS))
    last.bias.copy_(torch.cat([-code.means, torch.full((LATENTS,), FIRST_LOG_VARIANCE)]))


def _begin_decoder(decoder: nn.Module, code: LinearCode) -> None:
    """Interpolate the latents three times, and read the mean colours from them."""
    decoder.conv_in.bias.zero_()
    decoder.conv_in.weight[_FIRST : _FIRST + LATENTS] = 0
    decoder.conv_in.weight[_FIRST : _FIRST + LATENTS, :, 1, 1] = torch.eye(LATENTS)
    # After doubling by repetition, these weights interpolate linearly.
    tent = torch.tensor([0.25, 0.5, 0.25])
    for block, following in itertools.pairwise(decoder.up_blocks):
        conv = block.upsamplers[0].conv
        conv.bias.zero_()
        conv.weight[_FIRST : _FIRST + LATENTS] = 0
        for channel in range(_FIRST, _FIRST + LATENTS):
            conv.weight[channel, channel] = tent[:, None] * tent
        _carry(following.resnets[0], LATENTS, twice=following is decoder.up_blocks[-1])
    _begin_end(decoder, decoder.up_blocks[-1].resnets[0], decoder.up_blocks[-1].resnets[-1])
    decoder.conv_out.weight.zero_()
    _read_out(decoder.conv_out, code.colors)
    decoder.conv_out.bias.copy_(code.grey)


def _begin_end(part: nn.Module, widest: nn.Module, last: nn.Module) -> None:
    """Add the constants in the last residual block before an end, and switch off the norm there."""
    widest.conv_shortcut.weight[:_FIRST] = 0
    last.conv2.bias[:_FIRST] = torch.tensor([NORM_OFF, -NORM_OFF])
    _switch_off(part.conv_norm_out, NORM_OFF)


def _read_out(conv: nn.Conv2d, weight: Tensor) -> None:
    """Make the first outputs of a convolution (out, in) of the code, whose channels are x and -x."""
    outputs, inputs = weight.shape
    paired = torch.stack([weight, -weight], 2).flatten(1)
    conv.weight[:outputs, _FIRST : _FIRST + 2 * inputs, 1, 1] = paired


# Photographs, damage, and batches of them.


@dataclass(frozen=True, eq=False)
class Batch:
    """Images to encode and decode.

    Args:
        images: (B, 3, H, W) float32, 0..1, channels last in memory.
        keys: the photos' paths.
    """

    images: Tensor
    keys: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Photos:
    """Photographs in memory.

    Args:
        pixels: (n, side, side, 3) uint8, sRGB.
        paths: the n paths.
    """

    pixels: Codes
    paths: tuple[str, ...]


def read_photos(source: str, report: OnProgress) -> tuple[Photos, Photos]:
    """Read the photos to train on, and those held out: every tenth, of which the first 24 are measured.

    Of fewer than ten photos, none is held out, and the figures are of all.

    Raises:
        LutkitError: if nothing is there, or too few photos can be used.
    """
    listed = list_photos(source)
    held_out = len(listed.photos) >= HELD_OUT
    learned: dict[str, Codes] = {}
    tested: dict[str, Codes] = {}
    rejected: list[str] = []
    for number, ref in enumerate(listed.photos):
        report(Progress("photos", number, len(listed.photos)))
        is_tested = held_out and number % HELD_OUT == 0
        if is_tested and len(tested) == MOST_TESTED:
            continue
        try:
            pixels = center_square(read_bytes(listed.root, ref), TEST_PX if is_tested else READ_PX)
        except ImageError as error:
            rejected.append(f"{ref.path}: {error.what}")
            continue
        (tested if is_tested else learned)[ref.path] = pixels
    if not learned or (held_out and not tested):
        what = f"too few photos can be used; {rejected[0]}"
        raise LutkitError(what, where=source, remedy="name more photos, of at least 128 px a side")
    few = "No photo is held out of fewer than ten: the figures are of photos that the VAE learns from."
    left_out = f"{len(rejected)} photos cannot be used; the first is {rejected[0]}" if rejected else ""
    notes, warnings = () if held_out else (few,), (left_out,) if rejected else ()
    report(Progress("photos", len(listed.photos), len(listed.photos), notes, warnings))
    photos = [Photos(np.stack(list(part.values())), tuple(part)) for part in (learned, tested) if part]
    return photos[0], photos[-1]


def some_of(photos: Photos) -> Codes:
    """Return about CODE_PHOTOS photos, evenly spread."""
    return photos.pixels[:: max(len(photos.pixels) // CODE_PHOTOS, 1)]


def as_images(pixels: Codes) -> Tensor:
    """Return (B, H, W, 3) uint8 as (B, 3, H, W) float32, 0..1."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2) / 255


def damaged(pixels: Codes, seed: int, first: int) -> Codes:
    """Damage each image (B, H, W, 3) by a recipe of its own, numbered from `first`."""
    recipes = (lutkit.sample_recipe(seed, first + number) for number in range(len(pixels)))
    return np.stack(
        [lutkit.damage(image, recipe, threads=1) for image, recipe in zip(pixels, recipes, strict=True)]
    )


class CropBatches:
    """Endless batches of random crops, half of them mirrored and half of them damaged.

    Args:
        photos: the photos.
        seed: the seed of crops and damage; a batch is a pure function of it and of the step.
        crop_px: the side of crops.
        size: crops in a batch.
    """

    def __init__(self, photos: Photos, *, seed: int, crop_px: int = CROP_PX, size: int = BATCH) -> None:
        self.photos, self.seed, self.crop_px, self.size = photos, seed, crop_px, size
        self.step, self.every = 0, 1

    def __iter__(self) -> Iterator[Batch]:
        """Yield every `every`-th batch from `step` on."""
        return map(self.at, itertools.count(self.step, self.every))

    def at(self, step: int) -> Batch:
        """Return the batch of a step, from 0."""
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(step,)))
        numbers = rng.integers(len(self.photos.pixels), size=self.size)
        crops = []
        for number in numbers:
            photo = self.photos.pixels[number]
            top, left = rng.integers(photo.shape[0] - self.crop_px + 1, size=2)
            crop = photo[top : top + self.crop_px, left : left + self.crop_px]
            crops.append(crop[:, ::-1] if rng.random() < 0.5 else crop)
        half = self.size // 2
        pixels = np.stack(crops)
        pixels[:half] = damaged(pixels[:half], self.seed, half * step)
        return Batch(as_images(pixels), tuple(self.photos.paths[number] for number in numbers))


def batches_to_measure(photos: Photos) -> list[Batch]:
    """Return the photos as they are, and then damaged; no batch holds both."""
    found = []
    for kind in ("as they are", "damaged"):
        for start in range(0, len(photos.pixels), TEST_BATCH):
            pixels = photos.pixels[start : start + TEST_BATCH]
            if kind == "damaged":
                pixels = damaged(pixels, TEST_SEED, start)
            found.append(Batch(as_images(pixels), (kind,) * len(pixels)))
    return found


# Training and figures.


def block_means(images: Tensor) -> Tensor:
    """Return the mean of each block that a latent covers."""
    return functional.avg_pool2d(images, FACTOR)


@dataclass(frozen=True)
class Figures:
    """The figures of a VAE on one kind of test images: means over images.

    Args:
        kind: `as they are` or `damaged`.
        psnr_db: of the decoded mean of the posterior.
        block_delta_e: CIEDE2000 between the means of 8 x 8 px, mean over blocks.
        log_variance: mean over the elements of latents.
    """

    kind: str
    psnr_db: float
    block_delta_e: float
    log_variance: float

    def __str__(self) -> str:
        """Return the figures in words."""
        return f"{self.kind} {self.psnr_db:.2f} dB, block delta E {self.block_delta_e:.2f}"


class VaeTraining(Training):
    """A VAE in training: pixels, mean colours of blocks in CIELAB, and the KL divergence from N(0, 1).

    Args:
        vae: the VAE.
        settings: how it is trained.
        report: called with the figures of each validation.
    """

    def __init__(self, vae: AutoencoderKL, settings: TrainSettings, report: OnProgress) -> None:
        super().__init__(vae, settings)
        self.report = report
        self.measured: dict[str, list[Tensor]] = {}
        self.began = time.process_time()

    def loss(self, batch: Batch) -> Tensor:
        """Return the loss of a batch, with latents drawn from the posterior."""
        images = batch.images.contiguous(memory_format=torch.channels_last)
        posterior = self.network.encode(2 * images - 1).latent_dist
        decoded = (self.network.decode(posterior.sample()).sample.float() + 1) / 2
        pixels = 4 * functional.mse_loss(decoded, images)
        colors = lab_loss(block_means(decoded), block_means(images))
        mean, log_variance = posterior.mean.float(), posterior.logvar.float()
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        return pixels + LAB_WEIGHT * colors + KL_WEIGHT * divergence

    @torch.no_grad()
    def error(self, batch: Batch) -> Tensor:
        """Return the root mean square error in percent of white plus the blocks' delta E, (B,)."""
        posterior = self.network.encode(2 * batch.images - 1).latent_dist
        decoded = ((self.network.decode(posterior.mean).sample.float() + 1) / 2).clamp(0, 1)
        squares = (decoded - batch.images).square().mean((1, 2, 3))
        labs = (srgb_to_lab(block_means(images)) for images in (decoded, batch.images))
        blocks = delta_e_2000(*labs).mean((1, 2))
        figures = torch.stack([-10 * squares.log10(), blocks, posterior.logvar.float().mean((1, 2, 3))], 1)
        self.measured.setdefault(batch.keys[0], []).append(figures.cpu())
        return 100 * squares.sqrt() + blocks

    def figures(self) -> list[Figures]:
        """Return the means of what `error` has measured since the last call."""
        means = {kind: torch.cat(parts).mean(0).tolist() for kind, parts in self.measured.items()}
        self.measured = {}
        return [Figures(kind, *values) for kind, values in means.items()]

    def on_validation_epoch_end(self) -> None:
        """Report the figures."""
        minutes = (time.process_time() - self.began) / 60
        text = "; ".join(map(str, self.figures()))
        self.report(
            Progress("steps", self.global_step, self.settings.steps, (f"{minutes:.1f} CPU minutes: {text}",))
        )

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move a batch to the device."""
        return Batch(batch.images.to(device), batch.keys)


def save_vae(vae: AutoencoderKL, photos: Photos, folder: Path) -> None:
    """Write a VAE in diffusers' format, each file completely or not at all, config.json last.

    Args:
        vae: the VAE; moved to the CPU. Its scaling factor becomes 1 / the standard deviation of latents.
        photos: the photos whose latents are measured.
        folder: an existing folder.
    """
    vae = vae.cpu().float().eval()
    pixels = some_of(photos)
    with torch.no_grad():
        latents = [vae.encode(2 * as_images(part[None]) - 1).latent_dist.mean for part in pixels]
    vae.register_to_config(scaling_factor=float(f"{1 / torch.cat(latents).std():.6g}"))
    with TemporaryDirectory() as made:
        vae.save_pretrained(made)
        for name in (WEIGHTS_NAME, CONFIG_NAME):
            write_whole(folder / name, (Path(made) / name).read_bytes())


def train_vae(options: argparse.Namespace, report: OnProgress) -> list[Figures]:
    """Train a VAE, or go on with a run that was stopped, and return its figures."""
    settings = TrainSettings(
        steps=options.steps, minutes=options.minutes, validate=options.validate,
        learning_rate=options.learning_rate, weight_decay=1e-3, seed=options.seed,
        device=chosen_device(options.device), devices=1, precision=options.precision, log="csv",
    )  # fmt: skip
    widths = widths_of(options.widths)
    learned, tested = read_photos(options.photos, report)
    first = some_of(learned)
    both = np.concatenate([first, damaged(first, options.seed, 0)])
    torch.manual_seed(options.seed)
    vae = build_vae(widths, linear_code(2 * as_images(both) - 1)).to(memory_format=torch.channels_last)
    module = VaeTraining(vae, settings, report)
    validation = batches_to_measure(tested)
    out = options.out
    digest = hashlib.sha256(learned.pixels).hexdigest()
    about = {"photos": digest, "widths": widths, **settings.that_decide()}
    with model_folder(out):
        try:
            train(module, CropBatches(learned, seed=options.seed), validation, out, about, report)
        except (KeyboardInterrupt, Stopped):
            save_vae(vae, learned, out)
            raise
        save_vae(vae, learned, out)
        module.figures()
        for batch in validation:
            module.error(batch)
        return module.figures()


def widths_of(text: str) -> list[int]:
    """Return four widths written as `16,32,64,128`.

    Raises:
        LutkitError: if they are not four growing numbers from 16.
    """
    widths = [int(part) for part in text.split(",") if part.isdecimal()]
    grow = all(one < other for one, other in itertools.pairwise([15, *widths]))
    if len(widths) != text.count(",") + 1 or len(widths) != 4 or not grow:
        remedy = "give four whole numbers from 16, each more than the one before, such as 16,32,64,128"
        raise LutkitError(f"--widths is {text!r}", remedy=remedy)
    return widths


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", metavar="PHOTOS", help="a folder, pattern, list or tar of photos")
    parser.add_argument("-o", "--out", type=Path, default=Path("models/vae"), help="the VAE's folder")
    parser.add_argument("--steps", type=int, default=6000, help=f"batches of {BATCH} crops of {CROP_PX} px")
    parser.add_argument("--minutes", type=float, default=0.0, help="the longest time; 0 for no limit")
    parser.add_argument("--validate", type=int, default=500, help="measure after this many steps")
    parser.add_argument(
        "--widths", default="16,32,64,128", help="channels at 1/1, 1/2, 1/4 and 1/8 of the size"
    )
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="the highest learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1")
    parser.add_argument(
        "--precision", default="bf16-mixed", help="32-true; or bf16-mixed, which is 1.5 times as fast"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = options_of(arguments)
    try:
        with stopping(), shown_progress(unit="steps") as report:
            figures = train_vae(options, report)
    except LutkitError as error:
        tell(error)
        return 2
    except OSError as error:
        what, remedy = explain_os_error(error)
        tell(LutkitError(what, where=str(error.filename or ""), remedy=remedy))
        return 2
    except (KeyboardInterrupt, Stopped) as stopped:
        tell("stopped; the same command goes on")
        return 128 + getattr(stopped, "signal_number", 2)
    for one in figures:
        print_line(f"{one}; log-variances of {one.log_variance:.1f}")
    print_line(f"Next: `lutkit encode-latents data/pairs --vae {options.out}`.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
