"""Which output belongs to which reference: by name, without folder of the list and suffix, or by key in tars.

Knows names only: nothing is read.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lutkit.errors import SourceError
from lutkit.photos.photo_list import PhotoList, PhotoRef

_MEMBER = re.compile(r".*\.tar/", re.IGNORECASE)


@dataclass(frozen=True)
class Matched:
    """Pairs of a set.

    Args:
        pairs: key, reference and output, in the order of the references.
        alone_before: keys of references without an output.
        alone_after: keys of outputs without a reference.
    """

    pairs: tuple[tuple[str, PhotoRef, PhotoRef], ...]
    alone_before: tuple[str, ...]
    alone_after: tuple[str, ...]


def match_photos(reference: PhotoList, outputs: PhotoList, name: str) -> Matched:
    """Find the output of each reference.

    A file's key is its path below its list's root without the suffix: `trip/a.png` is the output of
    `trip/a.jpg`. A member's key is that of WebDataset, its name up to the first dot, whichever shard it lies
    in. One photo and one photo are a pair, whatever they are called.

    Args:
        reference: what is compared with.
        outputs: the set.
        name: of the set, for errors.
    Raises:
        SourceError: nothing matches, or two photos of one list have the same key.
    """
    before, after = photos_by_key(reference), photos_by_key(outputs)
    if len(before) == len(after) == 1:
        (key, ref), (_, out) = *before.items(), *after.items()
        return Matched(((key, ref, out),), (), ())
    pairs = tuple((key, ref, after[key]) for key, ref in before.items() if key in after)
    if not pairs:
        first, other = next(iter(before)), next(iter(after))
        raise SourceError(
            f"none of its {len(after):,} photos has a reference: the first is {other!r}, and that of the"
            f" references {first!r}",
            where=name,
            remedy=_nearest(before, after),
        )
    alone_before = tuple(key for key in before if key not in after)
    return Matched(pairs, alone_before, tuple(key for key in after if key not in before))


def _nearest(before: Mapping[str, PhotoRef], after: Mapping[str, PhotoRef]) -> str:
    """How to mend it where nothing matches: most often one of both lists begins a folder too high."""
    for of, those, others in (("SET", after, before), ("REFERENCE", before, after)):
        folder = next(iter(those)).rpartition("/")[0]
        if any(f"{folder}/{key}" in those for key in others):
            return f"name the folder {folder!r} below it as the {of}"
    return "give outputs the names of their references, whatever the suffix"


def photo_key(ref: PhotoRef) -> str:
    """What a photo is matched by."""
    member = _MEMBER.sub("", ref.path) if ref.offset >= 0 else ""
    folder, slash, name = (member or ref.path).rpartition("/")
    # A member's suffix may have several dots; a file's has one.
    stem = name.partition(".")[0] if member else name.rpartition(".")[0]
    return f"{folder}{slash}{stem or name}"


def photos_by_key(photos: PhotoList) -> dict[str, PhotoRef]:
    """The photos of a list by what they are matched by.

    Raises:
        SourceError: two have the same key.
    """
    found: dict[str, PhotoRef] = {}
    for ref in photos.photos:
        key = photo_key(ref)
        if key in found:
            raise SourceError(
                f"{found[key].path} and {ref.path} are of one name",
                where=str(photos.root),
                remedy="say with --field which is meant"
                if ref.offset >= 0 and _tar_of(ref) == _tar_of(found[key])
                else "leave one of them out, or name a pattern of one suffix",
            )
        found[key] = ref
    return found


def _tar_of(ref: PhotoRef) -> str:
    within = _MEMBER.match(ref.path)
    return within[0] if within else ""
