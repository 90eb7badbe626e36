"""The artefacts that `lutkit compare` looks for: the table of them, and an image measured for all.

A new artefact is a file of its own beside this one and a line here: tables, JSON, sentences, pictures and
help have it then. Knows no files.
"""

from lutkit.comparison.artefact import Artefact, Artefacts, ImagePair
from lutkit.comparison.blocks import require_pair
from lutkit.comparison.clipping import Clipping
from lutkit.comparison.fringing import Fringing
from lutkit.comparison.noise import Noise
from lutkit.comparison.speckle import Speckle
from lutkit.comparison.stripes import Stripes
from lutkit.photos.resize import Uint8Image

# Each may build on those before it.
ARTEFACTS: tuple[type[Artefact], ...] = (
    Fringing,
    Noise,
    Stripes,
    Speckle,
    Clipping,
)


def pair_artefacts(reference: Uint8Image, output: Uint8Image) -> Artefacts:
    """What an output has of each artefact that its reference has not.

    Args:
        reference: (H, W, 3) uint8 sRGB.
        output: the same shape and dtype.
    Raises:
        ArrayError: another shape or dtype.
    """
    pair, found = ImagePair(reference, output), Artefacts(())
    for kind in ARTEFACTS:
        found = Artefacts((*found.each, kind.of_pair(pair, found)))
    return found


def own_artefacts(image: Uint8Image) -> Artefacts:
    """What an image has of each artefact by itself.

    Args:
        image: (H, W, 3) uint8 sRGB.
    Raises:
        ArrayError: another shape or dtype.
    """
    require_pair(image, image)
    found = Artefacts(())
    for kind in ARTEFACTS:
        found = Artefacts((*found.each, kind.of_image(image, found)))
    return found
