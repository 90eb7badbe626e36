"""diffusers' models, from their files: a strict check of the config and of each weight, and their two halves.

Owns which parts of a model encode and decode. Must not know images, ranges or devices.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from importlib.metadata import version
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor, nn

from lutkit.errors import LutkitError, VaeError
from lutkit.extras import require_installed
from lutkit.latents.vae_classes import USUAL_CLASS
from lutkit.latents.vae_files import VaeFiles

_SHOWN = 2
# The names of attention layers before diffusers 0.18; sd-vae-ft-mse is among the VAEs saved then.
_OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
# The names that latent diffusion's own code used.
_ORIGINAL_MARK = "encoder.mid.block_1."


def load_autoencoder(files: VaeFiles, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Build the model and load its weights.

    Args:
        files: config and weights. Weights have diffusers' names; those of an `AutoencoderKL` may have former
            names, or those of latent diffusion's own code, alone or inside a whole checkpoint.
        dtype: the dtype of the weights in memory; they are converted one by one.
    Returns:
        A new model on the CPU, in evaluation mode, without gradients.
    Raises:
        VaeError: if diffusers does not know the class or the config or cannot build it, the file is damaged,
            or the weights are of another architecture.
    """
    with torch.device("meta"):
        model = _empty_model(files)
    try:
        found = load_file(files.weights)
    except (SafetensorError, OSError) as error:
        what = f"cannot be read as safetensors: {error}"
        raise VaeError(what, where=str(files.weights), remedy="download the file again") from None
    expected = cast("dict[str, Tensor]", model.state_dict())
    weights = {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in _renamed(found, files).items()
        if name in expected or name not in _ignored(model)
    }
    _require_same(expected, weights, files)
    if any(tensor.is_meta for name, tensor in model.named_buffers() if name not in expected):
        # Some buffers are not in the file, because building the model computes them.
        model = nn.Module.to(_empty_model(files), dtype)  # diffusers' own `to` warns of what does not apply
    model.load_state_dict(weights, assign=True)
    return model.eval().requires_grad_(False)


def _ignored(model: nn.Module) -> tuple[str, ...]:
    """Return the names of weights that files hold and the model computes."""
    return tuple(cast("list[str]", getattr(model, "_keys_to_ignore_on_load_unexpected", None) or ()))


def _empty_model(files: VaeFiles) -> nn.Module:
    name = _class_name(files.config)
    build: Callable[..., nn.Module] | None = getattr(import_module("diffusers"), name, None)
    if build is None:
        what = f"the installed diffusers {version('diffusers')} has no {name}"
        raise VaeError(what, where=files.name, remedy="install a newer diffusers")
    if name == "AutoencoderRAE":
        try:
            require_installed(("transformers",), "latents")
        except LutkitError as error:
            remedy = "install it: pip install transformers"
            raise VaeError(f"{name}: {error.what}", where=files.name, remedy=remedy) from None
    settings: dict[str, Any] = {k: v for k, v in files.config.items() if not k.startswith("_")}
    known = [*inspect.signature(build).parameters, *_REGISTERED.get(name, ())]
    unknown = [setting for setting in settings if setting not in known]
    if unknown:
        what = f"its config has {', '.join(unknown)}, which the installed diffusers does not know"
        raise VaeError(what, where=files.name, remedy="install a newer diffusers")
    for setting in _REGISTERED.get(name, ()):
        settings.pop(setting, None)
    try:
        return build(**settings)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, RuntimeError) as error:
        what = f"no VAE can be built from its config ({str(error).splitlines()[0]})"
        raise VaeError(what, where=files.name, remedy="use the config.json saved with the weights") from None


# What a class writes into its config by itself, and does not take.
_REGISTERED: Mapping[str, tuple[str, ...]] = {"AutoencoderTiny": ("block_out_channels",)}


def _class_name(config: Mapping[str, Any]) -> str:
    return str(config.get("_class_name", USUAL_CLASS))


def _renamed(found: dict[str, Tensor], files: VaeFiles) -> dict[str, Tensor]:
    if _class_name(files.config) != USUAL_CLASS:
        return found
    if any(_ORIGINAL_MARK in name for name in found):
        convert: Any = import_module("diffusers.loaders.single_file_utils").convert_ldm_vae_checkpoint
        return cast("dict[str, Tensor]", convert(found, dict(files.config)))
    renamed: dict[str, Tensor] = {}
    for name, tensor in found.items():
        head, mark, tail = name.partition(".attentions.0.")
        part, _, kind = tail.partition(".")
        renamed[f"{head}{mark}{_OLD_NAMES.get(part, part)}.{kind}" if mark else name] = tensor
    return renamed


def _require_same(expected: dict[str, Tensor], found: dict[str, Tensor], files: VaeFiles) -> None:
    missing = [name for name in expected if name not in found]
    unexpected = [name for name in found if name not in expected]
    misshapen = [
        f"{name} {tuple(found[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in found and found[name].shape != tensor.shape
    ]
    counted = {"missing": missing, "unexpected": unexpected, "of another shape": misshapen}
    faults = [f"{len(names)} {kind} ({_first_of(names)})" for kind, names in counted.items() if names]
    if faults:
        raise VaeError(
            f"weights do not have the architecture of the config: {', '.join(faults)}",
            where=str(files.weights),
            remedy="use the config.json that belongs to these weights",
        )


def _first_of(names: Iterable[str]) -> str:
    shown = list(names)
    return ", ".join(shown[:_SHOWN]) + (", ..." if len(shown) > _SHOWN else "")


# The two halves of a model, as modules from (B, 3, H, W) to (B, 2C, h, w) or (B, C, h, w), and from
# (B, C, h, w) to (B, 3, H, W): what `encode` and `decode` of the class do, without tiles, slices and classes
# for results.


def halves_of(model: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Return the encoder and the decoder of a model that `load_autoencoder` returned; weights are shared."""
    name = type(model).__name__
    if name in ("AutoencoderKLQwenImage", "AutoencoderKLWan"):
        return OneFrameEncoder(model), OneFrameDecoder(model)
    if name == "AutoencoderRAE":
        return FeatureEncoder(model), FeatureDecoder(model)
    parts = cast("Any", model)
    after, before = getattr(model, "quant_conv", None), getattr(model, "post_quant_conv", None)
    return _chain(parts.encoder, after), _chain(before, parts.decoder)


def _chain(*parts: nn.Module | None) -> nn.Module:
    there = [part for part in parts if part is not None]
    return there[0] if len(there) == 1 else nn.Sequential(*there)


class OneFrameEncoder(nn.Module):
    """The encoder of a VAE of videos, for videos of one frame."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        parts = cast("Any", model)
        self.encoder, self.quant_conv = parts.encoder, parts.quant_conv
        self.patch = cast("int", parts.config.get("patch_size") or 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return the moments of each image."""
        if self.patch > 1:
            # `patchify` of diffusers 0.42 (models/autoencoders/autoencoder_kl_wan.py) puts columns first.
            images = _swapped(torch.pixel_unshuffle(images, self.patch), self.patch)
        return self.quant_conv(self.encoder(images.unsqueeze(2))).squeeze(2)


class OneFrameDecoder(nn.Module):
    """The decoder of a VAE of videos, for videos of one frame."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        parts = cast("Any", model)
        self.decoder, self.post_quant_conv = parts.decoder, parts.post_quant_conv
        self.patch = cast("int", parts.config.get("patch_size") or 1)
        # Only some decoders treat the first frame by an option; the others do it by its place.
        takes = inspect.signature(parts.decoder.forward).parameters
        self.first = {"first_chunk": True} if "first_chunk" in takes else {}

    def forward(self, latents: Tensor) -> Tensor:
        """Return the image of each latent."""
        frames = cast("Tensor", self.decoder(self.post_quant_conv(latents.unsqueeze(2)), **self.first))
        images = frames.squeeze(2)
        if self.patch == 1:
            return images
        return torch.pixel_shuffle(_swapped(images, self.patch), self.patch)


def _swapped(patches: Tensor, side: int) -> Tensor:
    """Exchange rows and columns within the patches that channels hold."""
    images, channels, height, width = patches.shape
    squares = patches.reshape(images, channels // side**2, side, side, height, width)
    return squares.transpose(2, 3).reshape(patches.shape)


class FeatureEncoder(nn.Module):
    """The encoder of a representation autoencoder; it normalizes its input and its latents itself."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Return the latent of each image."""
        return cast("Any", self.model).encode(images, return_dict=False)[0]


class FeatureDecoder(nn.Module):
    """The decoder of a representation autoencoder."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, latents: Tensor) -> Tensor:
        """Return the image of each latent."""
        return cast("Any", self.model).decode(latents, return_dict=False)[0]
