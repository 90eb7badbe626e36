"""The classes of VAE that can be used, in one table: what each class's config means, and how its latents are
scaled.

Owns the meaning of configs. Loads no torch: `autoencoders` builds the models, `posterior` does the scaling.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast

from lutkit.dataset.json_values import Json
from lutkit.dataset.latent_index import InputRange, LatentKind, VaeIdentity
from lutkit.documents import Fields
from lutkit.errors import DocumentError, VaeError

Config: TypeAlias = Mapping[str, Json]
# Where the numbers come from that a latent is scaled by before a network works on it: from the config, from
# running statistics among the weights, or the model has applied them already.
Scaling: TypeAlias = Literal["config", "weights", "applied"]

# The class of a config that names none.
USUAL_CLASS = "AutoencoderKL"

# Each block except the last halves the sides, and no image can be halved more often.
_MOST_BLOCKS = 12
_MOST_LAYERS = 100
_MOST_FACTOR = 1 << _MOST_BLOCKS
_MOST_CHANNELS = 1 << 16


def _halved_by(widths: str) -> Callable[[Fields], int]:
    return lambda config: 2 ** (len(_widths(config, widths)) - 1)


def _widths(config: Fields, name: str) -> list[int]:
    """Return a list of widths, one for each block."""
    found = cast("object", config.values.get(name))
    # diffusers' defaults are tuples, and configs are lists.
    each = list(cast("list[Any]", found)) if isinstance(found, list | tuple) else []
    if not (1 <= len(each) <= _MOST_BLOCKS and all(type(n) is int and 0 < n < _MOST_CHANNELS for n in each)):
        raise DocumentError(f"{name} is {found!r}")
    return each


def _whole(config: Fields, name: str, most: int) -> int:
    found = cast("object", config.values.get(name))
    if not (type(found) is int and 1 <= found <= most):
        raise DocumentError(f"{name} is {found!r}")
    return found


def _encoder_of_kl(config: Fields) -> list[int]:
    return _widths(config, "block_out_channels")


def _decoder_of_flux2(config: Fields) -> list[int]:
    own = config.values.get("decoder_block_out_channels") is not None
    return _widths(config, "decoder_block_out_channels" if own else "block_out_channels")


def _encoder_of_wan(config: Fields) -> list[int]:
    base = _whole(config, "base_dim", _MOST_CHANNELS)
    return [base * times for times in _widths(config, "dim_mult")]


def _decoder_of_wan(config: Fields) -> list[int]:
    own = config.values.get("decoder_base_dim") is not None
    base = _whole(config, "decoder_base_dim" if own else "base_dim", _MOST_CHANNELS)
    return [base * times for times in _widths(config, "dim_mult")]


def _factor_of_wan(config: Fields) -> int:
    patches = config.values.get("patch_size") is not None
    return _halved_by("dim_mult")(config) * (_whole(config, "patch_size", 64) if patches else 1)


def _only_size_of_rae(config: Fields) -> int:
    # diffusers' AutoencoderRAE (models/autoencoders/autoencoder_rae.py, 0.42): the encoder resizes images to
    # its own size, and the decoder turns each of its patches into one of `patch_size`.
    size, patch = _whole(config, "encoder_input_size", 1 << 14), _whole(config, "encoder_patch_size", 1 << 10)
    if size % patch:
        raise DocumentError(f"encoder_input_size is {size}, no multiple of encoder_patch_size {patch}")
    if config.values.get("reshape_to_2d") is not True:
        raise DocumentError("reshape_to_2d is not true, and tokens without rows and columns are not stored")
    return size // patch * _whole(config, "patch_size", 1 << 10)


@dataclass(frozen=True)
class VaeClass:
    """What a class of diffusers' VAEs is.

    Args:
        defaults: diffusers' values of the settings that are read here, for a config that lacks them.
        channels: the setting that gives a latent's number of channels.
        factor: returns how many pixels wide and high the area of one latent is.
        encoder_widths: returns the channels of the encoder's blocks, from the image's size downwards.
        decoder_widths: the same for the decoder, from the image's size downwards.
        kind: whether the encoder gives posteriors, or points without a variance.
        input_range: the range of sRGB values that the encoder was made for.
        scaling: where the numbers that scale latents come from.
        patch: latents are scaled after each square of this side has become channels.
        frames: 1; or for VAEs of videos, how many frames a layer holds of a single image.
        only_size: returns the only side in pixels that images may have; None if any multiple of the factor
            may be encoded.
    """

    defaults: Config
    factor: Callable[[Fields], int]
    encoder_widths: Callable[[Fields], list[int]]
    decoder_widths: Callable[[Fields], list[int]]
    channels: str = "latent_channels"
    kind: LatentKind = "posterior"
    input_range: InputRange = "-1,1"
    scaling: Scaling = "config"
    patch: int = 1
    frames: int = 1
    only_size: Callable[[Fields], int] | None = field(default=None)


_WAN = {"base_dim": 96, "z_dim": 16, "dim_mult": [1, 2, 4, 4], "scaling_factor": 1.0}
_DC = [128, 256, 512, 512, 1024, 1024]

# The defaults are those of diffusers 0.42. What each pipeline of diffusers does with a latent before its
# network: (z - shift_factor) * scaling_factor (SD3, FLUX.1; SD 1.5, Hunyuan image and SANA without a shift);
# (z - latents_mean) * scaling_factor / latents_std where the config has both (SDXL's kind, Qwen-Image, Wan);
# FLUX.2: squares of 2 x 2 become channels, and then its batch norm's running mean and variance.
VAE_CLASSES: Mapping[str, VaeClass] = {
    # SD 1.5, SDXL, SD3, FLUX.1
    "AutoencoderKL": VaeClass(
        {"block_out_channels": [64], "latent_channels": 4, "scaling_factor": 0.18215},
        _halved_by("block_out_channels"),
        _encoder_of_kl,
        _encoder_of_kl,
    ),
    # FLUX.2
    "AutoencoderKLFlux2": VaeClass(
        {"block_out_channels": [128, 256, 512, 512], "latent_channels": 32, "batch_norm_eps": 1e-4},
        _halved_by("block_out_channels"),
        _encoder_of_kl,
        _decoder_of_flux2,
        scaling="weights",
        patch=2,
    ),
    "AutoencoderKLQwenImage": VaeClass(
        _WAN, _factor_of_wan, _encoder_of_wan, _decoder_of_wan, channels="z_dim", frames=3
    ),
    "AutoencoderKLWan": VaeClass(
        _WAN, _factor_of_wan, _encoder_of_wan, _decoder_of_wan, channels="z_dim", frames=3
    ),
    "AutoencoderKLHunyuanImage": VaeClass(
        {"scaling_factor": 1.0},
        lambda config: _whole(config, "spatial_compression_ratio", _MOST_FACTOR),
        _encoder_of_kl,
        _encoder_of_kl,
    ),
    # DC-AE, of SANA
    "AutoencoderDC": VaeClass(
        {
            "encoder_block_out_channels": _DC,
            "decoder_block_out_channels": _DC,
            "latent_channels": 32,
            "scaling_factor": 1.0,
        },
        _halved_by("encoder_block_out_channels"),
        lambda config: _widths(config, "encoder_block_out_channels"),
        lambda config: _widths(config, "decoder_block_out_channels"),
        kind="point",
    ),
    # TAESD
    "AutoencoderTiny": VaeClass(
        {
            "encoder_block_out_channels": [64] * 4,
            "decoder_block_out_channels": [64] * 4,
            "latent_channels": 4,
            "scaling_factor": 1.0,
        },
        _halved_by("encoder_block_out_channels"),
        lambda config: _widths(config, "encoder_block_out_channels"),
        lambda config: _widths(config, "decoder_block_out_channels"),
        kind="point",
    ),
    # Representation autoencoders: an image encoder such as DINOv2, and a decoder of its features.
    "AutoencoderRAE": VaeClass(
        {
            "encoder_hidden_size": 768,
            "encoder_patch_size": 14,
            "encoder_input_size": 224,
            "patch_size": 16,
            "reshape_to_2d": True,
        },
        lambda config: _whole(config, "patch_size", 1 << 10),
        # A pixel has no more numbers in tokens than in the image.
        lambda config: [3],
        lambda config: [3],
        channels="encoder_hidden_size",
        kind="point",
        input_range="0,1",
        scaling="applied",
        only_size=_only_size_of_rae,
    ),
}


def require_known_class(config: Config, where: str) -> None:
    """Raise VaeError if a config is of a class that is not in the table; the message lists the known ones."""
    kind = config.get("_class_name", USUAL_CLASS)
    if not isinstance(kind, str) or kind not in VAE_CLASSES:
        remedy = f"the known classes are {', '.join(VAE_CLASSES)}"
        raise VaeError(f"a config of the class {kind}", where=where, remedy=remedy)


def class_of(config: Config) -> VaeClass:
    """Return what the class of a config is; see `require_known_class`."""
    return VAE_CLASSES[str(config.get("_class_name", USUAL_CLASS))]


def _settings(config: Config) -> Fields:
    given = {name: value for name, value in config.items() if value is not None}
    return Fields({**class_of(config).defaults, **given})


def factor_of(vae: VaeIdentity) -> int:
    """Return how many pixels wide and high the area of one latent is, according to the config."""
    return class_of(vae.config).factor(_settings(vae.config))


def only_size_of(vae: VaeIdentity) -> int | None:
    """Return the only side in pixels that images may have, or None if there are several."""
    only = class_of(vae.config).only_size
    return None if only is None else only(_settings(vae.config))


def widest_encoded(vae: VaeIdentity) -> int:
    """Return the numbers for each pixel of the encoder's largest layer."""
    known = class_of(vae.config)
    return known.frames * known.encoder_widths(_settings(vae.config))[0]


def widest_decoded(vae: VaeIdentity) -> int:
    """Return the numbers for each pixel of the decoder's largest layer.

    Every block of a decoder ends in an upsampling that keeps its channels, except the last, which has the
    image's size: so the last two have the most (models/autoencoders/vae.py of diffusers 0.42; the other
    decoders are alike).
    """
    known = class_of(vae.config)
    return known.frames * max(known.decoder_widths(_settings(vae.config))[:2])


@dataclass(frozen=True)
class VaeNumbers:
    """The numbers of a config that a dataset records: see `VaeIdentity`."""

    latent_channels: int
    scaling_factor: float
    shift_factor: float
    latents_mean: tuple[float, ...] = ()
    latents_std: tuple[float, ...] = ()


Statistics: TypeAlias = Callable[[str], tuple[float, ...]]


def numbers_of(config: Config, statistics: Statistics) -> VaeNumbers:
    """Read a config, and what else scales latents.

    Args:
        config: the config of a known class.
        statistics: returns the numbers of a weight by its name.
    Raises:
        DocumentError: if a value is not valid.
        VaeError: as `statistics`.
    """
    known, settings = class_of(config), _settings(config)
    for read in (known.encoder_widths, known.decoder_widths, known.factor):
        read(settings)
    if known.only_size is not None:
        known.only_size(settings)
    layers = config.get("layers_per_block", 1)
    if not (isinstance(layers, int) and 1 <= layers <= _MOST_LAYERS):
        raise DocumentError(f"layers_per_block is {layers!r}")
    channels = _whole(settings, known.channels, _MOST_CHANNELS)
    if known.scaling == "applied":
        return VaeNumbers(channels, 1.0, 0.0)
    if known.scaling == "weights":
        spread = settings.number("batch_norm_eps")
        mean, variance = statistics("bn.running_mean"), statistics("bn.running_var")
        if not all(number + spread > 0 for number in variance):
            raise DocumentError("bn.running_var has a variance below 0")
        return VaeNumbers(channels, 1.0, 0.0, mean, tuple(math.sqrt(number + spread) for number in variance))
    scale = settings.number("scaling_factor")
    shift = settings.number("shift_factor") if "shift_factor" in settings.values else 0.0
    named = {name: settings.values.get(name) for name in ("latents_mean", "latents_std")}
    if known.frames > 1 and None in named.values():
        raise DocumentError("latents_mean or latents_std is missing")
    if None in named.values():
        # As diffusers' pipelines: one without the other means nothing.
        return VaeNumbers(channels, scale, shift)
    mean, std = (_numbers(settings, name) for name in named)
    # As diffusers' pipelines: they then ignore the shift.
    return VaeNumbers(channels, scale, 0.0, mean, std)


def _numbers(settings: Fields, name: str) -> tuple[float, ...]:
    each = settings.listed(name)
    if not all(type(number) in (int, float) for number in each):
        raise DocumentError(f"{name} is not a list of numbers")
    return tuple(float(number) for number in each)
