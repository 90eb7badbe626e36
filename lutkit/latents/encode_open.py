"""What SOURCE means to `lutkit encode-latents`: a dataset of pairs, tars, or photos."""

from pathlib import Path

from lutkit.dataset.latent_index import KIND
from lutkit.dataset.shard_list import INDEX_NAME
from lutkit.errors import DatasetError, SourceError
from lutkit.latents.encode_pairs import open_pairs
from lutkit.latents.encode_photos import PhotoSource
from lutkit.latents.encode_tars import open_tars
from lutkit.latents.sources import Source
from lutkit.photos.braces import expand_braces
from lutkit.photos.sources import IMAGE_SUFFIXES, list_photos
from lutkit.photos.walk import fixed_part, has_wildcards, matches, pattern_depth, walk

_TAR = frozenset(("tar",))


def open_source(source: str, fields: tuple[str, ...] = (), size_px: int | None = None) -> Source:
    """Open what a user names.

    Args:
        source: a dataset folder that `lutkit synth` wrote; a tar, a pattern of tars, a folder that holds
            tars and no photos; or photos, as `list_photos` takes them.
        fields: which pictures of a sample; empty takes both of a pair, or a tar's only one.
        size_px: the side of the squares that photos are cut to; of tars, where their pictures are to be cut.
    Raises:
        DatasetError, SourceError: nothing there, not finished, damaged, without the fields, or with options
            that do not fit it.
    """
    path = Path(source)
    if path.is_dir() and (path / INDEX_NAME).is_file() and (path / "shards").is_dir():
        if f'"kind": "{KIND}"' in (path / INDEX_NAME).read_text(errors="replace"):
            remedy = "name the images they were made from"
            raise DatasetError("holds latents already", where=source, remedy=remedy)
        if size_px is not None:
            remedy = "leave out --size: pairs are encoded at the size they have"
            raise DatasetError("a dataset of pairs and --size", where=source, remedy=remedy)
        return open_pairs(path, fields)
    tars = _tars_of(source)
    if tars:
        return open_tars(tars, fields, size_px)
    photos = list_photos(source)
    if fields:
        raise SourceError("photos have no fields", where=source, remedy="leave out --fields")
    if size_px is None:
        remedy = "add --size PX, the side of the squares to encode"
        raise SourceError("photos come in all sizes", where=source, remedy=remedy)
    return PhotoSource(photos, size_px)


def _tars_of(source: str) -> tuple[Path, ...]:
    """The tars that are meant, in order; none where photos are, or nothing is there."""
    path = Path(source)
    if path.is_file():
        return (path,) if path.suffix.lower() == ".tar" else ()
    if path.is_dir():
        found = [name for name, _ in walk(path, IMAGE_SUFFIXES | _TAR)]
        only_tars = all(Path(name).suffix.lower() == ".tar" for name in found)
        return tuple(path / name for name in sorted(found)) if only_tars else ()
    if not source.lower().endswith(".tar"):
        return ()
    if "{" in source:
        return _existing(source)
    if not has_wildcards(source):
        return ()
    start, rest = fixed_part(source)
    root = Path(start)
    if not root.is_dir():
        return ()
    names = [name for name, _ in walk(root, _TAR, pattern_depth(rest), datasets=True) if matches(name, rest)]
    return tuple(root / name for name in sorted(names))


def _existing(source: str) -> tuple[Path, ...]:
    paths = tuple(Path(path) for path in expand_braces(source))
    missing = [path for path in paths if not path.is_file()]
    if missing:
        what = f"{len(missing)} of {len(paths)} files are missing, the first is {missing[0]}"
        raise SourceError(what, where=source, remedy="correct the range")
    return paths
