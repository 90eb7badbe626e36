"""Training on the quantized ab plane: cross entropy, each colour weighed by how rare it is."""

from collections.abc import Sequence
from typing import Literal, TypeAlias, cast

import torch
from torch import Tensor

from lutkit.errors import ArrayError
from lutkit.nn.ab import AbBins, ab_faults, classes_of, refuse_faults, require_ab, shares_of
from lutkit.nn.cross_entropy import cross_entropies
from lutkit.nn.logits import refuse_unsound, require_logits, require_logits_size, unsound

Reduction: TypeAlias = Literal["mean", "sum", "none"]


def rebalanced_cross_entropy(
    logits: Tensor, ab: Tensor, bins: AbBins, *, reduction: Reduction = "mean", inplace: bool = False
) -> Tensor:
    """Cross entropy against soft classes of ab, each pixel weighed by the bin that its colour falls into.

    No (B, Q, H, W) target is made. Beyond logits and their gradient, the memory it takes is that of a few
    images of one channel. There is no second derivative.

    Args:
        logits: (B, Q, H, W), floating; float16 and bfloat16 are computed in float32.
        ab: (B, 2, H, W), as `lutkit.nn.ab.hard_classes` takes it, of the logits' size.
        bins: classes, weights, and how colours are shared out among classes.
        reduction: `mean` over pixels, `sum`, or `none`. A mean is not divided by the sum of the weights.
            Their expectation is 1 under the smoothed prior, and another on the dataset itself, 0.88 say; of
            bins read with `normalise="data"` it is 1 there.
        inplace: write the gradient over the logits in the backward pass, so that it takes no memory at all.
            The logits must come out of a layer, and be used for nothing else after it.
    Returns:
        A number, or (B, H, W); float32, or float64 for float64 logits.
    Raises:
        ArrayError: shapes, dtypes or devices that do not fit; as many logits as another grid has bins; NaN
            in logits or ab; infinite logits, but for -inf where a class is ruled out; ab out of range;
            or another reduction. The check looks at ab and at the results, not at all the logits again; on
            CUDA it waits for the device, once.
    Source: Zhang, Isola and Efros, "Colorful image colorization", ECCV 2016, equations 2 and 3.
    """
    where = "rebalanced_cross_entropy"
    require_logits(logits, bins, where)
    require_ab(ab, bins, where)
    require_logits_size(logits, ab, "ab", where)
    indices, shares = shares_of(ab, bins)
    losses = cross_entropies(logits, indices, shares, inplace=inplace)
    faults = torch.cat([ab_faults(ab), unsound(losses)])
    refuse_faults(faults[:2], where)
    refuse_unsound(faults[2:], where)
    return _reduced(losses * bins.weights[classes_of(ab, bins)], reduction)


def class_cross_entropy(
    logits: Tensor,
    classes: Tensor | Sequence[Tensor],
    weight: Tensor | None = None,
    *,
    reduction: Reduction = "mean",
    inplace: bool = False,
) -> Tensor:
    """`rebalanced_cross_entropy` for classes that are already at hand, as `AbTargets` reads them.

    Args:
        logits: (B, Q, H, W), as there.
        classes: hard ones, (B, H, W); or soft ones, indices and shares, (B, k, H, W) each. Indices are of any
            integer dtype; shares are floating, 0 or above; neither gets a gradient.
        weight: (B, H, W), floating, of each pixel; 1 where None.
        reduction: as there.
        inplace: as there.
    Returns:
        As there.
    Raises:
        ArrayError: as there; and classes that the logits do not have.
    """
    where = "class_cross_entropy"
    require_logits(logits, None, where)
    if isinstance(classes, Tensor):
        classes = classes.unsqueeze(1), torch.ones_like(classes, dtype=torch.float32).unsqueeze(1)
    if len(classes) != 2:
        raise ArrayError(f"soft classes are indices and shares, not {len(classes)} tensors", where=where)
    indices, shares = classes
    _require_classes(indices, shares, logits, where)
    losses = cross_entropies(logits, indices, shares, inplace=inplace)
    refuse_unsound(unsound(losses), where)
    if weight is not None:
        if weight.shape != losses.shape or not weight.is_floating_point():
            what = f"weight is {tuple(losses.shape)}, floating, not {tuple(weight.shape)} {weight.dtype}"
            raise ArrayError(what, where=where)
        losses = losses * weight
    return _reduced(losses, reduction)


def _reduced(losses: Tensor, reduction: Reduction) -> Tensor:
    if reduction == "mean":
        return losses.mean()
    if reduction == "sum":
        return losses.sum()
    if reduction == "none":
        return losses
    raise ArrayError(f"no reduction {reduction!r}", remedy="choose 'mean', 'sum' or 'none'")


def _require_classes(indices: Tensor, shares: Tensor, logits: Tensor, where: str) -> None:
    integers = not (indices.is_floating_point() or indices.is_complex() or indices.dtype == torch.bool)
    if not integers or not shares.is_floating_point():
        what = f"classes are integers and their shares floats, not {indices.dtype} and {shares.dtype}"
        raise ArrayError(what, where=where)
    if indices.device != logits.device or shares.device != logits.device:
        raise ArrayError(f"the logits are on {logits.device}, but not all of the classes", where=where)
    if indices.ndim != 4 or indices.shape != shares.shape:
        what = f"{tuple(indices.shape)} classes and {tuple(shares.shape)} shares"
        raise ArrayError(what, where=where, remedy="give (B, H, W), or (B, k, H, W) twice")
    require_logits_size(logits, indices, "classes", where)
    low, high = cast("list[int]", torch.stack(torch.aminmax(indices)).tolist())
    if low < 0 or high >= logits.shape[1]:
        raise ArrayError(f"classes run from {low} to {high}, logits 0..{logits.shape[1] - 1}", where=where)
