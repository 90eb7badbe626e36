"""Training on the quantized ab plane: cross entropy, with each colour weighted by its rarity."""

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
    """Compute the cross entropy against soft classes of ab, each pixel weighted by the bin of its colour.

    No (B, Q, H, W) target is made. Besides logits and their gradient, this needs the memory of a few images
    of one channel. There is no second derivative.

    Args:
        logits: (B, Q, H, W), floating; float16 and bfloat16 are computed in float32.
        ab: (B, 2, H, W), as for `lutkit.nn.ab.hard_classes`, of the logits' size.
        bins: the classes, their weights, and how colours are distributed over classes.
        reduction: `mean` over pixels, `sum`, or `none`. The mean is not divided by the sum of the weights.
            The expectation of the weights is 1 under the smoothed prior, but for instance 0.88 on the dataset
            itself; with bins read with `normalise="data"` it is 1 on the dataset.
        inplace: whether to write the gradient over the logits in the backward pass, which saves its memory.
            The logits must be the output of a layer and must not be used for anything else.
    Returns:
        A number, or (B, H, W); float32, or float64 for float64 logits.
    Raises:
        ArrayError: if shapes, dtypes or devices do not fit, the number of logits is not that of the bins,
            logits or ab hold NaN, logits are infinite (-inf is allowed and rules a class out), ab is out of
            range, or the reduction is unknown. The check looks at ab and at the results instead of all
            logits; on CUDA it waits for the device once.
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
    """Compute the cross entropy like `rebalanced_cross_entropy`, from classes, such as `AbTargets` reads.

    Args:
        logits: (B, Q, H, W), as for `rebalanced_cross_entropy`.
        classes: hard classes (B, H, W); or soft classes as indices and shares, (B, k, H, W) each. Indices
            have any integer dtype; shares are floating, 0 or above. Neither gets a gradient.
        weight: (B, H, W), floating, the weight of each pixel; None means 1.
        reduction: as for `rebalanced_cross_entropy`.
        inplace: as for `rebalanced_cross_entropy`.
    Returns:
        As `rebalanced_cross_entropy`.
    Raises:
        ArrayError: as `rebalanced_cross_entropy`, or if there are classes that the logits do not have.
    """
    where = "class_cross_entropy"
    require_logits(logits, None, where)
    if isinstance(classes, Tensor):
        classes = classes.unsqueeze(1), torch.ones_like(classes, dtype=torch.float32).unsqueeze(1)
    if len(classes) != 2:
        raise ArrayError(f"soft classes must be indices and shares, not {len(classes)} tensors", where=where)
    indices, shares = classes
    _require_classes(indices, shares, logits, where)
    losses = cross_entropies(logits, indices, shares, inplace=inplace)
    refuse_unsound(unsound(losses), where)
    if weight is not None:
        if weight.shape != losses.shape or not weight.is_floating_point():
            what = f"weight must be {tuple(losses.shape)}, floating, not {tuple(weight.shape)} {weight.dtype}"
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
        what = f"classes must be integers and their shares floats, not {indices.dtype} and {shares.dtype}"
        raise ArrayError(what, where=where)
    if indices.device != logits.device or shares.device != logits.device:
        raise ArrayError(f"the logits are on {logits.device}, but some of the classes are not", where=where)
    if indices.ndim != 4 or indices.shape != shares.shape:
        what = f"classes of shape {tuple(indices.shape)} and shares of shape {tuple(shares.shape)}"
        raise ArrayError(what, where=where, remedy="use (B, H, W), or (B, k, H, W) for both")
    require_logits_size(logits, indices, "classes", where)
    low, high = cast("list[int]", torch.stack(torch.aminmax(indices)).tolist())
    if low < 0 or high >= logits.shape[1]:
        raise ArrayError(f"classes are {low}..{high}, but logits are 0..{logits.shape[1] - 1}", where=where)
