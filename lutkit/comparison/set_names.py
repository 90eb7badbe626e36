"""What sets of a comparison are called: the shortest names that tell them apart.

Knows names only.
"""

from collections.abc import Sequence
from pathlib import PurePath


def short_names(sets: Sequence[str]) -> list[str]:
    """The shortest parts of paths that tell them apart: `epoch-1` of `runs/epoch-1/out`.

    Args:
        sets: as the user named them: paths, patterns.
    Returns:
        A name a set, all different; a set that is named twice has a number behind its name.
    """
    paths = [PurePath(name).parts or (name,) for name in sets]
    different = list(dict.fromkeys(paths))
    names = {parts: "/".join(short).replace("//", "/") for parts, short in _shortest(different).items()}
    found: list[str] = []
    for parts in paths:
        name, number = names[parts], 2
        while name in found:
            name, number = f"{names[parts]} ({number})", number + 1
        found.append(name)
    return found


def _shortest(paths: list[tuple[str, ...]]) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Without the folders that all end in, while something is left; then from behind as far as needed."""
    heads = paths
    while len(paths) > 1 and len({path[-1] for path in heads}) == 1 and min(map(len, heads)) > 1:
        heads = [path[:-1] for path in heads]
    length = 1
    while len({path[-length:] for path in heads}) < len(heads):
        length += 1
    return {path: head[-length:] for path, head in zip(paths, heads, strict=True)}
