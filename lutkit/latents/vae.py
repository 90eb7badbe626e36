"""VAEs as encoders of images: from pixels to the posterior's mean and log-variance, or to a point, and back.

Owns the meaning of encoding and decoding: ranges, dtypes, clamping. `vae_files` knows where files are.
"""

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, Self, cast

import torch
from torch import Tensor, nn

from lutkit.dataset.latent_index import Dtype, InputRange, VaeIdentity
from lutkit.errors import ArrayError, VaeError, first_line
from lutkit.latents.autoencoders import halves_of, load_autoencoder
from lutkit.latents.devices import computing_on, is_lent, is_out_of_memory, lent_layers, open_device
from lutkit.latents.speed import Layout, keep_compiled
from lutkit.latents.vae_classes import class_of, factor_of, only_size_of
from lutkit.latents.vae_files import VaeFiles, find_vae
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
        try:
            return fast(values)
        except _compiler_errors() as error:
            cause = cast("BaseException", getattr(error, "inner_exception", error))
            if is_out_of_memory(cause):
                raise cause from None
            raise _not_compiled(cause) from None

    return call


def _compiler_errors() -> tuple[type[Exception], ...]:
    """Return the classes of errors of torch's compiler, which are not public, and of the one for GPUs."""
    from torch._dynamo.exc import TorchDynamoException

    # Some errors of Triton only occur when a kernel first runs; torch passes them on as they are.
    triton: Any = import_module("triton.runtime.errors") if find_spec("triton") else None
    return TorchDynamoException, getattr(triton, "TritonError", TorchDynamoException)


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
        what = f"compiling the encoder needs a {language} compiler, and none is found"
        return VaeError(what, remedy=f"{install}, name it in {variable}, or leave out --compile")
    what = f"the encoder cannot be compiled ({name}: {first_line(error)})"
    return VaeError(what, remedy="leave out --compile")


TORCH_DTYPE: dict[Dtype, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


class Vae(Protocol):
    """An encoder of images into posteriors or points, and decoder of latents."""

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
        """Return the posterior of each image, or its point if the VAE has no posterior.

        Args:
            images: (B, 3, H, W) sRGB, uint8 or floating with 0..1, in any memory format, on any device. H and
                W are multiples of `factor`.
        Returns:
            (B, 2C, H / factor, W / factor) float32 on `device`, unscaled: means in channels 0..C-1, then
            log-variances, clamped to -30..20 as in diffusers. Points are (B, C, H / factor, W / factor), so
            that channels 0..C-1 are what `decode` takes in both cases. Values that overflowed are NaN or
            infinite.
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
        """Return the same VAE in another dtype, with all weights on the device.

        Weights are copied unless they are there in this dtype.
        """
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
    """A VAE of diffusers, of one of the classes in `vae_classes`; its tiling and slicing are not used.

    Args:
        identity: the identity of the VAE.
        encoder: (B, 3, H, W) -> (B, 2C, h, w), or (B, C, h, w) for points, in `dtype`, on `device`.
        decoder: (B, C, h, w) -> (B, 3, H, W), in `dtype`, on `device`.
        device: the device.
        dtype: the dtype of weights and activations.
        input_range: the range that sRGB values are scaled to.
        layout: how weights and images lie in memory; None for what is usual on the device.
        lends: whether the weights of most layers stay on the CPU, and `device` holds those of one at a time.
    """

    identity: VaeIdentity
    encoder: Callable[[Tensor], Tensor]
    decoder: Callable[[Tensor], Tensor]
    device: torch.device
    dtype: Dtype = "float32"
    input_range: InputRange = "-1,1"
    layout: Layout | None = None
    lends: bool = False

    @property
    def factor(self) -> int:
        """How many pixels wide and high the area of one latent is."""
        return factor_of(self.identity)

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Return the posterior or the point of each image; see `Vae.encode`."""
        _require_images(images)
        require_encodable_size(images.shape[-2], images.shape[-1], self.identity)
        values = images.to(self.device, non_blocking=True)
        values = values.float() / 255 if images.dtype == torch.uint8 else values.float()
        if self.input_range == "-1,1":
            values = values * 2 - 1
        with computing_on(self.device, TORCH_DTYPE[self.dtype]), self._weights_of(self.encoder):
            moments = self.encoder(self._prepared(values)).float()
        if class_of(self.identity.config).kind == "point":
            return moments
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
        with computing_on(self.device, TORCH_DTYPE[self.dtype]), self._weights_of(self.decoder):
            values = self.decoder(self._prepared(latents.to(self.device))).float()
        if self.input_range == "-1,1":
            values = (values + 1) / 2
        # Clamping would turn an overflow into an ordinary number.
        return torch.where(values.isfinite(), values.clamp(0, 1), torch.nan)

    def in_dtype(self, dtype: Dtype) -> "DiffusersVae":
        """Return the same VAE in another dtype, with all weights on the device; see `Vae.in_dtype`."""
        return self if dtype == self.dtype and not self.lends else self._copied(dtype, self.layout)

    def in_layout(self, layout: Layout) -> "DiffusersVae":
        """Return the same VAE with weights in another layout; they are copied."""
        return self._copied(self.dtype, layout)

    def _copied(self, dtype: Dtype, layout: Layout | None) -> "DiffusersVae":
        halves = (cast("nn.Module", self.encoder), cast("nn.Module", self.decoder))
        # The copy gets converted weights at once: one in the old dtype would fill the device.
        converted: dict[int, Any] = {}
        for half in halves:
            for parameter in half.parameters():
                found = _converted(parameter.detach(), self.device, dtype, layout)
                converted[id(parameter)] = nn.Parameter(found, requires_grad=False)
            for buffer in half.buffers():
                converted[id(buffer)] = _converted(buffer, self.device, dtype, layout)
        encoder, decoder = copy.deepcopy(halves, converted)
        return replace(self, encoder=encoder, decoder=decoder, dtype=dtype, layout=layout, lends=False)

    def in_range(self, input_range: InputRange) -> "DiffusersVae":
        """Return the same VAE with another input range; weights are shared."""
        return replace(self, input_range=input_range)

    def compiled(self) -> "DiffusersVae":
        """Return the same VAE with its encoder compiled by torch; see `Vae.compiled`.

        On a GPU compiled convolutions are fastest with channels last, whatever is fastest without compiling.
        """
        keep_compiled()
        own = self
        if self.device.type == "cuda" and self.layout != "channels last":
            own = self.in_layout("channels last")
        return replace(own, encoder=torch_compiled(own.encoder))

    def _weights_of(self, half: Callable[[Tensor], Tensor]) -> AbstractContextManager[None]:
        return lent_layers(cast("nn.Module", half), self.device) if self.lends else nullcontext()

    def _prepared(self, values: Tensor) -> Tensor:
        memory_format = _memory_format(self.device, self.dtype, values.ndim, self.layout)
        return values.to(TORCH_DTYPE[self.dtype]).contiguous(memory_format=memory_format)


def load_vae(
    name: str | VaeFiles,
    *,
    revision: str = "",
    config: Path | None = None,
    device: str | torch.device = "cpu",
    dtype: Dtype = "float32",
    lends: bool = False,
) -> DiffusersVae:
    """Load a VAE for encoding and decoding.

    Args:
        name: a folder that diffusers saved, a lone .safetensors file or a hub name, as for `find_vae`; or the
            files that `find_vae` returned.
        revision: the revision of a hub name.
        config: the `config.json` of a lone .safetensors file.
        device: `cpu`, `cuda`, `cuda:1`.
        dtype: the dtype to compute in; weights are converted one by one, before they reach the device.
        lends: whether the weights of most layers stay on the CPU, and the device holds those of one layer at
            a time. This saves memory on a GPU and takes more time.
    Returns:
        The VAE with the input range that its class was made for; `in_range` changes it.
    Raises:
        VaeError: if files are missing or do not fit each other, or there is no such device.
    """

    files = name if isinstance(name, VaeFiles) else find_vae(name, revision=revision, config=config)
    identity, place = files.identity(), open_device(device)
    encoder, decoder = halves_of(load_autoencoder(files, TORCH_DTYPE[dtype]))
    for layer in (layer for half in (encoder, decoder) for layer in half.modules()):
        home = torch.device("cpu") if lends and is_lent(layer) else place
        # In place, so that weights that both halves have stay shared.
        for tensor in (*layer.parameters(recurse=False), *layer.buffers(recurse=False)):
            tensor.data = _converted(tensor.data, home, dtype, None)
    input_range = class_of(identity.config).input_range
    return DiffusersVae(identity, encoder, decoder, place, dtype, input_range, lends=lends)


def decodable(encoded: Tensor, vae: VaeIdentity) -> Tensor:
    """Return the part of what `Vae.encode` returns that `Vae.decode` takes: the means, or the points.

    Args:
        encoded: (B, 2C, h, w) or (B, C, h, w).
        vae: the VAE.
    Returns:
        (B, C, h, w), a view.
    """
    return encoded[:, : vae.latent_channels]


def require_encodable_size(
    height: int, width: int, vae: VaeIdentity, where: str = "", remedy: str = ""
) -> None:
    """Raise VaeError unless a VAE takes images of this size; the message names a size that it takes."""
    factor, only = factor_of(vae), only_size_of(vae)
    if only is not None and (height, width) != (only, only):
        what = f"an image of {width} x {height} px, but this VAE takes {only} x {only} px only"
        raise VaeError(what, where=where, remedy=remedy or "use images of that size")
    if height % factor or width % factor or not height or not width:
        near = " x ".join(str(max(round(side / factor), 1) * factor) for side in (width, height))
        what = f"an image of {width} x {height} px, but this VAE needs multiples of {factor}, such as {near}"
        raise VaeError(what, where=where, remedy=remedy or "use images of such a size")


def _require_images(images: Tensor) -> None:
    if images.ndim != 4 or images.shape[1] != 3:
        raise ArrayError(f"expected images of shape (B, 3, H, W), found {tuple(images.shape)}")
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise ArrayError(f"expected uint8 or floating images, found {images.dtype}")


def _converted(tensor: Tensor, device: torch.device, dtype: Dtype, layout: Layout | None) -> Tensor:
    """Return a weight or buffer in its place; whole numbers keep their dtype."""
    kind = TORCH_DTYPE[dtype] if tensor.is_floating_point() else tensor.dtype
    form = _memory_format(device, dtype, tensor.ndim, layout)
    return tensor.to(kind).to(device).contiguous(memory_format=form)


def _memory_format(
    device: torch.device, dtype: Dtype, dimensions: int, layout: Layout | None
) -> torch.memory_format:
    """Return the format of a layout; without one, channels last for half floats on a CPU.

    For float32 on a CPU channels last is only 3% faster, and torch then computes a group's variance as the
    mean of squares minus the squared mean. If a group lies far from 0, that leaves few of float32's digits:
    posteriors were off by 1e-4. On a GPU torch has no fast group norm for channels last, unless compiled.
    """
    last = layout == "channels last" if layout else device.type == "cpu" and dtype != "float32"
    return torch.channels_last if last and dimensions == 4 else torch.contiguous_format
