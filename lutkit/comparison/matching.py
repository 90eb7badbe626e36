"""Which output belongs to which reference, and what looks like a mistake before any photo is decoded.

Photos are matched by name, without folder of the list and suffix, or by key in tars.
"""

import glob
import os
import re
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lutkit.dataset.sample_filter import SampleFilter
from lutkit.errors import ImageError, LutkitError, SourceError
from lutkit.photos.decoding import upright_size
from lutkit.photos.photo_list import PhotoList, PhotoRef, read_bytes
from lutkit.photos.sources import IMAGE_SUFFIXES, is_dataset_folder, list_photos
from lutkit.photos.walk import has_wildcards

_ALL_SAMPLES = SampleFilter()
_MEMBER = re.compile(r".*\.tar/", re.IGNORECASE)


_QUOTE = "put the pattern in quotes, or name the folder"


@dataclass(frozen=True)
class PhotoPair:
    """A reference and its output, and the key that both have."""

    key: str
    reference: PhotoRef
    output: PhotoRef


@dataclass(frozen=True)
class MatchedSet:
    """A set of outputs beside its references.

    Args:
        reference: the list of references.
        outputs: the list of outputs.
        pairs: in the order of the references.
        alone_before: keys of references without an output.
        alone_after: keys of outputs without a reference.
    """

    reference: PhotoList
    outputs: PhotoList
    pairs: tuple[PhotoPair, ...]
    alone_before: tuple[str, ...]
    alone_after: tuple[str, ...]


@dataclass(frozen=True)
class NamedPhotos:
    """Photos, and the source that the user named."""

    source: str
    photos: PhotoList


def match_photos(reference: PhotoList, outputs: PhotoList, name: str) -> MatchedSet:
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
        return MatchedSet(reference, outputs, (PhotoPair(key, ref, out),), (), ())
    pairs = tuple(PhotoPair(key, ref, after[key]) for key, ref in before.items() if key in after)
    if not pairs:
        first, other = next(iter(before)), next(iter(after))
        raise SourceError(
            f"none of its {len(after):,} photos has a reference: the first is {other!r}, and that of the"
            f" references {first!r}",
            where=name,
            remedy=_nearest(before, after),
        )
    alone_before = tuple(key for key in before if key not in after)
    alone_after = tuple(key for key in after if key not in before)
    return MatchedSet(reference, outputs, pairs, alone_before, alone_after)


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


def require_no_pattern(reference: NamedPhotos, sets: Sequence[NamedPhotos]) -> None:
    """Refuse the photos of a pattern that the shell has filled in, where each would be a set of its own.

    `in out/a.png out/b.png`: sets of several references that are photos, one of each name. And
    `in/a.png in/b.png out` where `out` has the reference's name and that of another set, which so is no
    output but has one.

    Raises:
        SourceError: what is named is that of a pattern.
    """
    single = [(one.source, _bare(one.photos)[0]) for one in sets if _is_photo(one.source)]
    if not _is_photo(reference.source):
        if len(reference.photos.photos) > 1 and len({bare for _, bare in single}) > 1:
            what = f"this photo and {len(single) - 1:,} more would be a set each, of one photo"
            path = single[0][0]
            raise SourceError(what, where=path, remedy=f"{_QUOTE} {Path(path).parent}")
        return
    own = _bare(reference.photos)[0]
    others = [bare for _, bare in single if bare != own]
    sets_of = Counter(bare for one in sets for bare in _bare(one.photos))
    if own in sets_of and any(sets_of[bare] > 1 for bare in others):
        what = f"this photo is the reference, and {_others(len(others))} would be a set each"
        raise SourceError(what, where=reference.source, remedy=f"{_QUOTE} {Path(reference.source).parent}")


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


def require_like_sizes(matched: MatchedSet, name: str) -> None:
    """Refuse a set whose outputs are all of another size than their references, by their headers.

    Raises:
        SourceError: every pair differs; where only some do, pairs are rejected one by one.
    """
    told, side = "", 0  # of the first pair
    for pair in matched.pairs:
        theirs, own = _size(matched.reference, pair.reference), _size(matched.outputs, pair.output)
        if theirs is None or own is None or theirs == own:
            return  # most often at once
        if not told:
            told = f"{pair.output.path} is {own[0]} x {own[1]}, its reference {theirs[0]} x {theirs[1]}"
            side = max(16, min(*own, *theirs))
    remedy = f"give --size PX, {side} say, to compare centre squares of one size"
    raise SourceError(f"of another size than the references: {told}", where=name, remedy=remedy)


def same_photos_warning(matched: MatchedSet, name: str) -> str:
    """That outputs are the references themselves; empty where one is another file or member."""
    before, after = matched.reference.root.resolve(), matched.outputs.root.resolve()
    if any(before / pair.reference.path != after / pair.output.path for pair in matched.pairs):
        return ""
    text = f"{name}: the same photos as the references, so that nothing can differ"
    of_tars = matched.pairs[0].output.offset >= 0
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


def list_sets(
    reference: str,
    sets: Sequence[str],
    *,
    field: str,
    set_field: str,
    size_px: int | None,
    warn: Callable[[str], None],
    samples: SampleFilter = _ALL_SAMPLES,
) -> list[MatchedSet]:
    """Find the photos of each set, and which belongs to which reference.

    Args:
        reference: the references' source.
        sets: the sets' sources.
        field: the member that is meant in tars of references.
        set_field: the same in tars of sets.
        size_px: what images are brought to, or None.
        warn: called with what looks like a mistake, and may be none, a sentence each.
        samples: of the references and sets that are datasets of ours, the samples that are compared.
    Raises:
        SourceError: anything that cannot be compared; a filter of samples where nothing is a dataset of ours.
        DatasetError: a filter that takes no sample of one of them.
    """
    # Beside a dataset's samples their outputs lie in a folder of photos: keys match them.
    filters = {
        name: samples if is_dataset_folder(Path(name)) else _ALL_SAMPLES for name in (reference, *sets)
    }
    if not any(filters.values()):
        filters[reference] = samples  # which `list_photos` refuses, if it asks for anything
    with _naming("--field"):
        before = list_photos(reference, field=field, samples=filters[reference])
        photos_by_key(before)
    named: list[NamedPhotos] = []
    with _naming("--set-field"):
        for name in sets:
            require_no_folders(name)
            photos = list_photos(name, field=set_field, samples=filters[name])
            named.append(NamedPhotos(name, photos))
        require_no_pattern(NamedPhotos(reference, before), named)
        found = [match_photos(before, one.photos, one.source) for one in named]
    warnings = [before.note, *(one.photos.note for one in named), pattern_warning(reference, sets)]
    for name, matched in zip(sets, found, strict=True):
        if size_px is None:
            require_like_sizes(matched, name)
        warnings.append(same_photos_warning(matched, name))
    for text in filter(None, warnings):
        warn(text)
    return found


def list_train(source: str, field: str, warn: Callable[[str], None]) -> PhotoList | None:
    """The training set's photos; None where none is named. `warn` is told what there is to know of them.

    Raises:
        SourceError: there are none, or tars hold several a sample.
        LutkitError: a field of no training set.
    """
    if not source:
        if field:
            raise LutkitError("--train-field without --train", remedy="name the training set")
        return None
    with _naming("--train-field"):
        photos = list_photos(source, field=field)
    if photos.note:
        warn(photos.note)
    return photos


@contextmanager
def _naming(option: str) -> Generator[None]:
    """Within the block a mistake about members of tars names the option that this list has."""
    try:
        yield
    except SourceError as error:
        remedy = error.remedy.replace("--field", option)
        raise SourceError(error.what, where=error.where, remedy=remedy) from error
