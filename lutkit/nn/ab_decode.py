"""Turn logits on the quantized ab plane back into colours."""

from typing import Any, TypeAlias, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lutkit.errors import ArrayError
from lutkit.nn.ab import AbBins
from lutkit.nn.logits import logit_chunks, refuse_unsound, require_logits, unsound, working_dtype

_Context: TypeAlias = Any  # where autograd stores tensors for the gradient

_LEAST_TEMPERATURE = torch.finfo(torch.float32).tiny


def annealed_mean(logits: Tensor, temperature: float, bins: AbBins | Tensor) -> Tensor:
    """Return the colours that logits stand for: the mean of the bins under softmax(logits / temperature).

    Args:
        logits: (B, Q, H, W), floating, without NaN; float16 and bfloat16 are computed in float32.
        temperature: 0 or above. 1 gives the mean, which is greyish where the network is unsure. 0 gives the
            limit: the bin of the largest logit, or the mean of the bins if several logits are equally large.
            The paper uses 0.38.
        bins: the bins that the logits were trained on; or only their a and b, (Q, 2), float32.
    Returns:
        (B, 2, H, W), a and b, new; float32, or float64 for float64 logits. Differentiable once; at
        temperature 0 the gradient is 0.
    Raises:
        ArrayError: if the shape, dtype or device is wrong, the number of logits is not that of the bins,
            logits hold NaN or +inf (on CUDA this check waits for the device), or the temperature is below 0.
    Source: Zhang, Isola and Efros, "Colorful image colorization", ECCV 2016, equation 5.
    """
    where = "annealed_mean"
    require_logits(logits, None if isinstance(bins, Tensor) else bins, where)
    centres = bins if isinstance(bins, Tensor) else bins.bins
    if centres.shape != (logits.shape[1], 2) or centres.device != logits.device:
        what = f"bins must be ({logits.shape[1]}, 2) on {logits.device}, not {tuple(centres.shape)}"
        raise ArrayError(f"{what} on {centres.device}", where=where)
    if not 0 <= temperature < float("inf"):
        raise ArrayError(f"the temperature must be 0 or above, not {temperature}", where=where)
    ab = cast("Tensor", cast("Any", _AnnealedMean).apply(logits, temperature, centres))
    refuse_unsound(unsound(ab), where)
    return ab


class _AnnealedMean(torch.autograd.Function):
    """Map (B, Q, H, W) to (B, 2, H, W)."""

    @staticmethod
    def forward(ctx: _Context, logits: Tensor, temperature: float, bins: Tensor) -> Tensor:
        flat, kind = logits.flatten(2), working_dtype(logits)
        ab = torch.empty((len(flat), 2, flat.shape[2]), dtype=kind, device=logits.device)
        for chunk in logit_chunks(flat):
            chances = _annealed(flat[chunk].to(kind), temperature)
            for axis in (0, 1):  # no matrix product: its precision depends on a setting of the user
                ab[chunk[0], axis, chunk[2]] = (chances * bins[:, axis, None]).sum(1)
        ctx.save_for_backward(logits, bins, ab)
        ctx.temperature = temperature
        return ab.view(len(ab), 2, *logits.shape[2:])

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: _Context, *grad_outputs: Tensor
    ) -> tuple[Tensor, None, None]:
        logits, bins, ab = cast("tuple[Tensor, ...]", ctx.saved_tensors)
        temperature, flat = cast("float", ctx.temperature), logits.detach().flatten(2)
        result = torch.zeros_like(flat)
        if temperature < _LEAST_TEMPERATURE:
            return result.view(logits.shape), None, None
        gradient = grad_outputs[0].flatten(2) / temperature
        for chunk in logit_chunks(flat):
            pulls = torch.zeros_like(flat[chunk], dtype=ab.dtype)
            for axis in (0, 1):
                mean, pull = (tensor[chunk[0], axis, chunk[2]].unsqueeze(1) for tensor in (ab, gradient))
                pulls += (bins[:, axis, None] - mean) * pull
            result[chunk] = pulls.mul_(_annealed(flat[chunk].to(ab.dtype), temperature))
        return result.view(logits.shape), None, None


def _annealed(values: Tensor, temperature: float) -> Tensor:
    """Return the softmax of (G, Q, P) values at a temperature, new."""
    off = values - values.amax(1, keepdim=True)
    # Below the smallest normal number the division would be a division by 0.
    chances = off.eq(0).to(off.dtype) if temperature < _LEAST_TEMPERATURE else (off / temperature).exp_()
    chances /= chances.sum(1, keepdim=True)
    return chances
