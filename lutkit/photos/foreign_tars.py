"""Why tars hold none of the photos that are meant, told by what they hold instead.

Owns the wording. Reads the headers of a few members, and a dataset's manifest.
"""

import tomllib
from pathlib import Path

from lutkit.dataset.tar_index import suffixes_in
from lutkit.errors import SourceError


def nothing_in_tars(tars: tuple[Path, int], source: str, field: str, suffixes: frozenset[str]) -> SourceError:
    """The error of tars without photos that are meant.

    Latents are told apart: whoever names them means the photos that they were made of. So are inputs that a
    dataset of ours keeps as recipes.

    Args:
        tars: the first, and how many there are.
        source: as the user named them.
        field: the member that was meant, or an empty text.
        suffixes: those of photos.
    """
    first, count = tars
    found = suffixes_in(first)
    photos = any(suffix.rpartition(".")[2] in suffixes for suffix in found)
    if not photos and any(suffix.endswith(".npy") for suffix in found):
        what = f"these are latents (.{next(one for one in found if one.endswith('.npy'))}), not photos"
        return SourceError(what, where=source, remedy="name what they were encoded from")
    if field.partition(".")[0] == "input" and _keeps_recipes(first.parent.parent):
        what = "inputs are kept as recipes in this dataset, not as pixels"
        remedy = "`lutkit.pairs` replays them in Python; `lutkit synth --store pixels` keeps them"
        return SourceError(what, where=source, remedy=remedy)
    number = "1 tar" if count == 1 else f"{count} tars"
    there = f" (there are .{', .'.join(found[:6])})" if found else ""
    if field:
        return SourceError(f"no members '.{field}' in {number}{there}", where=source, remedy="see --field")
    remedy = f"looked for {', '.join(sorted(suffixes))}"
    return SourceError(f"no photos found in {number}{there}", where=source, remedy=remedy)


def _keeps_recipes(dataset: Path) -> bool:
    try:
        return tomllib.loads((dataset / "manifest.toml").read_text("utf-8")).get("store") == "recipe"
    except (OSError, ValueError):
        return False
