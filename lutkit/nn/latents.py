"""Readers of latents, by the name that training code imports; their home is `lutkit.latents.reading`."""

from lutkit.latents.reading import Latents as Latents
from lutkit.latents.reading import Mismatched as Mismatched
