"""lutkit makes the colour data that networks learn from, and reads, applies, checks and inverts LUTs.

>>> import lutkit, numpy
>>> photo = numpy.random.default_rng(0).integers(60, 190, (40, 50, 3), numpy.uint8)  # any (H, W, 3) image
>>> recipe = lutkit.sample_recipe(seed=0, index=1)  # random damage, as data
>>> damaged = lutkit.damage(photo, recipe)
>>> made = lutkit.synth("sample", "pairs", n=8, size=64)  # a dataset of (input, target) pairs
>>> before, after, metadata = lutkit.pairs("pairs")[0]
>>> learned = lutkit.fit(before, after, size=9, anyway=True)  # the LUT that makes one of the other
>>> mended = lutkit.apply(before, learned.lut)
>>> lutkit.inspect_lut(learned.lut).verdict in ("recoverable", "lossy")
True
>>> difference = lutkit.compare("pairs", "pairs", set_field="input").sets[0].delta_e_2000.mean

Each command of `lutkit --help` is a function here, with its options as keywords: synth, verify, stats,
compare, count_colors (ab-hist), ab_weights, encode_latents, decode_latents, apply_photos (apply),
train_adaptive_lut (train adaptive-lut), train_balancer, train_direct, balance_photos (balance),
train_colorizer, colorize_photos (colorize), probe; and of
`lutkit lut --help` lut_info, inspect_lut (check), invert, compose, resize, fit, convert, identity and
random_luts. Each returns a frozen result, whose `to_dict()` is what `--json` prints. What a user can mend is
a LutkitError, one line. `on_progress` is called with how far a run has come; without it nothing is printed.

Importing lutkit is quick: names are loaded when first used, so that neither numba nor torch comes along
before it is needed.
"""

TYPE_CHECKING = False  # not typing's: a Ctrl-C while that loads would find nobody who answers it
if TYPE_CHECKING:
    from lutkit.balancing.balance import balance as balance
    from lutkit.balancing.balance import load_balancer as load_balancer
    from lutkit.balancing.balance_photos import balance_photos as balance_photos
    from lutkit.balancing.train_adaptive_lut import train_adaptive_lut as train_adaptive_lut
    from lutkit.balancing.train_balancer import train_balancer as train_balancer
    from lutkit.balancing.train_direct import train_direct as train_direct
    from lutkit.colorizing.colorize import colorize as colorize
    from lutkit.colorizing.colorize_photos import colorize_photos as colorize_photos
    from lutkit.colorizing.train_colorizer import train_colorizer as train_colorizer
    from lutkit.comparison.compare import compare as compare
    from lutkit.distort.bake import damage as damage
    from lutkit.distort.presets import preset as preset
    from lutkit.distort.recipe import Recipe as Recipe
    from lutkit.distort.sampling import sample_recipe as sample_recipe
    from lutkit.distort.settings import DamageSettings as DamageSettings
    from lutkit.engine.progress import Progress as Progress
    from lutkit.errors import LutkitError as LutkitError
    from lutkit.latents.latents import decode_latents as decode_latents
    from lutkit.latents.latents import encode_latents as encode_latents
    from lutkit.latents.latents import read_latents as read_latents
    from lutkit.lut.model import Lut1D as Lut1D
    from lutkit.lut.model import Lut3D as Lut3D
    from lutkit.lut.model import LutChain as LutChain
    from lutkit.lutfiles.apply_image import apply as apply
    from lutkit.lutfiles.apply_photos import apply_photos as apply_photos
    from lutkit.lutfiles.convert import convert as convert
    from lutkit.lutfiles.convert import identity as identity
    from lutkit.lutfiles.formats import read_lut as read_lut
    from lutkit.lutfiles.formats import write_lut as write_lut
    from lutkit.lutfiles.info import lut_info as lut_info
    from lutkit.lutfiles.learning import fit as fit
    from lutkit.lutfiles.library import lut_library as lut_library
    from lutkit.lutfiles.making import compose as compose
    from lutkit.lutfiles.making import invert as invert
    from lutkit.lutfiles.making import resize as resize
    from lutkit.lutfiles.random_luts import random_luts as random_luts
    from lutkit.probing.probe import probe as probe
    from lutkit.report.lut_check import inspect_lut as inspect_lut
    from lutkit.statistics.histogram import count_colors as count_colors
    from lutkit.statistics.stats import stats as stats
    from lutkit.statistics.weights import ab_weights as ab_weights
    from lutkit.synthesis.manifest import Manifest as Manifest
    from lutkit.synthesis.pairs import pairs as pairs
    from lutkit.synthesis.synth import synth as synth
    from lutkit.synthesis.verify import verify as verify

__version__ = "0.1.0"

_HOMES = {
    "DamageSettings": "lutkit.distort.settings",
    "Lut1D": "lutkit.lut.model",
    "Lut3D": "lutkit.lut.model",
    "LutChain": "lutkit.lut.model",
    "LutkitError": "lutkit.errors",
    "Manifest": "lutkit.synthesis.manifest",
    "Progress": "lutkit.engine.progress",
    "Recipe": "lutkit.distort.recipe",
    "ab_weights": "lutkit.statistics.weights",
    "apply": "lutkit.lutfiles.apply_image",
    "apply_photos": "lutkit.lutfiles.apply_photos",
    "balance": "lutkit.balancing.balance",
    "balance_photos": "lutkit.balancing.balance_photos",
    "colorize": "lutkit.colorizing.colorize",
    "colorize_photos": "lutkit.colorizing.colorize_photos",
    "compare": "lutkit.comparison.compare",
    "compose": "lutkit.lutfiles.making",
    "convert": "lutkit.lutfiles.convert",
    "count_colors": "lutkit.statistics.histogram",
    "damage": "lutkit.distort.bake",
    "decode_latents": "lutkit.latents.latents",
    "encode_latents": "lutkit.latents.latents",
    "fit": "lutkit.lutfiles.learning",
    "identity": "lutkit.lutfiles.convert",
    "inspect_lut": "lutkit.report.lut_check",
    "invert": "lutkit.lutfiles.making",
    "load_balancer": "lutkit.balancing.balance",
    "lut_info": "lutkit.lutfiles.info",
    "lut_library": "lutkit.lutfiles.library",
    "pairs": "lutkit.synthesis.pairs",
    "preset": "lutkit.distort.presets",
    "probe": "lutkit.probing.probe",
    "random_luts": "lutkit.lutfiles.random_luts",
    "read_latents": "lutkit.latents.latents",
    "read_lut": "lutkit.lutfiles.formats",
    "resize": "lutkit.lutfiles.making",
    "sample_recipe": "lutkit.distort.sampling",
    "stats": "lutkit.statistics.stats",
    "synth": "lutkit.synthesis.synth",
    "train_adaptive_lut": "lutkit.balancing.train_adaptive_lut",
    "train_balancer": "lutkit.balancing.train_balancer",
    "train_colorizer": "lutkit.colorizing.train_colorizer",
    "train_direct": "lutkit.balancing.train_direct",
    "verify": "lutkit.synthesis.verify",
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
