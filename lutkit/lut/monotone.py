"""Make a table monotone, so that its channels never fall along their own axes."""

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.compiled import compiled


def never_falling(table: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the nearest table in which no channel falls along its own axis.

    `result[i + 1, g, b, 0] >= result[i, g, b, 0]` everywhere, likewise green along green and blue along blue.
    Tetrahedral and trilinear interpolation preserve that between the points: raising one channel of a colour,
    with the others unchanged, never lowers that channel of the result.

    Args:
        table: (size, size, size, 3) float64, red first.
        weights: (size, size, size) float64, above 0: the cost of moving each point. The nearest table has the
            smallest weighted sum of squares.
    Returns:
        A new table; equal to `table` where nothing falls.
    Source: the pool-adjacent-violators algorithm; Barlow, Bartholomew, Bremner and Brunk, "Statistical
        inference under order restrictions", Wiley 1972.
    """
    result = table.copy()
    for channel in range(3):
        lines = np.ascontiguousarray(np.moveaxis(table[..., channel], channel, -1))
        costs = np.ascontiguousarray(np.moveaxis(weights, channel, -1))
        size = lines.shape[-1]
        pool_lines(lines.reshape(-1, size), costs.reshape(-1, size))
        result[..., channel] = np.moveaxis(lines, -1, channel)
    return result


@compiled
def pool_lines(lines: FloatArray, costs: FloatArray) -> None:
    """Replace each line by the nearest that never falls: falling stretches become their mean, until none is.

    Args:
        lines: (n, size) float64, changed in place.
        costs: (n, size), above 0: the cost of moving each value.
    """
    size = lines.shape[1]
    level, cost = np.empty(size), np.empty(size)
    length = np.empty(size, np.int64)
    for n in range(lines.shape[0]):
        pools = 0
        for i in range(size):
            level[pools], cost[pools], length[pools] = lines[n, i], costs[n, i], 1
            while pools > 0 and level[pools - 1] > level[pools]:
                both = cost[pools - 1] + cost[pools]
                level[pools - 1] += (level[pools] - level[pools - 1]) * (cost[pools] / both)
                cost[pools - 1] = both
                length[pools - 1] += length[pools]
                pools -= 1
            pools += 1
        i = 0
        for pool in range(pools):
            for _ in range(length[pool]):
                lines[n, i] = level[pool]
                i += 1
