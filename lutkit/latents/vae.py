"""VAEs as encoders of images: from pixels to the posterior's mean and log-variance, and back.

Owns the meaning of encoding and decoding: ranges, dtypes, clamping. `vae_files` knows where files are.
"""

import copy
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, Self, cast

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from safetensors import SafetensorError
from safetensors.torch import load_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor, nn

from lutkit.dataset.latent_index import Dtype, InputRange, VaeIdentity
from lutkit.errors import ArrayError, VaeError
from lutkit.latents.devices import computing_on, first_line, is_out_of_memory, open_device
from lutkit.latents.vae_files import VaeFiles, factor_of, find_vae
from lutkit.nn.posterior import HIGHEST_LOG_VARIANCE, LOWEST_LOG_VARIANCE

# Compilation by torch, with an error of one line if it fails.


def torch_compiled(work: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Return the same function, compiled separately for each shape when it first occurs.

    Args:
        work: a function of one tensor.
    Returns:
        A function that raises VaeError if `work` cannot be compiled; errors of `work` itself are passed on.
    """
    fast = torch.compile(work, dynamic=False)

    def call(values: Tensor) -> Tensor:
        # The classes of torch's compiler errors are not public.
        from torch._dynamo.exc import TorchDynamoException

        try:
            return fast(values)
        except TorchDynamoException as error:
            cause = cast("BaseException", getattr(error, "inner_exception", error))
            if is_out_of_memory(cause):
                raise cause from None
            raise _not_compiled(cause) from None

    return call


def _not_compiled(error: BaseException) -> VaeError:
    name = type(error).__name__
    missing = None
    if name == "InvalidCxxCompiler":
        missing = "C++", "g++", "CXX"
    elif "Failed to find C compiler" in str(error):
        missing = "C", "gcc", "CC"
    if missing:
        language, package, variable = missing
        install = f"install one (on Debian and Ubuntu `apt install {package}`)"
        what = f"--compile needs a {language} compiler, and none is found"
        return VaeError(what, remedy=f"{install}, name it in {variable}, or leave out --compile")
    what = f"the encoder cannot be compiled ({name}: {first_line(error)})"
    return VaeError(what, remedy="leave out --compile")


TORCH_DTYPE: dict[Dtype, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


class Vae(Protocol):
    """An encoder of images into posteriors, and decoder of latents."""

    @property
    def identity(self) -> VaeIdentity:
        """The identity of the VAE."""
        ...

    @property
    def factor(self) -> int:
        """How many pixels wide and high the area of one latent is."""
        ...

    @property
    def device(self) -> torch.device:
        """The device that it computes on."""
        ...

    @property
    def dtype(self) -> Dtype:
        """The dtype that it computes in."""
        ...

    @property
    def input_range(self) -> InputRange:
        """The range that sRGB values are scaled to before encoding."""
        ...

    def encode(self, images: Tensor) -> Tensor:
        """Return the posterior of each image.

        Args:
            images: (B, 3, H, W) sRGB, uint8 or floating with 0..1, in any memory format, on any device. H and
                W are multiples of `factor`.
        Returns:
            (B, 2C, H / factor, W / factor) float32 on `device`, unscaled: means in channels 0..C-1, then
            log-variances, clamped to -30..20 as in diffusers. Values that overflowed are NaN.
        Raises:
            ArrayError: if images have another shape or dtype.
            VaeError: if `factor` does not divide the size; the message names a size that it divides.
        """
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Return the image of each latent.

        Args:
            latents: (B, C, h, w) floating, unscaled like the means of `encode`, on any device.
        Returns:
            (B, 3, h x factor, w x factor) float32 sRGB on `device`, clamped to 0..1. Values that overflowed
            are NaN.
        Raises:
            ArrayError: if latents have another shape.
        """
        ...

    def in_dtype(self, dtype: Dtype) -> Self:
        """Return the same VAE in another dtype; weights are copied unless the dtype is the same."""
        ...

    def in_range(self, input_range: InputRange) -> Self:
        """Return the same VAE with another input range; weights are shared."""
        ...

    def compiled(self) -> Self:
        """Return the same VAE with an encoder that is compiled for each batch size; weights are shared.

        Its `encode` raises VaeError if the encoder cannot be compiled.
        """
        ...


@dataclass(frozen=True)
class DiffusersVae:
    """diffusers' `AutoencoderKL` as a `Vae`; its tiling and slicing are not used.

    Args:
        identity: the identity of the VAE.
        encoder: (B, 3, H, W) -> (B, 2C, h, w), in `dtype`, on `device`.
        decoder: (B, C, h, w) -> (B, 3, H, W), in `dtype`, on `device`.
        device: the device.
        dtype: the dtype of weights and activations.
        input_range: the range that sRGB values are scaled to.
    """

    identity: VaeIdentity
    encoder: Callable[[Tensor], Tensor]
    decoder: Callable[[Tensor], Tensor]
    device: torch.device
    dtype: Dtype = "float32"
    input_range: InputRange = "-1,1"

    @property
    def factor(self) -> int:
        """How many pixels wide and high the area of one latent is: all blocks but the last halve it."""
        return factor_of(self.identity)

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Return the posterior of each image; see `Vae.encode`."""
        _require_images(images)
        require_divisible_size(images.shape[-2], images.shape[-1], self.factor)
        values = images.to(self.device, non_blocking=True)
        values = values.float() / 255 if images.dtype == torch.uint8 else values.float()
        if self.input_range == "-1,1":
            values = values * 2 - 1
        with computing_on(self.device, TORCH_DTYPE[self.dtype]):
            moments = self.encoder(self._prepared(values)).float()
        mean, logvar = moments.chunk(2, dim=1)
        # Clamping would turn an overflow into an ordinary number.
        bounded = logvar.clamp(LOWEST_LOG_VARIANCE, HIGHEST_LOG_VARIANCE)
        clamped = torch.where(logvar.isfinite(), bounded, torch.nan)
        return torch.cat([mean, clamped], dim=1)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Return the image of each latent; see `Vae.decode`."""
        channels = self.identity.latent_channels
        if latents.ndim != 4 or latents.shape[1] != channels:
            raise ArrayError(f"expected latents of shape (B, {channels}, h, w), found {tuple(latents.shape)}")
        with computing_on(self.device, TORCH_DTYPE[self.dtype]):
            values = self.decoder(self._prepared(latents.to(self.device))).float()
        if self.input_range == "-1,1":
            values = (values + 1) / 2
        # Clamping would turn an overflow into an ordinary number.
        return torch.where(values.isfinite(), values.clamp(0, 1), torch.nan)

    def in_dtype(self, dtype: Dtype) -> "DiffusersVae":
        """Return the same VAE in another dtype; weights are copied unless the dtype is the same."""
        if dtype == self.dtype:
            return self
        encoder, decoder = (
            _placed(copy.deepcopy(cast("nn.Module", part)), self.device, dtype)
            for part in (self.encoder, self.decoder)
        )
        return replace(self, encoder=encoder, decoder=decoder, dtype=dtype)

    def in_range(self, input_range: InputRange) -> "DiffusersVae":
        """Return the same VAE with another input range; weights are shared."""
        return replace(self, input_range=input_range)

    def compiled(self) -> "DiffusersVae":
        """Return the same VAE with its encoder compiled by torch; see `Vae.compiled`."""
        return replace(self, encoder=torch_compiled(self.encoder))

    def _prepared(self, values: Tensor) -> Tensor:
        memory_format = _memory_format(self.device, self.dtype)
        return values.to(TORCH_DTYPE[self.dtype]).contiguous(memory_format=memory_format)


def load_vae(
    name: str | VaeFiles,
    *,
    revision: str = "",
    config: Path | None = None,
    device: str | torch.device = "cpu",
    dtype: Dtype = "float32",
) -> DiffusersVae:
    """Load a VAE for encoding and decoding.

    Args:
        name: a folder that diffusers saved, a lone .safetensors file or a hub name, as for `find_vae`; or the
            files that `find_vae` returned.
        revision: the revision of a hub name.
        config: the `config.json` of a lone .safetensors file.
        device: `cpu`, `cuda`, `cuda:1`.
        dtype: the dtype to compute in; weights are first read as float32.
    Returns:
        The VAE with the input range -1..1; `in_range` changes it.
    Raises:
        VaeError: if files are missing or do not fit each other, or there is no such device.
    """

    files = name if isinstance(name, VaeFiles) else find_vae(name, revision=revision, config=config)
    identity, place = files.identity(), open_device(device)
    model = load_autoencoder(files)
    before = cast("nn.Module | None", model.post_quant_conv)
    after = cast("nn.Module | None", model.quant_conv)
    parts = (_chain(model.encoder, after), _chain(before, model.decoder))
    encoder, decoder = (_placed(part, place, dtype) for part in parts)
    return DiffusersVae(identity, encoder, decoder, place, dtype)


def require_divisible_size(height: int, width: int, factor: int, where: str = "", remedy: str = "") -> None:
    """Raise VaeError unless `factor` divides height and width; the message names a size that it divides."""
    if height % factor or width % factor or not height or not width:
        near = " x ".join(str(max(round(side / factor), 1) * factor) for side in (width, height))
        what = f"an image of {width} x {height} px, but this VAE needs multiples of {factor}, such as {near}"
        raise VaeError(what, where=where, remedy=remedy or "use images of such a size")


def _require_images(images: Tensor) -> None:
    if images.ndim != 4 or images.shape[1] != 3:
        raise ArrayError(f"expected images of shape (B, 3, H, W), found {tuple(images.shape)}")
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise ArrayError(f"expected uint8 or floating images, found {images.dtype}")


def _placed(part: nn.Module, device: torch.device, dtype: Dtype) -> nn.Module:
    """Return the same module, moved."""
    part.to(device, TORCH_DTYPE[dtype])
    part.to(memory_format=_memory_format(device, dtype))  # pyright: ignore[reportCallIssue]
    return part


def _memory_format(device: torch.device, dtype: Dtype) -> torch.memory_format:
    """Return channels last, which is faster, except for float32 on a CPU.

    There channels last is only 3% faster, and torch then computes a group's variance as the mean of squares
    minus the squared mean. If a group lies far from 0, that leaves few of float32's digits: posteriors were
    off by 1e-4.
    """
    exact = device.type == "cpu" and dtype == "float32"
    return torch.contiguous_format if exact else torch.channels_last


def _chain(*parts: nn.Module | None) -> nn.Module:
    there = [part for part in parts if part is not None]
    return there[0] if len(there) == 1 else nn.Sequential(*there)


# From files to an `AutoencoderKL`: a strict check of the config, and of each weight tensor.


_SHOWN = 2
# The names of attention layers before diffusers 0.18; sd-vae-ft-mse is among the VAEs saved then.
_OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
# The names that latent diffusion's own code used.
_ORIGINAL_MARK = "encoder.mid.block_1."


def load_autoencoder(files: VaeFiles) -> AutoencoderKL:
    """Build the model and load its weights.

    Args:
        files: config and weights. Weights have diffusers' current or former names, or those of latent
            diffusion's own code, alone or inside a whole checkpoint.
    Returns:
        A new model in float32, on the CPU, in evaluation mode, without gradients.
    Raises:
        VaeError: if diffusers does not know the config or cannot build it, the file is damaged, or the
            weights are of another architecture.
    """
    with torch.device("meta"):
        model = _empty_model(files)
    try:
        found = load_file(files.weights)
    except (SafetensorError, OSError) as error:
        what = f"cannot be read as safetensors: {error}"
        raise VaeError(what, where=str(files.weights), remedy="download the file again") from None
    weights = {name: tensor.to(torch.float32) for name, tensor in _renamed(found, files).items()}
    expected = cast("dict[str, Tensor]", model.state_dict())
    _require_same(expected, weights, files)
    model.load_state_dict(weights, assign=True)
    return model.eval().requires_grad_(False)


def _empty_model(files: VaeFiles) -> AutoencoderKL:
    known = inspect.signature(AutoencoderKL.__init__).parameters
    settings: dict[str, Any] = {k: v for k, v in files.config.items() if not k.startswith("_")}
    unknown = [name for name in settings if name not in known]
    if unknown:
        what = f"its config has {', '.join(unknown)}, which the installed diffusers does not know"
        raise VaeError(what, where=files.name, remedy="install a newer diffusers")
    try:
        return AutoencoderKL(**settings)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, RuntimeError) as error:
        what = f"no VAE can be built from its config ({str(error).splitlines()[0]})"
        raise VaeError(what, where=files.name, remedy="use the config.json saved with the weights") from None


def _renamed(found: dict[str, Tensor], files: VaeFiles) -> dict[str, Tensor]:
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
