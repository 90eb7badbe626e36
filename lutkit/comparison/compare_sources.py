"""The photos that `lutkit compare` is given, and what is wrong with them: told before any is decoded."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lutkit.comparison.matching import Matched
    from lutkit.photos.photo_list import PhotoList


def list_sets(
    reference: tuple[str, str], sets: list[str], set_field: str, size: int | None
) -> "tuple[PhotoList, list[tuple[PhotoList, Matched]]]":
    """The references, and each set with which of its photos belongs to which reference.

    What looks like a mistake, and may be none, is told on stderr, a line each.

    Args:
        reference: its name and the field that is meant in tars.
        sets: their names.
        set_field: the field that is meant in their tars.
        size: what pictures are brought to, or None.
    Raises:
        SourceError: anything that cannot be compared.
    """
    import sys

    from lutkit.comparison.compare_checks import (
        pattern_warning,
        require_like_sizes,
        require_no_folders,
        require_no_pattern,
        same_photos_warning,
    )
    from lutkit.comparison.matching import match_photos, photos_by_key
    from lutkit.photos.sources import list_photos

    with _naming("--field"):
        before = list_photos(reference[0], field=reference[1])
        photos_by_key(before)
    named: list[tuple[str, PhotoList]] = []
    with _naming("--set-field"):
        for name in sets:
            require_no_folders(name)
            named.append((name, list_photos(name, field=set_field)))
        require_no_pattern((reference[0], before), named)
        found = [(outputs, match_photos(before, outputs, name)) for name, outputs in named]
    warnings = [pattern_warning(reference[0], sets)]
    for name, (outputs, matched) in zip(sets, found, strict=True):
        if size is None:
            require_like_sizes((before, outputs), matched, name)
        warnings.append(same_photos_warning((before, outputs), matched, name))
    for text in filter(None, warnings):
        print(f"lutkit: {text}", file=sys.stderr)
    return before, found


def list_train(source: str, field: str) -> "PhotoList | None":
    """The training set's photos; None where none is named.

    Raises:
        SourceError: there are none, or tars hold several a sample.
        LutkitError: a field of no training set.
    """
    from lutkit.errors import LutkitError
    from lutkit.photos.sources import list_photos

    if not source:
        if field:
            raise LutkitError("--train-field without --train", remedy="name the training set")
        return None
    with _naming("--train-field"):
        return list_photos(source, field=field)


@contextmanager
def _naming(option: str) -> Generator[None]:
    """Within the block a mistake about members of tars names the option that this list has."""
    from lutkit.errors import SourceError

    try:
        yield
    except SourceError as error:
        remedy = error.remedy.replace("--field", option)
        raise SourceError(error.what, where=error.where, remedy=remedy) from error
