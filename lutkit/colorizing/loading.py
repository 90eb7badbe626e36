"""Colorizers read from folders or from the hub.

Owns what a colorizer's config.json means.
"""

from dataclasses import dataclass
from pathlib import Path

from lutkit.colorizing.colorizer import Colorizer
from lutkit.errors import DocumentError, LutkitError, SourceError
from lutkit.training.model_folder import StoredModel, no_model, other_model, read_model

COLORIZER = "colorizer"


@dataclass(frozen=True, eq=False)
class TrainedColorizer:
    """A colorizer and how it is used.

    Args:
        network: the network, in evaluation mode, on the CPU.
        side: the side of the squares that it learned from, in pixels.
        temperature: the temperature of its annealed mean.
    """

    network: Colorizer
    side: int
    temperature: float


def load_colorizer(name: Path | str) -> TrainedColorizer:
    """Read a colorizer from a folder, or from the Hugging Face hub.

    Args:
        name: a folder that `lutkit train colorizer` wrote, its folder `last`, or `owner/name`.
    Raises:
        SourceError: if there is no such folder, it holds no model, or its model is of another kind or broken.
        VaeError: if the hub cannot be reached, or has no such model.
    """
    return colorizer_from(read_model(name))


def colorizer_from(stored: StoredModel) -> TrainedColorizer:
    """Return the colorizer that a model's files hold.

    Raises:
        SourceError: if the model is of another kind or broken.
    """
    config = stored.config
    try:
        architecture = config.text("architecture")
        if architecture != COLORIZER:
            raise other_model(stored.config_file, architecture, (COLORIZER,))
        network = Colorizer(config.text("grid"), config.whole("classes"), config.whole("width"))
        side, temperature = config.whole("side"), config.number("temperature")
        if side % 8 or not 32 <= side <= 512:
            raise no_model(stored.config_file, f"side is {side}, not a multiple of 8 from 32 to 512")
        if not 0 <= temperature <= 10:
            raise no_model(stored.config_file, f"temperature is {temperature}, not in 0..10")
    except DocumentError as error:
        raise no_model(stored.config_file, error.what) from None
    except SourceError:
        raise
    except LutkitError as error:
        raise no_model(stored.config_file, error.what) from None
    return TrainedColorizer(stored.into(network), side, temperature)
