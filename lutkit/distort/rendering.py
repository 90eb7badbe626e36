"""The rendering of a photo by a camera: undone before damage to its light, and redone after it.

A photo is not a measurement of light. A camera has multiplied the sensor's three channels, clipped them,
mixed them by a colour matrix into sRGB, and changed them by its response. Damage that happens before that
(another light, a wrong white balance, another exposure) applies to what the sensor saw. A plausible rendering
is therefore drawn, undone, and redone on the damaged light, half of the time in another picture style,
because no two renderings of a scene are quite equal.

Owns the response, the conversion from sRGB to the camera's channels and back, and the draw of both. Knows no
family.

Source: the idea and its steps: Brooks, Mildenhall, Xue, Chen, Sharlet and Barron, "Unprocessing images for
    learned raw denoising", CVPR 2019; that white balance errors are undone wrongly without it: Afifi, Price,
    Cohen and Brown, "When color constancy goes wrong: correcting improperly white-balanced images", CVPR
    2019; that responses differ by more than a gamma: Grossberg and Nayar, "Modeling the space of camera
    response functions", IEEE PAMI 26 (2004) 1272-1282.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce
from typing import Self, TypeAlias

import numpy as np

from lutkit.color.lab import Y_BLUE, Y_RED
from lutkit.color.mixing import NO_LEAKS, Leaks, combined_leaks, inverse_leaks, leaks_of
from lutkit.color.srgb import FloatArray, encoded_of, linear_of
from lutkit.compiled import compiled
from lutkit.distort.draws import Range, Rng, between, require_in, rounded, towards
from lutkit.errors import ArrayError, RecipeError

Gains: TypeAlias = tuple[float, float, float]

# These numbers were fitted by least squares of this model to ten renderings each of 60 scenes by real cameras
# (five white balances in two picture styles: the mappings of Afifi and Brown's white-balance augmenter, ICCV
# 2019). Each sigma is the spread of the fitted values. The first two lines are the strength of the response.
RESPONSE_MEAN, RESPONSE_SIGMA = 0.65, 0.19
RESPONSE: Range = (0.1, 1.0)
# Half of all second renderings have another picture style. Pairs give the change within a style, and to
# another.
OTHER_STYLE = 0.5
RESPONSE_CHANGE_MEAN, RESPONSE_CHANGE_SIGMA = (0.0, 0.05), (0.03, 0.07)
EXPOSURE_EV_SIGMA = (0.03, 0.14)
SATURATION_MEAN, SATURATION_SIGMA = (1.01, 1.07), (0.04, 0.08)
# A profile is a second matrix, in linear sRGB: (rg, rb, gr, gb, br, bg). Another style has a mean of its own.
PROFILE_SIGMA = (0.018, 0.036)
PROFILE_SPREAD: Leaks = (0.62, 0.93, 1.0, 0.97, 1.41, 1.03)
PROFILE_MEAN: Leaks = (-0.018, 0.026, 0.013, 0.026, -0.011, 0.031)
# From a camera's channels to linear sRGB; each number varies by N(0, MATRIX_SIGMA). The centre is near the
# colour matrices of common cameras, with rows normalised to sum 1.
USUAL_MATRIX: Leaks = (-0.62, -0.13, -0.2, -0.3, 0.02, -0.5)
MATRIX_SIGMA = 0.05

# The least that a sensor sees of any light, as a part of the strongest channel.
LEAST_GAIN = 0.005


@dataclass(frozen=True)
class Rendering:
    """A camera's response and colour matrix. The default is a camera that sees sRGB itself.

    Args:
        undone: the strength of the response with which the photo was made, 0..1: encoded values went through
            the blend of x and 3 x^2 - 2 x^3.
        redone: the strength of the response for the damaged image, 0..1.
        saturation: the factor by which colours move from the grey of their own luminance, in linear light,
            0..3.
        exposure_ev: the stops by which the second rendering is brighter, within -2..2.
        matrix: the leaks (rg, rb, gr, gb, br, bg) of the matrix from the camera's channels to linear sRGB;
            the diagonal is the rest to 1.
        profile: the leaks of a further matrix in linear sRGB that the second rendering has, each within
            -1..1.
    Raises:
        RecipeError: if a number is out of range, or the matrix cannot be inverted, or its inverse has a
            negative number: no sensor responds to light with less than nothing.
    """

    undone: float = 0.0
    redone: float = 0.0
    saturation: float = 1.0
    exposure_ev: float = 0.0
    matrix: tuple[float, ...] = NO_LEAKS
    profile: tuple[float, ...] = NO_LEAKS

    def __post_init__(self) -> None:
        require_in("rendering", "undone", self.undone, (0, 1))
        require_in("rendering", "redone", self.redone, (0, 1))
        require_in("rendering", "saturation", self.saturation, (0, 3))
        require_in("rendering", "exposure_ev", self.exposure_ev, (-2, 2))
        require_in("rendering", "number of leaks in matrix", len(self.matrix), (6, 6))
        for leak in self.matrix:
            require_in("rendering", "matrix", leak, (-2, 2))
        require_in("rendering", "number of leaks in profile", len(self.profile), (6, 6))
        for leak in self.profile:
            require_in("rendering", "profile", leak, (-1, 1))
        try:
            is_negative = _is_negative(self.to_camera)
        except ArrayError:
            raise RecipeError("the matrix cannot be inverted", where="rendering") from None
        if is_negative:
            raise RecipeError("the inverse of the matrix has a number below 0", where="rendering")

    @classmethod
    def draw(cls, rng: Rng) -> Self:
        """Draw a camera, and how it renders the damaged image."""
        style = int(rng.random() < OTHER_STYLE)
        z_undone, z_redone, z_saturation, z_exposure, *z_profile = rng.standard_normal(10).tolist()
        undone = _within(RESPONSE_MEAN + RESPONSE_SIGMA * z_undone, RESPONSE)
        change = RESPONSE_CHANGE_MEAN[style] + RESPONSE_CHANGE_SIGMA[style] * z_redone
        redone = _within(undone + change, (0.0, 1.0))
        saturation = rounded(SATURATION_MEAN[style] + SATURATION_SIGMA[style] * z_saturation)
        exposure_ev = rounded(EXPOSURE_EV_SIGMA[style] * z_exposure)
        # Numbers below 1 with 6 decimals have at most 6 significant digits; rounding them together is faster.
        spread = PROFILE_SIGMA[style] * np.array(PROFILE_SPREAD)
        profile = leaks_of(np.round(style * np.array(PROFILE_MEAN) + spread * z_profile, 6).tolist())
        while True:  # until it is a matrix that a sensor can have
            noise = MATRIX_SIGMA * rng.standard_normal(6)
            matrix = leaks_of(np.round(np.array(USUAL_MATRIX) + noise, 5).tolist())
            if not _is_negative(_inverse(matrix)):
                return cls(undone, redone, saturation, exposure_ev, matrix, profile)

    def scaled(self, amount: float) -> Self:
        """Bring the second rendering nearer to the first: 0 is the first, 1 these parameters."""
        fields = {
            "undone": self.undone,
            "redone": self.redone
            if self.redone == self.undone
            else towards(self.undone, self.redone, amount),
            "saturation": towards(1, self.saturation, amount) if self.saturation != 1 else 1.0,
            "exposure_ev": towards(0, self.exposure_ev, amount),
            "matrix": self.matrix,
            "profile": tuple([rounded(leak * amount) if leak else 0.0 for leak in self.profile]),
        }
        return between(type(self), amount, fields)

    @cached_property
    def to_camera(self) -> Leaks:
        """Return the leaks of the matrix from linear sRGB to the camera's channels."""
        return _inverse(leaks_of(self.matrix))

    def gains_of(self, color: Gains) -> Gains:
        """Return the camera's gains for a light of this colour (linear sRGB); for white they are 1."""
        red, green, blue = color
        rg, rb, gr, gb, br, bg = self.to_camera
        seen = (
            red + rg * (green - red) + rb * (blue - red),
            green + gr * (red - green) + gb * (blue - green),
            blue + br * (red - blue) + bg * (green - blue),
        )
        # Candle light lies outside sRGB, but a sensor still sees a little of the missing channel.
        least = LEAST_GAIN * max(seen)
        red, green, blue = (max(channel, least) for channel in seen)
        return red, green, blue

    def seen(self, encoded: FloatArray) -> FloatArray:
        """Return what the sensor saw of a photo.

        Args:
            encoded: (n, 3) sRGB-encoded; clamped to 0..1.
        Returns:
            A new array (n, 3): linear light in the camera's channels, 0..1.
        """
        shown = np.minimum(np.maximum(encoded, 0), 1)
        seen = np.empty_like(shown)
        _see(undone_response(shown, self.undone), self.to_camera, seen)
        return seen

    def shown(self, light: FloatArray, errors: Iterable[Leaks] = ()) -> FloatArray:
        """Render the light on the sensor: clip it, mix it, clip it again, encode it, and apply the response.

        Args:
            light: (n, 3) linear, in the camera's channels, 0 or above; the sensor clips it at 1.
            errors: further matrices in linear sRGB, applied after the camera's own.
        Returns:
            A new array (n, 3), sRGB-encoded, 0..1.
        """
        shown = np.empty(light.shape)
        _show(np.ascontiguousarray(light), self.mixed_to_srgb(errors), self.redone, shown)
        return shown

    def mixed_to_srgb(self, errors: Iterable[Leaks] = ()) -> Leaks:
        """Return the leaks of the matrix from the camera to sRGB, with errors, profile and saturation."""
        leaks = reduce(combined_leaks, errors, leaks_of(self.matrix))
        if self.profile != NO_LEAKS:
            leaks = combined_leaks(leaks, leaks_of(self.profile))
        if self.saturation == 1:
            return leaks
        grey = 1 - self.saturation
        red, green, blue = grey * Y_RED, grey * (1 - Y_RED - Y_BLUE), grey * Y_BLUE
        return combined_leaks(leaks, (green, blue, red, blue, red, green))


def keeping_green(gains: Gains) -> Gains:
    """Scale gains to keep green at 1: in a camera, green is the reference, and others rise or clip."""
    return gains[0] / gains[1], 1.0, gains[2] / gains[1]


def response(encoded: FloatArray, strength: float) -> FloatArray:
    """Apply a camera's tone response: the blend of x and 3 x^2 - 2 x^3.

    Args:
        encoded: any shape, 0..1, where the response rises strictly; other values are not supported.
        strength: 0 is the identity, 1 the full cubic.
    Source: Brooks et al. 2019, section 3.1, for the cubic.
    """
    return encoded + strength * (encoded * encoded * (3 - 2 * encoded) - encoded)


def undone_response(encoded: FloatArray, strength: float) -> FloatArray:
    """Apply the inverse of `response`, in closed form.

    Around (1/2, 1/2) the response is odd: 1/2 + t becomes 1/2 + (1 + s/2) t - 2 s t^3. With t = k sin(x) and
    k^2 = (2 + s) / 3 s that is 1/2 + (1 + s/2) k sin(3 x) / 3, because sin(3 x) = 3 sin(x) - 4 sin(x)^3.
    """
    if strength < 1e-12:  # a straight line, to the last bits
        return np.array(encoded, np.float64, order="C")
    before = np.empty(encoded.size)
    _undo_response(np.ascontiguousarray(encoded, dtype=np.float64).reshape(-1), strength, before)
    return before.reshape(encoded.shape)


@compiled
def _undo_response(encoded: FloatArray, strength: float, before: FloatArray) -> None:
    k = math.sqrt((2 + strength) / (3 * strength))
    scale = 3 / ((1 + strength / 2) * k)
    for i in range(encoded.size):
        sine = min(max((encoded[i] - 0.5) * scale, -1.0), 1.0)
        before[i] = min(max(0.5 + k * math.sin(math.asin(sine) / 3), 0.0), 1.0)


# A recipe is scaled to its severity in a few steps, all with the same camera.
_inverse = lru_cache(maxsize=64)(inverse_leaks)


def _within(value: float, between: Range) -> float:
    return rounded(min(max(value, between[0]), between[1]))


def _is_negative(leaks: Leaks) -> bool:
    rg, rb, gr, gb, br, bg = leaks
    return min(*leaks, 1 - rg - rb, 1 - gr - gb, 1 - br - bg) < 0


@compiled
def _see(encoded: FloatArray, leaks: Leaks, seen: FloatArray) -> None:
    rg, rb, gr, gb, br, bg = leaks
    for i in range(encoded.shape[0]):
        red, green, blue = linear_of(encoded[i, 0]), linear_of(encoded[i, 1]), linear_of(encoded[i, 2])
        seen[i, 0] = red + rg * (green - red) + rb * (blue - red)
        seen[i, 1] = green + gr * (red - green) + gb * (blue - green)
        seen[i, 2] = blue + br * (red - blue) + bg * (green - blue)


@compiled
def _show(light: FloatArray, leaks: Leaks, strength: float, shown: FloatArray) -> None:
    rg, rb, gr, gb, br, bg = leaks
    for i in range(light.shape[0]):
        red, green, blue = min(light[i, 0], 1.0), min(light[i, 1], 1.0), min(light[i, 2], 1.0)
        shown[i, 0] = red + rg * (green - red) + rb * (blue - red)
        shown[i, 1] = green + gr * (red - green) + gb * (blue - green)
        shown[i, 2] = blue + br * (red - blue) + bg * (green - blue)
        for c in range(3):
            x = encoded_of(min(max(shown[i, c], 0.0), 1.0))
            shown[i, c] = x + strength * (x * x * (3 - 2 * x) - x)
