"""Seeded draws: which stream of randomness belongs to which question, and numbers short enough to record.

Every draw comes from `SeedSequence(seed, spawn_key=(stream, index, attempt))`: what is drawn depends on
what is asked, never on who asked first. Adding a stream changes no other; a stream's number never changes.
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
    """What a stream of random numbers is for."""

    TARGET = 1  # wanted severity, label and mixture of a sample
    DAMAGE = 2  # families, their parameters and masks; one attempt after the other
    PAIR_KIND = 3  # distort, enhance, or both
    LOOK = 4  # which look, how strong
    CROP = 5  # where a random crop lies
    PHOTO_ORDER = 6  # the shuffle of an epoch
    PHOTO_FALLBACK = 7  # which photos are tried after one that failed
    LATENT_ORDER = 8  # the shuffle of an epoch of latents
    LATENT_NOISE = 9  # what is drawn from a posterior


def generator(seed: int, stream: Stream, index: int, attempt: int = 0) -> Rng:
    """The generator that answers one question, the same on every machine with the same numpy.

    Args:
        seed: 0 or above.
        stream: what the numbers are for.
        index: which sample, epoch or photo; 0 or above.
        attempt: which try, from 0.
    """
    if seed < 0:
        raise RecipeError(f"a seed is 0 or above, not {seed}")
    key = (int(stream), index, attempt)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def rounded(value: float) -> float:
    """`value` at 6 significant digits, as recipes record it; -0.0 becomes 0.0."""
    return float(f"{value:.6g}") + 0.0


def uniform(rng: Rng, between: Range) -> float:
    """A number between two bounds, at 6 significant digits."""
    low, high = between
    return rounded(low + (high - low) * rng.random())


def uniform_in(rng: Rng, ranges: tuple[Range, ...]) -> float:
    """A number from several ranges, each as likely as it is wide, at 6 significant digits."""
    widths = [high - low for low, high in ranges]
    at = rng.random() * sum(widths)
    for (low, _), width in zip(ranges, widths, strict=True):
        if at <= width:
            return rounded(low + at)
        at -= width
    return rounded(ranges[-1][1])


def log_uniform_in(rng: Rng, ranges: tuple[Range, ...]) -> float:
    """A positive number from several ranges, uniform in its logarithm, at 6 significant digits."""
    logarithms = tuple((math.log(low), math.log(high)) for low, high in ranges)
    return rounded(math.exp(uniform_in(rng, logarithms)))


def normal(rng: Rng, sigma: float) -> float:
    """A normal number about 0, at 6 significant digits."""
    return rounded(sigma * rng.standard_normal())


def choose(rng: Rng, weights: Sequence[float]) -> int:
    """The number of one of several things, each as likely as its weight."""
    at = rng.random() * sum(weights)
    for number, weight in enumerate(weights):
        at -= weight
        if at < 0:
            return number
    return len(weights) - 1


def towards(start: float, end: float, amount: float) -> float:
    """The way from `start` (amount 0) to `end` (amount 1), at 6 significant digits."""
    return rounded(start + (end - start) * amount)


def between(kind: type[Made], amount: float, fields: Mapping[str, object]) -> Made:
    """A frozen dataclass part of the way from the identity to a checked one.

    Args:
        kind: the dataclass, whose `__post_init__` checks and changes nothing.
        amount: how far; within 0..1 all values lie between two that are sound, and are not checked again.
        fields: all of its values.
    """
    if not 0 <= amount <= 1:
        return kind(**fields)
    made = object.__new__(kind)
    made.__dict__.update(fields)
    return made


def require_in(owner: str, name: str, value: object, between: Range) -> None:
    """Raise RecipeError unless `value` is a number (of any kind but a bool) within finite bounds.

    Args:
        owner: the family, or `mask` or `rendering`.
        name: which of its parameters this is.
        value: the parameter.
        between: its bounds, which are allowed.
    """
    low, high = between
    if type(value) is float and low <= value <= high:  # nearly always: recipes hold thousands of numbers
        return
    where = owner if owner in ("mask", "rendering") else f"family {owner!r}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RecipeError(f"{name} is {value!r}, not a number", where=where)
    if not low <= value <= high:
        raise RecipeError(f"{name} is {value!r}, outside {low:g}..{high:g}", where=where)
