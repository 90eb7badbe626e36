"""Changes of colours of one kind each, fitted to pairs of colours by least squares.

A fit takes codes before and after, both (n, 3) float64, and gives a function from codes to codes. Knows not
which kind is the right one.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from lutkit.color.lab import lab_to_srgb, srgb_to_lab
from lutkit.color.srgb import FloatArray

Fit: TypeAlias = Callable[[FloatArray], FloatArray]

_LUMA = np.array([0.299, 0.587, 0.114])  # of R'G'B', Rec. ITU-R BT.601: most editors' grey
_RIDGE = 1e-5  # toward no change, where colours are too few to tell


def lab_of(codes: FloatArray) -> FloatArray:
    """CIELAB of codes, cut off at 0 and 255."""
    return srgb_to_lab(np.clip(codes, 0, 255) / 255)


def identity(codes: FloatArray) -> FloatArray:
    """No change."""
    return codes


def swap(order: tuple[int, int, int]) -> Fit:
    """Channels in another order: each is that of the number that stands in its place."""
    return lambda codes: codes[:, order]


def fit_curve(before: FloatArray, after: FloatArray) -> Fit:
    """One curve for all channels: exposure, gamma, contrast."""
    return _curve(before.reshape(-1), after.reshape(-1))


def fit_channels(before: FloatArray, after: FloatArray) -> Fit:
    """A curve for each channel: gains, light of another colour."""
    curves = [_curve(before[:, c], after[:, c]) for c in range(3)]
    return lambda codes: np.stack([curve(codes[:, c]) for c, curve in enumerate(curves)], axis=1)


def fit_tint(before: FloatArray, after: FloatArray) -> Fit:
    """One shift of a and b, at equal lightness."""
    shift = (lab_of(after) - lab_of(before)).mean(axis=0)
    shift[0] = 0
    return lambda codes: 255 * lab_to_srgb(lab_of(codes) + shift)


def fit_chroma(before: FloatArray, after: FloatArray, *, tinted: bool = False) -> tuple[complex, Fit]:
    """A factor on a and b, at equal lightness; `tinted`: about the means, so that a cast is no part of it."""
    factor = complex(_plane_factor(before, after, tinted).real)
    return factor, _scaled_plane(factor)


def fit_turn(before: FloatArray, after: FloatArray, *, tinted: bool = False) -> tuple[complex, Fit]:
    """A turn of the ab plane, at equal lightness and chroma."""
    factor = _plane_factor(before, after, tinted)
    factor = factor / abs(factor) if abs(factor) > 1e-9 else 1.0 + 0.0j
    return factor, _scaled_plane(factor)


def fit_chroma_and_turn(
    before: FloatArray, after: FloatArray, *, tinted: bool = False
) -> tuple[complex, Fit]:
    """Both: a complex factor on a + ib."""
    factor = _plane_factor(before, after, tinted)
    return factor, _scaled_plane(factor)


def _plane_factor(before: FloatArray, after: FloatArray, tinted: bool) -> complex:
    x, y = _plane(lab_of(before)), _plane(lab_of(after))
    if tinted:
        x, y = x - x.mean(), y - y.mean()
    power = float((np.abs(x) ** 2).sum())
    return complex((y * np.conj(x)).sum() / power) if power > len(x) else 1.0 + 0.0j


def _scaled_plane(factor: complex) -> Fit:
    def fit(codes: FloatArray) -> FloatArray:
        lab = lab_of(codes)
        plane = factor * _plane(lab)
        return 255 * lab_to_srgb(np.stack([lab[:, 0], plane.real, plane.imag], axis=1))

    return fit


def fit_grey_mix(before: FloatArray, after: FloatArray, *, tinted: bool = False) -> tuple[complex, Fit]:
    """A factor on codes' distances from their luma: what editors call saturation."""
    x, y = before - _luma(before), after - _luma(after)
    if tinted:
        x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    power = float((x * x).sum())
    factor = float((x * y).sum()) / power if power > len(x) else 1.0
    return complex(factor), lambda codes: _luma(codes) + factor * (codes - _luma(codes))


def chain(first: Fit, second: Fit) -> Fit:
    """One change after another, cut off at the ends between."""
    return lambda codes: second(np.clip(first(codes), 0, 255))


def _plane(lab: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.complex128]]:
    return lab[:, 1] + 1j * lab[:, 2]


def _luma(codes: FloatArray) -> FloatArray:
    return (codes * _LUMA).sum(axis=1, keepdims=True)


def _curve(before: FloatArray, after: FloatArray) -> Fit:
    """A curve of four terms, which gammas and gains fit; beyond the colours seen it goes on straight."""
    terms = _terms(before)
    products = np.stack([(terms * terms[:, i : i + 1]).mean(axis=0) for i in range(4)])
    right = (terms * (after - before)[:, None]).mean(axis=0)
    parts = _solved(products + _RIDGE * np.eye(4), right)
    low, high = (float(value) for value in np.percentile(before, (0.5, 99.5)))
    ends = np.array([low, low + 1, high - 1, high])
    values = ends + (_terms(ends) * parts).sum(axis=1)
    # Codes fall back where others rise in no change that is meant here.
    slopes = max(0.0, float(values[1] - values[0])), max(0.0, float(values[3] - values[2]))

    def fit(codes: FloatArray) -> FloatArray:
        inside = np.clip(codes, low, high)
        known = inside + (_terms(inside) * parts).sum(axis=-1)
        return known + np.where(codes < low, slopes[0], slopes[1]) * (codes - inside)

    return fit


def _terms(codes: FloatArray) -> FloatArray:
    share = np.clip(codes, 0, 255) / 255
    return np.stack([np.ones_like(share), share, share * share, np.sqrt(share)], axis=-1)


def _solved(matrix: FloatArray, right: FloatArray) -> FloatArray:
    """Gauss and Jordan's elimination, of a positive definite matrix: small, and the same bits everywhere."""
    rows = np.concatenate([matrix, right[:, None]], axis=1)
    for i in range(len(rows)):
        rows[i] /= rows[i, i]
        for j in range(len(rows)):
            if j != i:
                rows[j] -= rows[j, i] * rows[i]
    return rows[:, -1]
