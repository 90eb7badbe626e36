"""Seeded draws: a stream of random numbers for each purpose, rounded to be short enough to record.

Every draw comes from `SeedSequence(seed, spawn_key=(stream, index, attempt))`. A draw therefore depends only
on its purpose, and never on the order of draws. A new stream changes no other stream. The number of a stream
never changes.
"""

import math
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import TypeAlias, TypeVar

import numpy as np

from lutkit.errors import RecipeError

Rng: TypeAlias = np.random.Generator
Range: TypeAlias = tuple[float, float]
Made = TypeVar("Made")


class Stream(IntEnum):
    """The purposes of streams of random numbers."""

    TARGET = 1  # the wanted severity, label and mixed light of a sample
    DAMAGE = 2  # families, their parameters and masks, for each attempt
    PAIR_KIND = 3  # whether a pair is distort, enhance, or both
    LOOK = 4  # the look and its strength
    CROP = 5  # the place of a random crop
    PHOTO_ORDER = 6  # the order of photos in an epoch
    PHOTO_FALLBACK = 7  # the photos that are tried after a photo that failed
    LATENT_ORDER = 8  # the order of latents in an epoch
    LATENT_NOISE = 9  # the noise of draws from a posterior
    LATENT_MIRROR = 10  # whether the latents of a mirrored image are read


def generator(seed: int, stream: Stream, index: int, attempt: int = 0) -> Rng:
    """Return the generator for one purpose; it is the same on every machine with the same numpy.

    Args:
        seed: 0 or above.
        stream: the purpose of the numbers.
        index: the number of the sample, epoch or photo; 0 or above.
        attempt: the number of the attempt, from 0.
    """
    if not isinstance(seed, int | np.integer) or seed < 0:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise RecipeError(f"a seed must be 0 or above, not {seed!r}")
    if not isinstance(index, int | np.integer) or index < 0:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise RecipeError(f"an index must be 0 or above, not {index!r}")
    key = (int(stream), index, attempt)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def rounded(value: float) -> float:
    """Return `value` at 6 significant digits, as recipes record it; -0.0 becomes 0.0."""
    return float(f"{value:.6g}") + 0.0


def uniform(rng: Rng, between: Range) -> float:
    """Draw a number between two bounds, at 6 significant digits."""
    low, high = between
    return rounded(low + (high - low) * rng.random())


def uniform_in(rng: Rng, ranges: tuple[Range, ...]) -> float:
    """Draw a number from several ranges, each as likely as it is wide, at 6 significant digits."""
    widths = [high - low for low, high in ranges]
    at = rng.random() * sum(widths)
    for (low, _), width in zip(ranges, widths, strict=True):
        if at <= width:
            return rounded(low + at)
        at -= width
    return rounded(ranges[-1][1])


def log_uniform_in(rng: Rng, ranges: tuple[Range, ...]) -> float:
    """Draw a positive number from several ranges, uniform in its logarithm, at 6 significant digits."""
    logarithms = tuple((math.log(low), math.log(high)) for low, high in ranges)
    return rounded(math.exp(uniform_in(rng, logarithms)))


def normal(rng: Rng, sigma: float) -> float:
    """Draw a normal number with mean 0, at 6 significant digits."""
    return rounded(sigma * rng.standard_normal())


def choose(rng: Rng, weights: Sequence[float]) -> int:
    """Draw the index of one of several things, each as likely as its weight."""
    at = rng.random() * sum(weights)
    for number, weight in enumerate(weights):
        at -= weight
        if at < 0:
            return number
    return len(weights) - 1


def towards(start: float, end: float, amount: float) -> float:
    """Return the number between `start` (amount 0) and `end` (amount 1), at 6 significant digits."""
    return rounded(start + (end - start) * amount)


def between(kind: type[Made], amount: float, fields: Mapping[str, object]) -> Made:
    """Build a frozen dataclass that lies between the identity and a checked instance.

    Args:
        kind: the dataclass; its `__post_init__` only checks values.
        amount: how far it lies from the identity. Within 0..1 all values lie between two valid ones and are
            not checked again.
        fields: all its values.
    """
    if not 0 <= amount <= 1:
        return kind(**fields)
    made = object.__new__(kind)
    made.__dict__.update(fields)
    return made


def require_in(owner: str, name: str, value: object, between: Range) -> None:
    """Raise RecipeError unless `value` is a number (and not a bool) within finite bounds.

    Args:
        owner: the family, or `mask` or `rendering`.
        name: the name of the parameter.
        value: the parameter.
        between: its bounds, both allowed.
    """
    low, high = between
    if (
        type(value) is float and low <= value <= high
    ):  # the usual case, checked first: recipes hold thousands of numbers
        return
    where = owner if owner in ("mask", "rendering") else f"family {owner!r}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RecipeError(f"{name} is {value!r}, not a number", where=where)
    if not low <= value <= high:
        raise RecipeError(f"{name} is {value!r}, but must be in {low:g}..{high:g}", where=where)
