"""Readers of latents under the name that training code imports; they live in `lutkit.latents.reading`."""

from lutkit.latents.reading import Latents as Latents
from lutkit.latents.reading import Mismatched as Mismatched
