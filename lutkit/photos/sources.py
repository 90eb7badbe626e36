"""The photos a user names: a folder, a glob, a text list, WebDataset tars or "sample".

Owns what is meant by a source, and what in it counts as a photo. Decodes nothing, writes nothing.
"""

import importlib.util
import os
import posixpath
import tomllib
from collections import Counter
from dataclasses import replace
from pathlib import Path

from lutkit.dataset.shard_list import read_shard_list
from lutkit.dataset.tar_index import index_tar, split_member, suffixes_in
from lutkit.errors import DatasetError, SourceError
from lutkit.photos.photo_list import (
    PhotoList,
    PhotoRef,
    format_sources,
    frozen_list,
    read_bytes,
    shown_path,
    unread_text,
)
from lutkit.photos.walk import (
    expand_braces,
    fixed_part,
    has_braces,
    has_wildcards,
    matches,
    pattern_depth,
    unescaped,
    walk,
)

# Why tars hold none of the photos that are meant, told by what they hold instead.


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


__all__ = [
    "IMAGE_SUFFIXES",
    "SAMPLE_PHOTOS",
    "PhotoList",
    "PhotoRef",
    "format_sources",
    "list_photos",
    "read_bytes",
]

IMAGE_SUFFIXES = frozenset(
    "apng avif bmp dib gif j2k jfif jp2 jpe jpeg jpg mpo pbm pgm png pnm ppm tif tiff webp".split()  # noqa: SIM905
)
# What cameras and telephones write beside them: counted, so that nothing is passed over in silence.
UNREAD_SUFFIXES = frozenset(
    "3fr arw cr2 cr3 crw dng erf heic heif hif iiq jxl kdc mrw nef nrw orf pef raf rw2 srw x3f".split()  # noqa: SIM905
)
SAMPLE_PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")

_TAR = frozenset(("tar",))
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst")
_SEARCHED = IMAGE_SUFFIXES | UNREAD_SUFFIXES | _TAR
_KINDS = 'name a folder, a glob, a photo, a .txt list, a .tar or "sample"'
_CONVERT = "convert to JPEG or PNG"
_LOOKED_FOR = f"looked for tars and {', '.join(sorted(IMAGE_SUFFIXES))}"


def list_photos(source: str, *, field: str = "") -> PhotoList:
    """Find the photos that `source` names.

    Args:
        source: a folder (searched through, hidden names left out), a glob pattern (`**` for any folders),
            a `.txt` list (a path a line, relative to the list's folder or absolute; `#` begins a comment),
            tars (one `.tar`, a pattern of them, a folder that holds no photos but tars, a dataset folder
            of ours, or `shard-{000000..000009}.tar`), one photo, or "sample", the photos shipped in
            scikit-image.
        field: in tars, the suffix that is meant ("jpg", "target.jpg"); in a dataset folder "target".
    Returns:
        The list. The root is the folder, the pattern's leading folders without wildcards, the list's, the
        tar's or the photo's folder. Absolute paths in a text list stay absolute.
    Raises:
        SourceError: nothing there, nothing found, something unreadable or damaged, a path twice, a field
            where there are no tars, several photos a sample where there are and no field.
    """
    if source == "sample":
        _require_no_field(field, source)
        return _sample()
    path = Path(source)
    if os.path.isdir(path):  # noqa: PTH112 (Path.is_dir raises where a name is too long or a folder locked)
        return _folder(path, source, field)
    if os.path.isfile(path):  # noqa: PTH113
        return _file(path, source, field)
    if has_braces(source):
        return _braces(source, field)
    if has_wildcards(source):
        return _pattern(source, field)
    raise SourceError("no such file or folder", where=source, remedy=_KINDS)


def _require_no_field(field: str, source: str) -> None:
    if field:
        raise SourceError(f"no tars here, so no member {field!r}", where=source, remedy="leave out --field")


def _file(path: Path, source: str, field: str) -> PhotoList:
    if path.name.lower().endswith((".tar", *_COMPRESSED)):
        return _tars(path.parent, [path.name], source, field)
    suffix = _suffix(path.name)
    if suffix in UNREAD_SUFFIXES:
        raise SourceError("photos of this kind are not read", where=source, remedy=_CONVERT)
    if suffix not in IMAGE_SUFFIXES | {"txt"}:
        raise SourceError("this file is no photo, list or tar", where=source, remedy=_KINDS)
    _require_no_field(field, source)
    if suffix == "txt":
        return _text_list(path)
    return _listed(path.parent, [PhotoRef(shown_path(path.name), path.stat().st_size)], source)


def _suffix(name: str) -> str:
    return name.rpartition(".")[2].lower()


def _listed(root: Path, refs: list[PhotoRef], where: str) -> PhotoList:
    if not refs:
        raise SourceError("no photos found", where=where, remedy=_LOOKED_FOR)
    return frozen_list(root, refs, where)


def _sample() -> PhotoList:
    found = importlib.util.find_spec("skimage")
    root = Path(found.origin).parent / "data" if found is not None and found.origin else Path()
    missing = [name for name in SAMPLE_PHOTOS if not (root / name).is_file()]
    if missing:
        raise SourceError(
            f"the sample photo {missing[0]} is not here",
            where="sample",
            remedy="install scikit-image, or name a folder of photos",
        )
    return _listed(root, [PhotoRef(name, (root / name).stat().st_size) for name in SAMPLE_PHOTOS], "sample")


def _folder(root: Path, source: str, field: str) -> PhotoList:
    shards = root / "shards"
    if os.path.isfile(root / "dataset.json") and os.path.isdir(shards):  # noqa: PTH112, PTH113 (as above)
        names = [path for path, _ in walk(shards, _TAR, 1)]
        _require_listed(root, names, source)
        return _tars(shards, names, source, field or "target")
    found = list(walk(root, _SEARCHED))
    return _files_or_tars(root, found, source, field)


def _require_listed(root: Path, names: list[str], source: str) -> None:
    """Raise SourceError where a finished dataset of ours has not all its shards: a part is not the whole."""
    try:
        _, shards = read_shard_list(root)
    except DatasetError:
        return  # another's, or one that is not finished: what there is is meant
    missing = [name for name in shards if f"{name}.tar" not in names]
    if missing:
        raise SourceError(
            f"{len(missing)} of {len(shards)} shards are missing, the first is shards/{missing[0]}.tar",
            where=source,
            remedy="run the command that made the dataset again, or name the tars that you mean",
        )


def _pattern(source: str, field: str) -> PhotoList:
    start, rest = fixed_part(source)
    root = Path(start)
    if not root.is_dir():
        raise SourceError("no such folder", where=str(root), remedy=f"correct the pattern {source}")
    found = walk(root, _SEARCHED, pattern_depth(rest), datasets=rest.lower().endswith(".tar"))
    return _files_or_tars(root, [(path, size) for path, size in found if matches(path, rest)], source, field)


def _files_or_tars(root: Path, found: list[tuple[str, int]], source: str, field: str) -> PhotoList:
    """Photos where there are any; otherwise what lies in the tars."""
    counts = Counter(_suffix(path) for path, _ in found)
    unread = tuple(sorted((suffix, counts[suffix]) for suffix in counts if suffix in UNREAD_SUFFIXES))
    tars = [path for path, _ in found if _suffix(path) == "tar"]
    left_out = UNREAD_SUFFIXES | _TAR
    photos = [PhotoRef(shown_path(path), size) for path, size in found if _suffix(path) not in left_out]
    if photos:
        _require_no_field(field, source)
    elif unread and not tars:
        raise SourceError(f"no photos but {unread_text(unread)}", where=source, remedy=_CONVERT)
    listed = _tars(root, tars, source, field) if tars and not photos else _listed(root, photos, source)
    return replace(listed, unread=unread)


def _braces(source: str, field: str) -> PhotoList:
    paths = [unescaped(path) for path in expand_braces(source)]
    missing = [path for path in paths if not Path(path).is_file()]
    if missing:
        raise SourceError(
            f"{len(missing)} of {len(paths)} files are missing, the first is {missing[0]}",
            where=source,
            remedy="correct the range",
        )
    root = os.path.commonpath([posixpath.dirname(path) or "." for path in paths])
    names = [posixpath.relpath(path, root) for path in paths]
    return _files_or_tars(
        Path(root), [(n, Path(p).stat().st_size) for n, p in zip(names, paths, strict=True)], source, field
    )


def _text_list(path: Path) -> PhotoList:
    try:
        text = path.read_bytes().decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        what = f"cannot read this list: {error.strerror}"
        raise SourceError(what, where=str(path), remedy="allow it, or name another") from error
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
            f"{len(missing)} of {len(missing) + len(refs)} files are missing, the first in {missing[0]}",
            where=str(path),
            remedy="paths are relative to the list's folder",
        )
    return _listed(path.parent, refs, str(path))


def _tars(root: Path, names: list[str], source: str, field: str) -> PhotoList:
    refs: list[PhotoRef] = []
    for name in names:
        members = list(index_tar(root / name, IMAGE_SUFFIXES, field))
        if not field:
            _require_one_a_sample([member for member, _, _ in members], str(root / name))
        refs += [PhotoRef(shown_path(f"{name}/{member}"), size, offset) for member, offset, size in members]
    if not refs and names:
        raise nothing_in_tars((root / names[0], len(names)), source, field, IMAGE_SUFFIXES)
    return _listed(root, refs, source)


def _require_one_a_sample(members: list[str], tar: str) -> None:
    """Of pairs both would be taken, and damaged inputs pass for photographs.

    Names with dots, `2019.08.12_001.png`, are not fields: what a field is called has no digit and recurs.
    """
    fields: dict[str, set[str]] = {}
    for key, suffix in map(split_member, members):
        if not any(character.isdigit() for character in suffix):
            fields.setdefault(key, set()).add(suffix)
    times = Counter(suffix for suffixes in fields.values() for suffix in suffixes)
    for key, suffixes in fields.items():
        found = sorted(suffix for suffix in suffixes if times[suffix] > 1 or len(fields) == 1)
        if len(found) > 1:
            what = f"several photos a sample: {shown_path(key)} has .{', .'.join(found)}"
            raise SourceError(what, where=tar, remedy="name the one that is meant with --field")
