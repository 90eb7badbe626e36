"""The photos that a user names: a folder, a glob, a text list, WebDataset tars, a photo or "sample".

Owns the meaning of a source, and which files in it count as photos. Decodes nothing and writes nothing.
"""

import os
import posixpath
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lutkit.dataset.sample_filter import SampleFilter, choose_samples, shards_of_split
from lutkit.dataset.shard_list import read_index_document, read_shard_list
from lutkit.dataset.tar_index import index_tar, suffixes_in
from lutkit.dataset.tars import split_member
from lutkit.documents import fields_of, read_toml
from lutkit.errors import DatasetError, DocumentError, SourceError
from lutkit.photos.photo_list import PhotoList, PhotoRef, frozen_list, shown_path, unread_text
from lutkit.photos.walk import (
    FoundFile,
    expand_braces,
    fixed_part,
    has_braces,
    has_wildcards,
    matches,
    pattern_depth,
    unescaped,
    walk,
)

IMAGE_SUFFIXES = frozenset(
    "apng avif bmp dib gif j2k jfif jp2 jpe jpeg jpg mpo pbm pgm png pnm ppm tif tiff webp".split()  # noqa: SIM905
)
# Formats that cameras and phones also write; they are counted, so that no file is skipped without a word.
UNREAD_SUFFIXES = frozenset(
    "3fr arw cr2 cr3 crw dng erf heic heif hif iiq jxl kdc mrw nef nrw orf pef raf rw2 srw x3f".split()  # noqa: SIM905
)
_SAMPLES = Path(__file__).resolve().parent / "samples"
SAMPLE_PHOTOS = ("astronaut.jpg", "chelsea.jpg", "coffee.jpg", "rocket.jpg")

_TAR = frozenset(("tar",))
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst")
_SEARCHED = IMAGE_SUFFIXES | UNREAD_SUFFIXES | _TAR
_KINDS = 'name a folder, a glob, a photo, a .txt list, a .tar or "sample"'
_CONVERT = "convert to JPEG or PNG"
_ALL_SAMPLES = SampleFilter()
_LOOKED_FOR = f"looked for tars and {', '.join(sorted(IMAGE_SUFFIXES))}"


@dataclass(frozen=True)
class SourceFiles:
    """The files that a source names: photos, or tars if there are no photos beside them.

    Args:
        root: the folder that paths are relative to; see `list_photos`.
        photos: the photos that are files of their own.
        tars: paths below the root; empty if there are photos.
        unread: the suffixes of other photos there whose formats are not read, and the number of each.
        is_dataset: whether the tars are the shards of a dataset folder made by lutkit.
    """

    root: Path
    photos: tuple[PhotoRef, ...] = ()
    tars: tuple[str, ...] = ()
    unread: tuple[tuple[str, int], ...] = ()
    is_dataset: bool = False


def list_photos(source: str, *, field: str = "", samples: SampleFilter = _ALL_SAMPLES) -> PhotoList:
    """Find the photos that `source` names.

    Args:
        source: a folder (searched recursively, without hidden names), a glob pattern (`**` for any folders),
            a `.txt` list (one path a line, relative to the list's folder or absolute; `#` begins a comment),
            tars (one `.tar`, a pattern of tars, a folder that holds tars but no photos, a dataset folder made
            by lutkit, or `shard-{000000..000009}.tar`), one photo, or "sample", the photos that ship with
            lutkit.
        field: in tars, the suffix of the photos to take ("jpg", "target.jpg"); "target" by default in a
            dataset folder.
        samples: in a dataset folder made by lutkit, the samples whose photos are taken.
    Returns:
        The list; its note says if a dataset is not finished. The root is the folder, the leading folders of
        the pattern that have no wildcards, or the folder of the list, tar or photo. Absolute paths in a text
        list stay absolute.
    Raises:
        SourceError: if nothing is there or nothing is found; photos lie beside tars; something is unreadable
            or damaged; a path occurs twice; a field is given but there are no tars; no field is given but
            tars have several photos a sample; or samples are chosen but there is no dataset made by lutkit.
        DatasetError: if the filter takes no sample; the message names what exists.
    """
    files = find_files(source)
    tars = files.tars
    if samples and not files.is_dataset:
        options = " and ".join(f"--{name}" for name in samples.asked)
        what = f"not a dataset folder of `lutkit synth`, so no sample has a {next(iter(samples.asked))}"
        raise SourceError(what, where=source, remedy=f"leave out {options}, or name the dataset's folder")
    if samples:
        names = sorted(name.removesuffix(".tar") for name in tars)
        tars = tuple(f"{name}.tar" for name in shards_of_split(files.root.parent, names, samples.split))
    if not files.tars:
        if field:
            what = f"no tars here, so there is no member {field!r}"
            raise SourceError(what, where=source, remedy="leave out --field")
        return PhotoList(files.root, files.photos, files.unread)
    field = field or ("target" if files.is_dataset else "")
    refs: list[PhotoRef] = []
    for name in tars:
        members = list(index_tar(files.root / name, IMAGE_SUFFIXES, field))
        if not field:
            _require_one_a_sample([member for member, _, _ in members], str(files.root / name))
        refs += [PhotoRef(shown_path(f"{name}/{member}"), size, offset) for member, offset, size in members]
    if not refs:
        raise _nothing_in_tars(files, source, field)
    if samples.kind or samples.label:
        chosen = choose_samples(files.root.parent, [name.removesuffix(".tar") for name in tars], samples)
        keys = {one.shard: frozenset(one.keys) for one in chosen}
        refs = [ref for ref in refs if _is_chosen(ref, keys)]
    note = _unfinished_note(files.root.parent, source, len(refs)) if files.is_dataset else ""
    return replace(frozen_list(files.root, refs, source), unread=files.unread, note=note)


def _unfinished_note(dataset: Path, source: str, count: int) -> str:
    """Return a note if a dataset of ours is not finished; empty if it is finished, or not ours."""
    try:
        if read_index_document(dataset).flag("complete"):
            return ""
        asked = fields_of({"n": 0, **read_toml(dataset / "manifest.toml")}).whole("n")
    except (OSError, DocumentError):
        return ""
    of = f"{count:,} of {asked:,} samples are" if asked > count else f"{count:,} samples are"
    return (
        f"{source}: this dataset is not finished: {of} used; run the same `lutkit synth` again to finish it"
    )


def _is_chosen(ref: PhotoRef, keys: Mapping[str, frozenset[str]]) -> bool:
    shard, _, member = ref.path.partition(".tar/")
    return split_member(member)[0] in keys.get(shard, ())


def list_tars(source: str) -> tuple[Path, ...]:
    """Return the tars that `source` names, whatever they hold, ordered by name; empty if it names photos.

    A pattern names tars if it ends in `.tar`. Any other pattern names photos, or the photos inside the tars
    it finds.

    Raises:
        SourceError: if nothing is there, nothing is found, or a folder cannot be read.
    """
    if not os.path.exists(source) and not source.lower().endswith(".tar"):  # noqa: PTH110 (as below)
        return ()
    files = find_files(source)
    return tuple(files.root / name for name in sorted(files.tars) if _suffix(name) == "tar")


def find_files(source: str) -> SourceFiles:
    """Find the files that `source` names, as described in `list_photos`; tars are not opened.

    Raises:
        SourceError: if nothing is there, nothing is found, a file is of another kind, or a folder cannot be
            read.
    """
    if source == "sample":
        return _sample()
    path = Path(source)
    if os.path.isdir(path):  # noqa: PTH112 (Path.is_dir raises where a name is too long or a folder locked)
        return _folder(path, source)
    if os.path.isfile(path):  # noqa: PTH113
        return _file(path, source)
    if has_braces(source):
        return _braces(source)
    if has_wildcards(source):
        return _pattern(source)
    raise SourceError("no such file or folder", where=source, remedy=_KINDS)


def is_dataset_folder(folder: Path) -> bool:
    """Return whether `folder` is a dataset folder, finished or not, so that its tars are its shards."""
    parts = folder / "dataset.json", folder / "shards"
    return os.path.isfile(parts[0]) and os.path.isdir(parts[1])  # noqa: PTH112, PTH113 (as above)


def _file(path: Path, source: str) -> SourceFiles:
    if path.name.lower().endswith((".tar", *_COMPRESSED)):
        return SourceFiles(path.parent, tars=(path.name,))
    suffix = _suffix(path.name)
    if suffix in UNREAD_SUFFIXES:
        raise SourceError("photos of this kind are not read", where=source, remedy=_CONVERT)
    if suffix not in IMAGE_SUFFIXES | {"txt"}:
        raise SourceError("this file is not a photo, list or tar", where=source, remedy=_KINDS)
    if suffix == "txt":
        return _text_list(path)
    return _sorted_photos(path.parent, [PhotoRef(shown_path(path.name), path.stat().st_size)], source)


def _suffix(name: str) -> str:
    return name.rpartition(".")[2].lower()


def _sorted_photos(root: Path, refs: Iterable[PhotoRef], where: str) -> SourceFiles:
    found = frozen_list(root, refs, where)
    if not found.photos:
        raise SourceError("no photos found", where=where, remedy=_LOOKED_FOR)
    return SourceFiles(root, found.photos)


def _sample() -> SourceFiles:
    missing = [name for name in SAMPLE_PHOTOS if not (_SAMPLES / name).is_file()]
    if missing:
        what = f"the sample photo {missing[0]} is missing"
        raise SourceError(what, where="sample", remedy="install lutkit again, or name a folder of photos")
    refs = (PhotoRef(name, (_SAMPLES / name).stat().st_size) for name in SAMPLE_PHOTOS)
    return _sorted_photos(_SAMPLES, refs, "sample")


def _folder(root: Path, source: str) -> SourceFiles:
    shards = root / "shards"
    if is_dataset_folder(root):
        names = [path for path, _ in walk(shards, _TAR, 1)]
        _require_listed(root, names, source)
        if not names:
            raise SourceError("no photos found", where=source, remedy=_LOOKED_FOR)
        return SourceFiles(shards, tars=tuple(names), is_dataset=True)
    return _photos_or_tars(root, list(walk(root, _SEARCHED)), source)


def _require_listed(root: Path, names: list[str], source: str) -> None:
    """Raise SourceError if a finished dataset of ours lacks shards: a part must not pass for the whole."""
    try:
        _, shards = read_shard_list(root)
    except DatasetError:
        return  # not ours, or not finished: the user means the shards that exist
    missing = [name for name in shards if f"{name}.tar" not in names]
    if missing:
        raise SourceError(
            f"{len(missing)} of {len(shards)} shards are missing; the first is shards/{missing[0]}.tar",
            where=source,
            remedy="run the command that made the dataset again, or name the tars to use",
        )


def _pattern(source: str) -> SourceFiles:
    start, rest = fixed_part(source)
    root = Path(start)
    if not root.is_dir():
        raise SourceError("no such folder", where=str(root), remedy=f"correct the pattern {source}")
    found = walk(root, _SEARCHED, pattern_depth(rest), datasets=rest.lower().endswith(".tar"))
    return _photos_or_tars(root, [file for file in found if matches(file.path, rest)], source)


def _photos_or_tars(root: Path, found: Sequence[FoundFile], source: str) -> SourceFiles:
    counts = Counter(_suffix(file.path) for file in found)
    unread = tuple(sorted((suffix, counts[suffix]) for suffix in counts if suffix in UNREAD_SUFFIXES))
    tars = tuple(file.path for file in found if _suffix(file.path) == "tar")
    left_out = UNREAD_SUFFIXES | _TAR
    photos = [PhotoRef(shown_path(path), size) for path, size in found if _suffix(path) not in left_out]
    if tars and not photos:
        return SourceFiles(root, tars=tars, unread=unread)
    if tars:
        first = min(photo.path for photo in photos)
        numbers = " and ".join(
            f"{n:,} {what}{'s' * (n > 1)}" for n, what in ((len(tars), "tar"), (len(photos), "photo"))
        )
        what = f"{numbers} lie here ({shown_path(min(tars))} and {first}), but only one kind can be used"
        raise SourceError(
            what, where=source, remedy=f"name a pattern in quotes, for *.tar or for *.{_suffix(first)}"
        )
    if unread and not photos:
        raise SourceError(f"no photos, only {unread_text(unread)}", where=source, remedy=_CONVERT)
    return replace(_sorted_photos(root, photos, source), unread=unread)


def _braces(source: str) -> SourceFiles:
    paths = [unescaped(path) for path in expand_braces(source)]
    missing = [path for path in paths if not Path(path).is_file()]
    if missing:
        raise SourceError(
            f"{len(missing)} of {len(paths)} files are missing; the first is {missing[0]}",
            where=source,
            remedy="correct the range",
        )
    root = os.path.commonpath([posixpath.dirname(path) or "." for path in paths])
    names = [posixpath.relpath(path, root) for path in paths]
    found = [FoundFile(n, Path(p).stat().st_size) for n, p in zip(names, paths, strict=True)]
    return _photos_or_tars(Path(root), found, source)


def _text_list(path: Path) -> SourceFiles:
    try:
        text = path.read_bytes().decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        what = f"cannot read this list: {error.strerror}"
        raise SourceError(what, where=str(path), remedy="allow reading it, or name another list") from error
    refs: list[PhotoRef] = []
    missing: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):
        name = line.strip()
        if not name or name.startswith("#"):
            continue
        name = posixpath.normpath(name)
        try:
            if not (path.parent / name).is_file():
                raise FileNotFoundError
            refs.append(PhotoRef(shown_path(name), (path.parent / name).stat().st_size))
        except (OSError, ValueError):
            missing.append(f"line {number}: {shown_path(name)}")
    if missing:
        raise SourceError(
            f"{len(missing)} of {len(missing) + len(refs)} files are missing; the first is on {missing[0]}",
            where=str(path),
            remedy="correct the paths; they are relative to the list's folder",
        )
    return _sorted_photos(path.parent, refs, str(path))


def _require_one_a_sample(members: list[str], tar: str) -> None:
    """Raise SourceError if samples have several photos and no field: damaged inputs would pass for photos.

    A suffix with digits does not count as a field (`2019.08.12_001.png`), nor does one that occurs only once.
    """
    fields: dict[str, set[str]] = {}
    for key, suffix in map(split_member, members):
        if not any(character.isdigit() for character in suffix):
            fields.setdefault(key, set()).add(suffix)
    times = Counter(suffix for suffixes in fields.values() for suffix in suffixes)
    for key, suffixes in fields.items():
        found = sorted(suffix for suffix in suffixes if times[suffix] > 1 or len(fields) == 1)
        if len(found) > 1:
            what = f"each sample has several photos: {shown_path(key)} has .{', .'.join(found)}"
            raise SourceError(what, where=tar, remedy="choose one with --field")


def _nothing_in_tars(files: SourceFiles, source: str, field: str) -> SourceError:
    """Return the error for tars without the wanted photos; it is explained by what the tars hold instead.

    Latents have a message of their own, because whoever names them wants the photos that they were made from.
    So have inputs that a dataset of ours keeps as recipes.
    """
    first, count = files.root / files.tars[0], len(files.tars)
    found = suffixes_in(first)
    photos = any(suffix.rpartition(".")[2] in IMAGE_SUFFIXES for suffix in found)
    if not photos and any(suffix.endswith(".npy") for suffix in found):
        what = f"these tars hold latents (.{next(one for one in found if one.endswith('.npy'))}), not photos"
        return SourceError(what, where=source, remedy="name the photos that they were encoded from")
    if field.partition(".")[0] == "input" and _keeps_recipes(first.parent.parent):
        what = "this dataset keeps its inputs as recipes, not as pixels"
        remedy = (
            "use `lutkit.pairs`, which replays them in Python, or build it with `lutkit synth --store pixels`"
        )
        return SourceError(what, where=source, remedy=remedy)
    number = "1 tar" if count == 1 else f"{count} tars"
    there = f" (the tars hold .{', .'.join(found[:6])})" if found else ""
    if field:
        return SourceError(
            f"no members '.{field}' in {number}{there}", where=source, remedy="choose another --field"
        )
    remedy = f"looked for {', '.join(sorted(IMAGE_SUFFIXES))}"
    return SourceError(f"no photos found in {number}{there}", where=source, remedy=remedy)


def _keeps_recipes(dataset: Path) -> bool:
    try:
        return read_toml(dataset / "manifest.toml").get("store") == "recipe"
    except (OSError, DocumentError):
        return False
