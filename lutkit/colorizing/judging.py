"""Score versions of photographs with a classifier of the user's: does it still see what is there?

Owns the score, its intervals, and what may be concluded from them. No classifier is a dependency.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from lutkit.errors import LutkitError, first_line
from lutkit.lut.model import Float32Array
from lutkit.results import six_digits

Judge: TypeAlias = Callable[..., Any]

ORIGINAL = "the photo itself"
JUDGED_PX = 224
_RESAMPLES = 2000
_ROUNDING = 0.01  # of a sum of probabilities
_REMEDY = "a judge takes images (B, 3, 224, 224), sRGB-encoded, 0..1, and returns probabilities (B, classes)"


@dataclass(frozen=True)
class JudgedVersion:
    """The score of a version of the photographs.

    Args:
        version: its name.
        score: the mean probability that the judge gives to the class that it sees in the photo itself.
        low: the lower end of the score's 95% interval, by bootstrap over photographs.
        high: its upper end.
    """

    version: str
    score: float
    low: float
    high: float


@dataclass(frozen=True)
class Judgement:
    """What a judge says about colorized photographs.

    Args:
        photos: the number of photographs; only those with colours of their own count.
        versions: the scores.
        verdicts: for each two versions, which scores higher, or that it is inconclusive.
    """

    photos: int
    versions: tuple[JudgedVersion, ...]
    verdicts: tuple[str, ...]


def judge_square(picture: Float32Array) -> Float32Array:
    """Return the central square of a picture (h, w, 3), 0..1, at 224 px, as judges see it."""
    height, width = (int(length) for length in picture.shape[:2])
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = np.rint(255 * np.clip(picture[top : top + side, left : left + side], 0, 1)).astype(np.uint8)
    resized = Image.fromarray(square).resize((JUDGED_PX, JUDGED_PX), Image.Resampling.BICUBIC)
    return np.asarray(resized, np.float32) / np.float32(255)


def require_judge(judge: Judge) -> None:
    """Try the judge on two images, so that one that fails does so before any photo is colorized.

    Raises:
        LutkitError: if the judge fails, or does not return probabilities.
    """
    greys = np.linspace(0.2, 0.8, 2 * JUDGED_PX**2 * 3, dtype=np.float32)
    _probabilities(judge, tuple(greys.reshape(2, JUDGED_PX, JUDGED_PX, 3)))


def judge_versions(judge: Judge, versions: Sequence[Float32Array]) -> tuple[float, ...]:
    """Score versions of one photograph.

    Args:
        judge: from images (B, 3, 224, 224), sRGB-encoded, 0..1, to probabilities (B, classes), as tensors.
        versions: pictures (224, 224, 3), 0..1; the first one is the photo itself.
    Returns:
        For each version, the probability of the class that the judge sees in the photo itself.
    Raises:
        LutkitError: if the judge fails, or does not return probabilities.
    """
    chances = _probabilities(judge, versions)
    return tuple(chances[:, chances[0].argmax()].tolist())


def judgement_of(versions: Sequence[str], scores: Sequence[tuple[float, ...]]) -> Judgement:
    """Summarize the scores of photographs.

    Args:
        versions: the names of the versions.
        scores: for each photograph, the score of each version; at least one photograph.
    """
    values = np.array(scores)
    photos = len(values)
    picks = np.random.default_rng(0).integers(0, photos, (_RESAMPLES, photos))
    found: list[JudgedVersion] = []
    for place, name in enumerate(versions):
        low, high = np.percentile(values[picks, place].mean(axis=1), (2.5, 97.5))
        found.append(
            JudgedVersion(
                name,
                six_digits(float(values[:, place].mean())),
                six_digits(float(low)),
                six_digits(float(high)),
            )
        )
    return Judgement(photos, tuple(found), tuple(_verdict(*pair) for pair in combinations(found, 2)))


def _verdict(one: JudgedVersion, other: JudgedVersion) -> str:
    if one.low <= other.high and other.low <= one.high:
        return f"{one.version} and {other.version}: inconclusive, their intervals overlap"
    better, worse = (one, other) if one.score > other.score else (other, one)
    return f"{better.version} scores above {worse.version}"


def _probabilities(judge: Judge, pictures: Sequence[Float32Array]) -> npt.NDArray[np.float64]:
    import torch

    batch = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()
    try:
        with torch.inference_mode():
            result = judge(batch)
        values = np.asarray(result.detach().cpu().double().numpy(), np.float64)
    except Exception as error:  # a stranger's classifier raises anything
        raise LutkitError(f"the judge fails: {first_line(error)}", remedy=_REMEDY) from None
    if values.ndim != 2 or len(values) != len(pictures) or values.shape[1] < 2:
        shape = " x ".join(map(str, values.shape))
        raise LutkitError(f"the judge returns {shape} for {len(pictures)} images", remedy=_REMEDY)
    sums = values.sum(axis=1)
    if not (np.isfinite(values).all() and values.min() >= 0 and np.abs(sums - 1).max() < _ROUNDING):
        what = f"the judge returns no probabilities: rows sum to {sums.min():.3g}..{sums.max():.3g}"
        raise LutkitError(what, remedy="end it with a softmax")
    return values
