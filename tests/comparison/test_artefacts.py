"""The table of artefacts: each appears in every output, and is measured where it is made."""

import numpy as np
import pytest
from known_damage import clipped, noisy, photo, shifted, speckled, striped
from measured_pairs import set_json

from lutkit.comparison.artefacts import ARTEFACTS, own_artefacts, pair_artefacts
from lutkit.comparison.clipping import Clipping
from lutkit.comparison.fringing import Fringing
from lutkit.comparison.noise import Noise
from lutkit.comparison.speckle import Speckle
from lutkit.comparison.stripes import Stripes
from lutkit.comparison.table import CHANNEL_HEADS, HEADS, NOTE

every_artefact = pytest.mark.parametrize("kind", ARTEFACTS, ids=lambda kind: kind.name)
MADE = {
    Fringing: lambda image: shifted(image, 2, 1.5, 0),
    Noise: lambda image: noisy(image, 0, 6),
    Stripes: lambda image: striped(image, 0, 4, 3),
    Speckle: lambda image: speckled(image, 0.001),
    Clipping: lambda image: clipped(image, 0),
}


def test_no_two_share_a_name():
    for names in (
        [kind.name for kind in ARTEFACTS],
        [kind.column.head for kind in ARTEFACTS],
        [kind.column.json_name for kind in ARTEFACTS],
        [kind.chart.heading for kind in ARTEFACTS],
    ):
        assert len(set(names)) == len(ARTEFACTS) == len(MADE)


@every_artefact
def test_each_stands_in_tables_and_json(kind, by_name):
    assert kind.column.head in HEADS
    assert kind.column.note in NOTE
    assert (kind.column.channel_head in CHANNEL_HEADS) == kind.per_channel
    value = set_json(by_name["half"])["artefacts"][kind.column.json_name]
    assert isinstance(value, list) == kind.per_channel


@every_artefact
def test_each_is_found_where_it_is_made_and_in_no_copy(kind):
    image = photo("coffee")
    damaged, same = (pair_artefacts(image, output)[kind] for output in (MADE[kind](image), image.copy()))
    assert len(damaged.amounts()) == (3 if kind.per_channel else 1)
    assert np.nan_to_num(damaged.faults(explained=False)).max() > kind.limit
    assert np.nan_to_num(same.faults(explained=False)).max() <= kind.limit
    own, plain = (kind.level([own_artefacts(one)[kind]]) for one in (MADE[kind](image), image))
    assert own.shape == (3,)
    assert np.nanmax(own - plain) > kind.margin
