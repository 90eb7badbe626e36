"""`lutkit.latents.reading` under the name that training code knows it by."""

from importlib import import_module


def __getattr__(name: str) -> object:
    """What `lutkit.latents.reading` has of that name (PEP 562); nn imports no room above it."""
    return getattr(import_module("lutkit.latents.reading"), name)
