"""Random damage as LUT files: draws of `distort`, written as `.cube` files with their recipes beside them.

Owns which draws are used, and the names of the files. The same seed gives the same files. The first files are
the same for any larger number of files.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from lutkit.dataset.atomic import write_whole
from lutkit.distort.bake import bake_lut
from lutkit.distort.recipe import Recipe
from lutkit.distort.sampling import Draw, draw_wanted, draws
from lutkit.distort.settings import DEFAULT_SHARES, DamageSettings, NamedShares
from lutkit.errors import LutkitError, ManifestError
from lutkit.lut.algebra import Baked, to_single
from lutkit.lut.model import Lut1D
from lutkit.lut.quality import Label, judge_lut
from lutkit.lutfiles.formats import kind_words, write_lut
from lutkit.results import ASIDE, CommandResult

LutKind: TypeAlias = Literal["any", "curves", "cubes"]
LUT_KINDS: tuple[LutKind, ...] = get_args(LutKind)

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
            mixed, and its damage never local.
        kind: `curves` for LUTs that change each channel by itself, `cubes` for those that do not.
    Raises:
        ManifestError: if the families cannot reach the severity or the kind.
    """
    settings = replace(settings, mixed_light=0.0, local_damage=0.0)
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


@dataclass(frozen=True)
class RandomLutFile(CommandResult):
    """A random LUT file; its recipe is beside it, as `.json`.

    Args:
        file: the file's name in its folder.
        table: `1D` or `3D`.
        severity: delta E 2000, mean over the palette.
        label: `recoverable` or `lossy`, on the palette.
        max_error_255: the error of the file, in code values.
        recipe: its damage; not in the dictionary.
    """

    file: str
    table: str
    severity: float
    label: Label
    max_error_255: float
    recipe: Recipe = field(repr=False, metadata=ASIDE)


def random_luts(
    out: Path | str,
    *,
    n: int = 20,
    seed: int = 0,
    kind: str = "any",
    severity: tuple[float, float] = (4.0, 20.0),
    lossy: float = 0.2,
    families: NamedShares | None = None,
    overwrite: bool = False,
) -> tuple[RandomLutFile, ...]:
    """Write random gamma curves and 3D distortions as `.cube` files, as `lutkit lut random` does.

    Args:
        out: the folder.
        n: the number of files, 1..9999.
        seed: the seed of all random draws.
        kind: `any`, `curves` (1D), or `cubes` (those that mix channels).
        severity: the range of delta E 2000 on natural colours.
        lossy: the share that cannot be undone, 0..1.
        families: the families of damage, with shares; None means those of `synth`.
        overwrite: whether to replace existing files.
    Returns:
        The files, in order.
    Raises:
        ManifestError: if a range, share or family is impossible, or the severity cannot be reached.
        LutkitError: if there is no such kind or number, or a file exists already or cannot be written.

    >>> import lutkit
    >>> made = lutkit.random_luts("luts", n=2, families={"channel_gamma": 1})
    >>> [lut.file for lut in made]
    ['0000-channel_gamma.cube', '0001-channel_gamma.cube']
    """
    if kind not in LUT_KINDS:
        raise LutkitError(f"no kind {kind!r}", where="--kind", remedy=f"choose {', '.join(LUT_KINDS)}")
    if not 1 <= n <= 9999:
        raise LutkitError(f"{n} LUTs", where="--n", remedy="choose 1 to 9999")
    shares = DEFAULT_SHARES if families is None else families
    settings = DamageSettings(severity=severity, lossy=lossy, mixed_light=0.0, families=shares)
    drawn = (random_lut(seed, index, settings, LUT_KINDS[LUT_KINDS.index(kind)]) for index in range(n))
    return tuple(
        RandomLutFile(
            file=f"{lut.name}.cube",
            table=kind_words(lut.baked.lut),
            severity=lut.severity,
            label=lut.label,
            max_error_255=round(255 * lut.baked.max_error, 3),
            recipe=lut.recipe,
        )
        for lut in write_random_luts(Path(out), drawn, overwrite=overwrite)
    )
