"""The table of artefacts that `lutkit compare` looks for, and the measurement of all of them in an image.

A new artefact is a new file in this folder and a line in this table: the comparison's tables, JSON,
sentences, pictures and help then include it. Knows no files.
"""

from lutkit.comparison.artefact import Artefact, Artefacts, ImagePair
from lutkit.comparison.blocks import require_pair
from lutkit.comparison.clipping import Clipping
from lutkit.comparison.fringing import Fringing
from lutkit.comparison.noise import Noise
from lutkit.comparison.speckle import Speckle
from lutkit.comparison.stripes import Stripes
from lutkit.photos.resize import Uint8Image

# An artefact may use those before it.
ARTEFACTS: tuple[type[Artefact], ...] = (
    Fringing,
    Noise,
    Stripes,
    Speckle,
    Clipping,
)


def pair_artefacts(reference: Uint8Image, output: Uint8Image) -> Artefacts:
    """Measure all artefacts that an output has and its reference does not.

    Args:
        reference: (H, W, 3) uint8 sRGB.
        output: the same shape and dtype.
    Raises:
        ArrayError: if the shape or dtype is wrong.
    """
    pair, found = ImagePair(reference, output), Artefacts(())
    for kind in ARTEFACTS:
        found = Artefacts((*found.each, kind.of_pair(pair, found)))
    return found


def own_artefacts(image: Uint8Image) -> Artefacts:
    """Measure all artefacts that an image has on its own.

    Args:
        image: (H, W, 3) uint8 sRGB.
    Raises:
        ArrayError: if the shape or dtype is wrong.
    """
    require_pair(image, image)
    found = Artefacts(())
    for kind in ARTEFACTS:
        found = Artefacts((*found.each, kind.of_image(image, found)))
    return found
