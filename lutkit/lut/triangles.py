"""Find the point of a triangle that is nearest to another point; triangles may be lines or points."""

from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled


@compiled
def nearest_on_triangle(corners: FloatArray, point: FloatArray, weights: FloatArray) -> float:
    """Return how near a triangle comes to a point.

    Args:
        corners: (3, 3) float64, one corner a row.
        point: (3,) float64.
        weights: (3,) float64, filled with the weight of each corner in the nearest point.
    Returns:
        The squared distance.
    """
    if _foot(corners, point, weights):
        return _squared_distance(corners, point, weights)
    best, nearest = -1.0, 0
    share = 0.0
    for k in range(3):
        start, end = corners[k], corners[(k + 1) % 3]
        at = _along(start, end, point)
        squared = 0.0
        for c in range(3):
            off = point[c] - start[c] - at * (end[c] - start[c])
            squared += off * off
        if best < 0 or squared < best:
            best, nearest, share = squared, k, at
    weights[nearest] = 1 - share
    weights[(nearest + 1) % 3] = share
    weights[(nearest + 2) % 3] = 0
    return best


@compiled
def _foot(corners: FloatArray, point: FloatArray, weights: FloatArray) -> bool:
    """Return whether the foot of the perpendicular lies within the triangle; fill `weights` if it does."""
    uu = uv = vv = pu = pv = 0.0
    for c in range(3):
        u, v, p = corners[1, c] - corners[0, c], corners[2, c] - corners[0, c], point[c] - corners[0, c]
        uu += u * u
        uv += u * v
        vv += v * v
        pu += p * u
        pv += p * v
    area = uu * vv - uv * uv
    if area <= 1e-14 * uu * vv:
        return False
    weights[1] = (vv * pu - uv * pv) / area
    weights[2] = (uu * pv - uv * pu) / area
    weights[0] = 1 - weights[1] - weights[2]
    return weights[0] >= 0 and weights[1] >= 0 and weights[2] >= 0


@compiled
def _along(start: FloatArray, end: FloatArray, point: FloatArray) -> float:
    """Return where on an edge, 0..1, the nearest point lies."""
    length = reached = 0.0
    for c in range(3):
        edge = end[c] - start[c]
        length += edge * edge
        reached += edge * (point[c] - start[c])
    return min(max(reached / length, 0.0), 1.0) if length > 0 else 0.0


@compiled
def _squared_distance(corners: FloatArray, point: FloatArray, weights: FloatArray) -> float:
    squared = 0.0
    for c in range(3):
        off = point[c]
        for k in range(3):
            off -= weights[k] * corners[k, c]
        squared += off * off
    return squared
