"""Match outputs with references, and find likely mistakes before any photo is decoded.

Photos are matched by name, without the folder of their list and without suffix, or by key in tars.
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
    """A reference and its output, and their common key."""

    key: str
    reference: PhotoRef
    output: PhotoRef


@dataclass(frozen=True)
class MatchedSet:
    """A set of outputs with its references.

    Args:
        reference: the list of references.
        outputs: the list of outputs.
        pairs: the pairs, in the order of the references.
        alone_before: the keys of references without an output.
        alone_after: the keys of outputs without a reference.
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

    The key of a file is its path below the root of its list, without the suffix: `trip/a.png` is the output
    of `trip/a.jpg`. The key of a tar member is its WebDataset key, the name up to the first dot, in any
    shard. If there is one reference and one output, they are a pair, whatever their names.

    Args:
        reference: the references.
        outputs: the set.
        name: the name of the set, for errors.
    Raises:
        SourceError: if nothing matches, or two photos of one list have the same key.
    """
    before, after = photos_by_key(reference), photos_by_key(outputs)
    if len(before) == len(after) == 1:
        (key, ref), (_, out) = *before.items(), *after.items()
        return MatchedSet(reference, outputs, (PhotoPair(key, ref, out),), (), ())
    pairs = tuple(PhotoPair(key, ref, after[key]) for key, ref in before.items() if key in after)
    if not pairs:
        first, other = next(iter(before)), next(iter(after))
        raise SourceError(
            f"none of its {len(after):,} photos has a reference: its first photo is {other!r}, the first"
            f" reference is {first!r}",
            where=name,
            remedy=_nearest(before, after),
        )
    alone_before = tuple(key for key in before if key not in after)
    alone_after = tuple(key for key in after if key not in before)
    return MatchedSet(reference, outputs, pairs, alone_before, alone_after)


def _nearest(before: Mapping[str, PhotoRef], after: Mapping[str, PhotoRef]) -> str:
    """Return a remedy if nothing matches: most often one of the lists begins a folder too high."""
    for of, those, others in (("SET", after, before), ("REFERENCE", before, after)):
        folder = next(iter(those)).rpartition("/")[0]
        if any(f"{folder}/{key}" in those for key in others):
            return f"name the folder {folder!r} below it as the {of}"
    return "give outputs the names of their references; suffixes may differ"


def photo_key(ref: PhotoRef) -> str:
    """Return the key of a photo, by which it is matched."""
    member = _MEMBER.sub("", ref.path) if ref.offset >= 0 else ""
    folder, slash, name = (member or ref.path).rpartition("/")
    # The suffix of a member may have several dots, that of a file has one.
    stem = name.partition(".")[0] if member else name.rpartition(".")[0]
    return f"{folder}{slash}{stem or name}"


def photos_by_key(photos: PhotoList) -> dict[str, PhotoRef]:
    """Return the photos of a list by their keys.

    Raises:
        SourceError: if two photos have the same key.
    """
    found: dict[str, PhotoRef] = {}
    for ref in photos.photos:
        key = photo_key(ref)
        if key in found:
            raise SourceError(
                f"{found[key].path} and {ref.path} have the same name",
                where=str(photos.root),
                remedy="choose one with --field"
                if ref.offset >= 0 and _tar_of(ref) == _tar_of(found[key])
                else "leave one of them out, or name a pattern with one suffix",
            )
        found[key] = ref
    return found


def _tar_of(ref: PhotoRef) -> str:
    within = _MEMBER.match(ref.path)
    return within[0] if within else ""


def require_no_pattern(reference: NamedPhotos, sets: Sequence[NamedPhotos]) -> None:
    """Raise SourceError if the shell has expanded a pattern, so that each photo would be a set of its own.

    One case is `in out/a.png out/b.png`: several sets of one photo each, with different names of references.
    The other is `in/a.png in/b.png out`, where `out` has photos with the names of the reference and of
    another set, which is therefore a reference and not an output.

    Raises:
        SourceError: if the arguments are the photos of a pattern.
    """
    single = [(one.source, _bare(one.photos)[0]) for one in sets if _is_photo(one.source)]
    if not _is_photo(reference.source):
        if len(reference.photos.photos) > 1 and len({bare for _, bare in single}) > 1:
            what = f"this photo and {len(single) - 1:,} more would each be a set of one photo"
            path = single[0][0]
            raise SourceError(what, where=path, remedy=f"{_QUOTE} {Path(path).parent}")
        return
    own = _bare(reference.photos)[0]
    others = [bare for _, bare in single if bare != own]
    sets_of = Counter(bare for one in sets for bare in _bare(one.photos))
    if own in sets_of and any(sets_of[bare] > 1 for bare in others):
        what = f"this photo is the reference, and {_others(len(others))} would each be a set"
        raise SourceError(what, where=reference.source, remedy=f"{_QUOTE} {Path(reference.source).parent}")


def pattern_warning(reference: str, sets: Sequence[str]) -> str:
    """Return a warning if single photos may be an expanded pattern; '' if outputs lie elsewhere."""
    first = Path(reference)
    beside = [one for one in map(Path, sets) if one.parent == first.parent and one.stem != first.stem]
    count = len([one for one in beside if _is_photo(str(one))])
    if not _is_photo(reference) or not count or len(sets) == 1:
        return ""
    return (
        f"{reference}: this photo is the reference, and {_others(count)} in its folder"
        f" {'is a set' if count == 1 else 'are a set each'};"
        f" if you meant a pattern, put it in quotes, or name the folder {first.parent}"
    )


def require_no_folders(source: str) -> None:
    """Raise SourceError for a pattern of folders, because no photos are searched in them.

    Raises:
        SourceError: if the pattern finds only folders.
    """
    if not has_wildcards(source) or os.path.exists(source):  # noqa: PTH110
        return
    found = glob.glob(source)  # noqa: PTH207
    if found and all(os.path.isdir(one) for one in found):  # noqa: PTH112
        folders = "a folder" if len(found) == 1 else f"{len(found)} folders"
        remedy = "without quotes each folder is a set; with quotes a pattern must name photos or tars"
        raise SourceError(f"this pattern finds {folders} and no photos", where=source, remedy=remedy)


def require_like_sizes(matched: MatchedSet, name: str) -> None:
    """Raise SourceError if no output has the size of its reference, according to the headers.

    Raises:
        SourceError: if every pair differs; if only some do, these pairs are rejected one by one.
    """
    told, side = "", 0  # of the first pair
    for pair in matched.pairs:
        theirs, own = _size(matched.reference, pair.reference), _size(matched.outputs, pair.output)
        if theirs is None or own is None or theirs == own:
            return  # most often after the first pair
        if not told:
            told = f"{pair.output.path} is {own[0]} x {own[1]} px, its reference {theirs[0]} x {theirs[1]} px"
            side = max(16, min(*own, *theirs))
    remedy = f"give --size PX, for instance --size {side}, to compare centre squares of one size"
    raise SourceError(f"its sizes differ from the references': {told}", where=name, remedy=remedy)


def same_photos_warning(matched: MatchedSet, name: str) -> str:
    """Return a warning if all outputs are the references themselves, or ''."""
    before, after = matched.reference.root.resolve(), matched.outputs.root.resolve()
    if any(before / pair.reference.path != after / pair.output.path for pair in matched.pairs):
        return ""
    text = f"{name}: these are the same photos as the references, so nothing can differ"
    of_tars = matched.pairs[0].output.offset >= 0
    return f"{text}; choose other members with --set-field, such as `input` of a dataset" if of_tars else text


def _is_photo(source: str) -> bool:
    return os.path.isfile(source) and source.rpartition(".")[2].lower() in IMAGE_SUFFIXES  # noqa: PTH113


def _bare(photos: PhotoList) -> list[str]:
    """Return names without folders and suffixes."""
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
    """Find the photos of each set and match them with the references.

    Args:
        reference: the source of the references.
        sets: the sources of the sets.
        field: which member to use in tars of references.
        set_field: which member to use in tars of sets.
        size_px: the size that images are resized to, or None.
        warn: called with each likely mistake, one sentence.
        samples: for references and sets that are datasets of ours, the samples to compare.
    Raises:
        SourceError: if a source cannot be compared, or samples are filtered but nothing is a dataset of ours.
        DatasetError: if the filter selects no sample of a dataset.
    """
    # The outputs for a dataset's samples may be a plain folder of photos: they are matched by key.
    filters = {
        name: samples if is_dataset_folder(Path(name)) else _ALL_SAMPLES for name in (reference, *sets)
    }
    if not any(filters.values()):
        filters[reference] = samples  # `list_photos` raises an error if it filters anything
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
    """List the training set's photos; return None if there is no training set.

    `warn` is called with what there is to know about them.

    Raises:
        SourceError: if there are no photos, or tars hold several images in a sample.
        LutkitError: if a field is given without a training set.
    """
    if not source:
        if field:
            raise LutkitError("--train-field without --train", remedy="name the training set with --train")
        return None
    with _naming("--train-field"):
        photos = list_photos(source, field=field)
    if photos.note:
        warn(photos.note)
    return photos


@contextmanager
def _naming(option: str) -> Generator[None]:
    """Name the option of this list in errors about members of tars, inside the block."""
    try:
        yield
    except SourceError as error:
        remedy = error.remedy.replace("--field", option)
        raise SourceError(error.what, where=error.where, remedy=remedy) from error
