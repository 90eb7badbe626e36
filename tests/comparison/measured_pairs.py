"""The results for a pair: measured as in a comparison, or made up."""

import numpy as np

from lutkit.comparison.artefact import Artefacts
from lutkit.comparison.artefacts import own_artefacts, pair_artefacts
from lutkit.comparison.blocks import free_blocks, thinned
from lutkit.comparison.findings import PairMeasure
from lutkit.comparison.fringing import Fringing
from lutkit.comparison.likeness import likeness
from lutkit.comparison.result import compared_set
from lutkit.results import to_values


def measured_pair(key, reference, output, delta_e=0.0):
    output = np.ascontiguousarray(output)
    found = pair_artefacts(reference, output)
    return PairMeasure(
        key=key,
        found=found,
        before=own_artefacts(reference),
        delta_e=delta_e,
        blocks=thinned(free_blocks(reference, output)),
        likeness=likeness(reference, output, found[Fringing].place()),
    )


def having(artefacts, *others):
    """The same artefacts, with these replaced."""
    instead = {type(other): other for other in others}
    assert instead.keys() <= {type(one) for one in artefacts.each}
    return Artefacts(tuple(instead.get(type(one), one) for one in artefacts.each))


def set_json(one):
    """A set as `lutkit compare --json` prints it."""
    return to_values(compared_set(one))
