"""lutkit makes the colour data that networks learn from, and reads, applies and checks LUTs.

Importing it is quick: names are loaded when first used, so that neither numba nor torch comes along
before it is needed.
"""

TYPE_CHECKING = False  # not typing's: a Ctrl-C while that loads would find nobody who answers it
if TYPE_CHECKING:
    from lutkit.distort.bake import damage as damage
    from lutkit.distort.presets import preset as preset
    from lutkit.distort.recipe import Recipe as Recipe
    from lutkit.distort.sampling import sample_recipe as sample_recipe
    from lutkit.distort.settings import DamageSettings as DamageSettings
    from lutkit.errors import LutkitError as LutkitError
    from lutkit.lut.apply import apply as apply
    from lutkit.lut.model import Lut1D as Lut1D
    from lutkit.lut.model import Lut3D as Lut3D
    from lutkit.lut.model import LutChain as LutChain
    from lutkit.lutfiles.formats import read_lut as read_lut
    from lutkit.lutfiles.formats import write_lut as write_lut
    from lutkit.lutfiles.library import lut_library as lut_library
    from lutkit.synthesis.pairs import pairs as pairs

__version__ = "0.1.0"

_HOMES = {
    "DamageSettings": "lutkit.distort.settings",
    "Lut1D": "lutkit.lut.model",
    "Lut3D": "lutkit.lut.model",
    "LutChain": "lutkit.lut.model",
    "LutkitError": "lutkit.errors",
    "Recipe": "lutkit.distort.recipe",
    "apply": "lutkit.lut.apply",
    "damage": "lutkit.distort.bake",
    "lut_library": "lutkit.lutfiles.library",
    "pairs": "lutkit.synthesis.pairs",
    "preset": "lutkit.distort.presets",
    "read_lut": "lutkit.lutfiles.formats",
    "sample_recipe": "lutkit.distort.sampling",
    "write_lut": "lutkit.lutfiles.formats",
}

__all__ = ["__version__", *_HOMES]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'lutkit' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted(__all__)
