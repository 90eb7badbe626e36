"""What is looked at before sets are compared: patterns that the shell has filled in, sizes, and photos that
would be compared with themselves.

Owns which mistakes are told before hours of work. Decodes nothing.
"""

import glob
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lutkit.comparison.matching import Matched, photo_key
from lutkit.errors import ImageError, SourceError
from lutkit.photos.photo_list import PhotoList, PhotoRef, read_bytes
from lutkit.photos.photo_size import upright_size
from lutkit.photos.sources import IMAGE_SUFFIXES
from lutkit.photos.walk import has_wildcards

_QUOTE = "put the pattern in quotes, or name the folder"


def require_no_pattern(reference: tuple[str, PhotoList], sets: Sequence[tuple[str, PhotoList]]) -> None:
    """Refuse the photos of a pattern that the shell has filled in, where each would be a set of its own.

    `in out/a.png out/b.png`: sets of several references that are photos, one of each name. And
    `in/a.png in/b.png out` where `out` has the reference's name and that of another set, which so is no
    output but has one.

    Args:
        reference: as the user named it, and its photos.
        sets: the same of each set.
    Raises:
        SourceError: what is named is that of a pattern.
    """
    (name, photos), single = reference, [(path, _bare(one)[0]) for path, one in sets if _is_photo(path)]
    if not _is_photo(name):
        if len(photos.photos) > 1 and len({bare for _, bare in single}) > 1:
            what = f"this photo and {len(single) - 1:,} more would be a set each, of one photo"
            path = single[0][0]
            raise SourceError(what, where=path, remedy=f"{_QUOTE} {Path(path).parent}")
        return
    own = _bare(photos)[0]
    others = [bare for _, bare in single if bare != own]
    sets_of = Counter(bare for _, one in sets for bare in _bare(one))
    if own in sets_of and any(sets_of[bare] > 1 for bare in others):
        what = f"this photo is the reference, and {_others(len(others))} would be a set each"
        raise SourceError(what, where=name, remedy=f"{_QUOTE} {Path(name).parent}")


def pattern_warning(reference: str, sets: Sequence[str]) -> str:
    """That a series of one photo may be the photos of a pattern; empty where its outputs lie elsewhere."""
    first = Path(reference)
    beside = [one for one in map(Path, sets) if one.parent == first.parent and one.stem != first.stem]
    count = len([one for one in beside if _is_photo(str(one))])
    if not _is_photo(reference) or not count or len(sets) == 1:
        return ""
    return (
        f"{reference}: this photo is the reference, and {_others(count)} beside it"
        f" {'is a set' if count == 1 else 'are a set each'};"
        f" if a pattern was meant, put it in quotes, or name the folder {first.parent}"
    )


def require_no_folders(source: str) -> None:
    """Refuse a pattern of folders: photos are looked for in none of them.

    Raises:
        SourceError: all that it finds are folders.
    """
    if not has_wildcards(source) or os.path.exists(source):  # noqa: PTH110
        return
    found = glob.glob(source)  # noqa: PTH207
    if found and all(os.path.isdir(one) for one in found):  # noqa: PTH112
        folders = "a folder" if len(found) == 1 else f"{len(found)} folders"
        remedy = "without quotes each is a set; with quotes a pattern names photos or tars"
        raise SourceError(f"this pattern finds {folders}, and no photos", where=source, remedy=remedy)


def require_like_sizes(lists: tuple[PhotoList, PhotoList], matched: Matched, name: str) -> None:
    """Refuse a set whose outputs are all of another size than their references, by their headers.

    Raises:
        SourceError: every pair differs; where only some do, pairs are rejected one by one.
    """
    told, side = "", 0  # of the first pair
    for _, before, after in matched.pairs:
        theirs, own = _size(lists[0], before), _size(lists[1], after)
        if theirs is None or own is None or theirs == own:
            return  # most often at once
        if not told:
            told = f"{after.path} is {own[0]} x {own[1]}, its reference {theirs[0]} x {theirs[1]}"
            side = max(16, min(*own, *theirs))
    remedy = f"give --size PX, {side} say, to compare centre squares of one size"
    raise SourceError(f"of another size than the references: {told}", where=name, remedy=remedy)


def same_photos_warning(lists: tuple[PhotoList, PhotoList], matched: Matched, name: str) -> str:
    """That outputs are the references themselves; empty where one is another file or member."""
    roots = [photos.root.resolve() for photos in lists]
    for _, before, after in matched.pairs:
        if roots[0] / before.path != roots[1] / after.path:
            return ""
    text = f"{name}: the same photos as the references, so that nothing can differ"
    of_tars = matched.pairs[0][2].offset >= 0
    return f"{text}; --set-field names other members, `input` of a dataset" if of_tars else text


def _is_photo(source: str) -> bool:
    return os.path.isfile(source) and source.rpartition(".")[2].lower() in IMAGE_SUFFIXES  # noqa: PTH113


def _bare(photos: PhotoList) -> list[str]:
    """Names without folders and suffixes."""
    return [photo_key(ref).rpartition("/")[2] for ref in photos.photos]


def _others(count: int) -> str:
    return f"{count:,} other{'' if count == 1 else 's'}"


def _size(photos: PhotoList, ref: PhotoRef) -> tuple[int, int] | None:
    try:
        return upright_size(read_bytes(photos.root, ref))
    except ImageError:
        return None
