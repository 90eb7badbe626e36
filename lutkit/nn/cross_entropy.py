"""Cross entropy against soft classes, computed only from the few classes that have a share.

Logits are processed in chunks, and the backward pass recomputes the gradient instead of storing it: besides
logits and their gradient, no memory grows with the number of classes. Owns arithmetic; `ab_loss` does the
checks.
"""

from typing import Any, TypeAlias, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lutkit.errors import ArrayError
from lutkit.nn.logits import logit_chunks, working_dtype

_Context: TypeAlias = Any  # where autograd stores tensors for the gradient


def cross_entropies(logits: Tensor, indices: Tensor, shares: Tensor, *, inplace: bool) -> Tensor:
    """Compute the cross entropy of each pixel.

    Args:
        logits: (B, Q, H, W), floating.
        indices: (B, k, H, W), integers, 0..Q - 1.
        shares: (B, k, H, W), floating.
        inplace: whether to write the gradient over the logits in the backward pass.
    Returns:
        (B, H, W), float32, or float64 for float64 logits; only the logits get a gradient. NaN or infinite
        where the pixel's logits are.
    Raises:
        ArrayError: if `inplace` is set and the logits are a leaf.
    """
    if inplace and logits.requires_grad and logits.is_leaf:
        what = "with inplace, the gradient would overwrite a leaf tensor"
        raise ArrayError(what, where="logits", remedy="use the output of a layer, or leave out inplace")
    flat = (tensor.flatten(2) for tensor in (logits, indices, shares))
    losses = cast("Tensor", cast("Any", _CrossEntropy).apply(*flat, inplace))
    return losses.view(len(logits), *logits.shape[2:])


class _CrossEntropy(torch.autograd.Function):
    """Map (B, Q, P), and (B, k, P) twice, to (B, P)."""

    @staticmethod
    def forward(ctx: _Context, logits: Tensor, indices: Tensor, shares: Tensor, inplace: bool) -> Tensor:
        kind = working_dtype(logits)
        images, _, count = logits.shape
        losses = torch.empty((images, count), dtype=kind, device=logits.device)
        totals = torch.empty_like(losses)
        for chunk in logit_chunks(logits):
            values, pixels = logits[chunk].to(kind), (chunk[0], chunk[2])
            most = values.amax(1, keepdim=True)
            total = (values - most).exp_().sum(1).log_() + most.squeeze(1)
            off = total.unsqueeze(1) - values.gather(1, indices[chunk].long())
            losses[pixels], totals[pixels] = (off * shares[chunk]).sum(1), total
        ctx.save_for_backward(logits, indices, shares, totals)
        ctx.inplace = inplace
        return losses

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: _Context, *grad_outputs: Tensor
    ) -> tuple[Tensor, None, None, None]:
        (gradient,) = grad_outputs
        logits, indices, shares, totals = cast("tuple[Tensor, ...]", ctx.saved_tensors)
        result = logits.detach() if ctx.inplace else torch.empty_like(logits)
        for chunk in logit_chunks(logits):
            pixels = (chunk[0], chunk[2])
            scale = gradient[pixels].unsqueeze(1)
            values = _less(logits.detach()[chunk], totals[pixels].unsqueeze(1), result[chunk]).exp_()
            values *= scale * shares[chunk].sum(1, keepdim=True)
            taken = (scale * shares[chunk]).neg_().to(values.dtype)
            values.scatter_add_(1, indices[chunk].long(), taken)
            if values.dtype != result.dtype:
                result[chunk] = values
        return result, None, None, None


def _less(values: Tensor, totals: Tensor, target: Tensor) -> Tensor:
    """Return values - totals in the dtype of totals; stored in `target` if it has this dtype."""
    if values.dtype == totals.dtype:
        return torch.sub(values, totals, out=target)
    return values.to(totals.dtype).sub_(totals)
