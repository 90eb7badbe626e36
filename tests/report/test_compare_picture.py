"""A comparison's picture: names of sets that do not lie on each other."""

import numpy as np
import pytest

from lutkit.report.compare_picture import _name_heights


@pytest.mark.parametrize("lowest", [0.0, -2.95])
def test_names_of_near_casts_keep_apart_and_inside(lowest):
    casts = np.array([[0.1, lowest], [0.2, lowest + 0.05], [0.0, lowest], [-3.95, lowest + 0.01]])
    heights = _name_heights(casts, range(4), 4.0)
    near = sorted(heights[i] for i in (0, 1, 2))
    assert np.diff(near).min() >= 0.5
    assert heights[1] == max(near)
    assert min(near) >= -4
    if lowest == 0:
        assert heights[3] == 0.01  # far away, and so beside its dot
