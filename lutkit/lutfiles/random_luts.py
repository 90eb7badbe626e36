"""Random damage as LUT files: draws of `distort`, written as `.cube` files with their recipes beside them.

Owns which draws are used, and the names of the files. The same seed gives the same files. The first files are
the same for any larger number of files.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from lutkit.dataset.atomic import write_whole
from lutkit.distort.bake import bake_lut
from lutkit.distort.recipe import Recipe
from lutkit.distort.sampling import Draw, draw_wanted, draws
from lutkit.distort.settings import DamageSettings
from lutkit.errors import LutkitError, ManifestError
from lutkit.lut.algebra import Baked, to_single
from lutkit.lut.model import Lut1D
from lutkit.lut.quality import Label, judge_lut
from lutkit.lutfiles.formats import write_lut

LutKind: TypeAlias = Literal["any", "curves", "cubes"]
LUT_KINDS: tuple[LutKind, ...] = ("any", "curves", "cubes")

# How many draws of the wanted severity and kind are tried for the wanted label; the last is then used anyway.
_LABEL_ATTEMPTS = 16


@dataclass(frozen=True)
class RandomLut:
    """A random LUT.

    Args:
        name: the name of its files, without a suffix.
        recipe: its damage, without masks.
        severity: delta E 2000, mean over the palette.
        label: its label, judged on the palette.
        baked: the LUT that its `.cube` file holds, and the error of that.
    """

    name: str
    recipe: Recipe
    severity: float
    label: Label
    baked: Baked


def random_lut(seed: int, index: int, settings: DamageSettings, kind: LutKind = "any") -> RandomLut:
    """Draw the random LUT number `index` of a seed.

    Args:
        seed: 0 or above.
        index: 0 or above.
        settings: the damage to draw from; a LUT does not know positions in an image, so its light is never
            mixed.
        kind: `curves` for LUTs that change each channel by itself, `cubes` for those that do not.
    Raises:
        ManifestError: if the families cannot reach the severity or the kind.
    """
    settings = replace(settings, mixed_light=0.0)
    wanted = draw_wanted(seed, index, settings)
    found: tuple[Draw, Baked, Label] | None = None
    tried = 0
    for draw in draws(seed, index, wanted, settings):
        lut = bake_lut(draw.recipe)
        if kind != "any" and (kind == "curves") != isinstance(lut, Lut1D):
            continue
        baked = to_single(lut)
        found = draw, baked, judge_lut(baked.lut).label  # the label is that of the file's LUT
        tried += 1
        if found[2] == wanted.label or tried == _LABEL_ATTEMPTS:
            break
    if found is None:
        raise ManifestError(
            f"no draw of these families gives {kind}", where="families", remedy="give other families a share"
        )
    draw, baked, label = found
    name = f"{index:04d}-{'+'.join(family.name for family in draw.recipe.families)}"
    return RandomLut(name, draw.recipe, draw.severity, label, baked)


def write_random_luts(folder: Path, luts: Iterator[RandomLut], *, overwrite: bool) -> Iterator[RandomLut]:
    """Write `{name}.cube` and `{name}.json`, the recipe, for each LUT; yield each LUT after it is written.

    Args:
        folder: the folder; it is made if it does not exist.
        luts: the LUTs to write.
        overwrite: whether files of those names are replaced.
    Raises:
        LutkitError: if a file of that name already exists, or cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for lut in luts:
        cube, recipe = folder / f"{lut.name}.cube", folder / f"{lut.name}.json"
        for path in (cube, recipe):
            if path.exists() and not overwrite:
                remedy = "give --overwrite or another --out"
                raise LutkitError("exists already", where=str(path), remedy=remedy)
        write_lut(lut.baked.lut, cube)
        write_whole(recipe, (lut.recipe.to_json() + "\n").encode())
        yield lut
