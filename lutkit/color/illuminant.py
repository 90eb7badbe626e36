"""White points on and beside the Planckian locus, and the colours of such lights."""

import math
from functools import lru_cache

from lutkit.color.lab import relative_xyz_to_linear

MIN_KELVIN, MAX_KELVIN = 1667.0, 25000.0

# D65 (0.3127, 0.3290): its correlated colour temperature and distance from the locus (Ohno 2013).
D65_MIRED = 1e6 / 6504.3
D65_DUV = 0.0032

_WHITE = (0.3127, 0.3290)


def planckian_xy(kelvin: float) -> tuple[float, float]:
    """Return the CIE 1931 chromaticity of a black body, within 5e-4 of Planck's law.

    Args:
        kelvin: 1667..25000; clamped to that range.
    Source: Kang, Moon, Hong, Lee, Cho and Kim, "Design of advanced color-temperature control system for HDTV
        applications", J. Korean Phys. Soc. 41 (2002) 865-871.
    """
    t = min(max(kelvin, MIN_KELVIN), MAX_KELVIN)
    if t <= 4000:
        x = -0.2661239e9 / t**3 - 0.2343589e6 / t**2 + 0.8776956e3 / t + 0.179910
    else:
        x = -3.0258469e9 / t**3 + 2.1070379e6 / t**2 + 0.2226347e3 / t + 0.24039
    if t <= 2222:
        return x, -1.1063814 * x**3 - 1.34811020 * x**2 + 2.18555832 * x - 0.20219683
    if t <= 4000:
        return x, -0.9549476 * x**3 - 1.37418593 * x**2 + 2.09137015 * x - 0.16748867
    return x, 3.0817580 * x**3 - 5.87338670 * x**2 + 3.75112997 * x - 0.37001483


def white_point_xy(kelvin: float, duv: float) -> tuple[float, float]:
    """Return the chromaticity at `duv` from the locus; above it is positive (green), below negative.

    Args:
        kelvin: correlated colour temperature, 1667..25000; clamped to that range.
        duv: signed distance in the CIE 1960 (u, v) diagram.
    Source: Ohno, "Practical use and calculation of CCT and Duv", LEUKOS 10 (2014) 47-55.
    """
    u, v = _xy_to_uv(planckian_xy(kelvin))
    step = 1e-3 * kelvin
    u_low, v_low = _xy_to_uv(planckian_xy(kelvin - step))
    u_high, v_high = _xy_to_uv(planckian_xy(kelvin + step))
    du, dv = u_high - u_low, v_high - v_low
    length = math.hypot(du, dv)
    # Towards higher temperatures u and v both fall, so (dv, -du) points up, to the green side.
    return _uv_to_xy((u + duv * dv / length, v - duv * du / length))


@lru_cache(maxsize=64)  # a camera's presets recur
def light_color(kelvin: float, duv: float) -> tuple[float, float, float]:
    """Return the colour of a light as a scene balanced for D65 shows it, in linear light with sRGB primaries.

    Args:
        kelvin: correlated colour temperature, 1667..25000; clamped to that range.
        duv: signed distance from the locus in CIE 1960 (u, v).
    Returns:
        (red, green, blue) at the luminance of white; all are 1 at the temperature and Duv of D65. Lights
        outside sRGB, such as candles and deep blue skies, have a channel below 0.
    """
    red, green, blue = (
        channel / white for channel, white in zip(_light_rgb(kelvin, duv), _NEUTRAL, strict=True)
    )
    return red, green, blue


def _light_rgb(kelvin: float, duv: float) -> tuple[float, float, float]:
    x, y = white_point_xy(kelvin, duv)
    x_white, y_white = _WHITE
    return relative_xyz_to_linear(
        (x / y) / (x_white / y_white), 1.0, ((1 - x - y) / y) / ((1 - x_white - y_white) / y_white)
    )


def _xy_to_uv(xy: tuple[float, float]) -> tuple[float, float]:
    scale = -2 * xy[0] + 12 * xy[1] + 3
    return 4 * xy[0] / scale, 6 * xy[1] / scale


def _uv_to_xy(uv: tuple[float, float]) -> tuple[float, float]:
    scale = 2 * uv[0] - 8 * uv[1] + 4
    return 3 * uv[0] / scale, 2 * uv[1] / scale


_NEUTRAL = _light_rgb(1e6 / D65_MIRED, D65_DUV)
