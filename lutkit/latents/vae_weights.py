"""From files to an `AutoencoderKL`: its config strictly, its weights tensor by tensor.

Owns the names that weights have gone by. Must not know what the model is used for.
"""

import inspect
from collections.abc import Iterable
from importlib import import_module
from typing import Any, cast

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from safetensors import SafetensorError
from safetensors.torch import load_file  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor

from lutkit.errors import VaeError
from lutkit.latents.vae_files import VaeFiles

_SHOWN = 2
# What attention was called in diffusers before 0.18, sd-vae-ft-mse among what was saved then.
_OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
# In the names that latent diffusion's own code gave.
_ORIGINAL_MARK = "encoder.mid.block_1."


def load_autoencoder(files: VaeFiles) -> AutoencoderKL:
    """Build the model and fill it.

    Args:
        files: config and weights; weights named as diffusers names them, now or formerly, or as latent
            diffusion's own code did, alone or within a whole checkpoint.
    Returns:
        A new model in float32, on the CPU, in evaluation mode, without gradients.
    Raises:
        VaeError: a config that diffusers does not know or that cannot be, a file that is damaged, weights of
            another architecture.
    """
    with torch.device("meta"):
        model = _empty_model(files)
    try:
        found = load_file(files.weights)
    except (SafetensorError, OSError) as error:
        what = f"cannot be read as safetensors: {error}"
        raise VaeError(what, where=str(files.weights), remedy="fetch the file again") from None
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
        what = f"its config has {', '.join(unknown)}, which this diffusers does not know"
        raise VaeError(what, where=files.name, remedy="install a newer diffusers")
    try:
        return AutoencoderKL(**settings)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, RuntimeError) as error:
        what = f"its config cannot be built ({str(error).splitlines()[0]})"
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
            f"weights of another architecture than its config: {', '.join(faults)}",
            where=str(files.weights),
            remedy="use the config.json that belongs to these weights",
        )


def _first_of(names: Iterable[str]) -> str:
    shown = list(names)
    return ", ".join(shown[:_SHOWN]) + (", ..." if len(shown) > _SHOWN else "")
