"""Which splits have a photograph that can be used: the others give their samples away beforehand."""

from collections.abc import Mapping

from lutkit.dataset.records import Reject
from lutkit.errors import ImageError
from lutkit.photos.photo_list import PhotoList, none_usable, read_bytes
from lutkit.synthesis.manifest import Manifest
from lutkit.synthesis.plan import sample_number
from lutkit.synthesis.sample import prepare_target


def keep_usable_splits(
    manifest: Manifest, photos: PhotoList, members: Mapping[str, tuple[int, ...]]
) -> tuple[dict[str, tuple[int, ...]], tuple[Reject, ...]]:
    """Leave out splits without a single usable photograph; a small split may well consist of one bad file.

    Photographs are tried in the list's order until one of each split works: a pure function of them.

    Args:
        manifest: the size that is asked of them.
        photos: the list.
        members: the numbers of each split's photographs.
    Returns:
        The splits that remain, and the photographs of those that do not, with reasons.
    Raises:
        SourceError: no photograph of any split can be used.
    """
    kept: dict[str, tuple[int, ...]] = {}
    rejects: list[Reject] = []
    for split, numbers in members.items():
        failed = _failures(manifest, photos, split, numbers)
        if len(failed) < len(numbers):
            kept[split] = numbers
        else:
            rejects += failed
    if not kept:
        raise none_usable(photos, (reject.reason for reject in rejects))
    return kept, tuple(rejects)


def _failures(manifest: Manifest, photos: PhotoList, split: str, numbers: tuple[int, ...]) -> list[Reject]:
    """The photographs before the first that works."""
    failed: list[Reject] = []
    for number in numbers:
        ref = photos.photos[number]
        try:
            prepare_target(read_bytes(photos.root, ref), ref.path, manifest, sample_number(split, 0))
        except ImageError as error:
            failed.append(Reject(ref.path, error.what))
        else:
            break
    return failed
