"""Photos in memory that are damaged while a network trains, instead of pairs that were damaged before.

Owns which recipe damages a photo. Must not know networks.
"""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from lutkit.balancing.thumbnails import STORED_PX, PairThumbnails, StoredPair, thumbnail_of
from lutkit.dataset.records import Reject
from lutkit.distort.bake import apply_layers, bake
from lutkit.distort.family import Library
from lutkit.distort.sampling import sample_recipe
from lutkit.distort.settings import DamageSettings
from lutkit.engine.cpus import cpu_count
from lutkit.errors import ImageError
from lutkit.photos.decoding import Pixels, read_photo
from lutkit.photos.photo_list import PhotoList, none_usable, read_bytes

_READ_AT_ONCE = 256
_VALIDATION = 1 << 40  # the number of the first recipe for validation; no training comes so far


@dataclass(frozen=True, eq=False)
class PhotoThumbnails:
    """Photos at 96 x 96 px.

    Args:
        images: (n, 96, 96, 3) uint8, sRGB.
        keys: the n photos' paths below the source.
    """

    images: Pixels
    keys: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """The sha256 of paths and pixels, in hex."""
        digest = hashlib.sha256("\n".join(self.keys).encode("utf-8", "surrogateescape"))
        digest.update(self.images.tobytes())
        return digest.hexdigest()

    def of(self, numbers: Sequence[int]) -> "PhotoThumbnails":
        """Return some of the photos."""
        return PhotoThumbnails(self.images[list(numbers)], tuple(self.keys[number] for number in numbers))


@dataclass(frozen=True, eq=False)
class DamagedPhotos:
    """Photos as pairs: each reading damages the photo by another recipe.

    Args:
        photos: the correct photos.
        settings: the damage to draw from.
        seed: the seed of the recipes.
        library: the LUT files that may be drawn, by sha256.
    """

    photos: PhotoThumbnails
    settings: DamageSettings
    seed: int
    library: Library

    @property
    def keys(self) -> tuple[str, ...]:
        """The photos' paths."""
        return self.photos.keys

    def __len__(self) -> int:
        """Return the number of photos."""
        return len(self.photos.keys)

    def read(self, number: int, place: int) -> StoredPair:
        """Return a photo, damaged by the recipe whose number is its place in the whole training."""
        recipe = sample_recipe(self.seed, place, settings=self.settings, library=self.library)
        target = self.photos.images[number]
        return StoredPair(apply_layers(target, bake(recipe, self.library), threads=1), target)

    def for_validation(self, each: int) -> PairThumbnails:
        """Return pairs for validation: every photo `each` times, by recipes that no training draws."""
        found = [self.read(place % len(self), _VALIDATION + place) for place in range(each * len(self))]
        return PairThumbnails(
            np.stack([pair.input for pair in found]),
            np.stack([pair.target for pair in found]),
            self.keys * each,
        )


def read_photo_thumbnails(photos: PhotoList, on_read: Callable[[int, int], None]) -> PhotoThumbnails:
    """Read photos at 96 px; a photo takes 27 KiB. Photos that cannot be used are left out.

    Args:
        photos: the list.
        on_read: called with the number of read photos and the number of all.
    Raises:
        SourceError: if no photo can be used.
    """

    def read(path: str) -> Pixels | Reject:
        ref = named[path]
        try:
            pixels = read_photo(read_bytes(photos.root, ref), at_least_px=STORED_PX).pixels
        except ImageError as error:
            return Reject(path, error.what)
        return np.rint(255 * thumbnail_of(pixels, STORED_PX)).astype(np.uint8)

    named = {ref.path: ref for ref in photos.photos}
    paths = list(named)
    found: list[Pixels | Reject] = []
    with ThreadPoolExecutor(cpu_count()) as pool:
        for start in range(0, len(paths), _READ_AT_ONCE):
            on_read(start, len(paths))
            found += pool.map(read, paths[start : start + _READ_AT_ONCE])
    on_read(len(paths), len(paths))
    kept = [place for place, one in enumerate(found) if not isinstance(one, Reject)]
    if not kept:
        raise none_usable(photos.root, [one for one in found if isinstance(one, Reject)])
    images = np.stack([one for one in found if not isinstance(one, Reject)])
    return PhotoThumbnails(images, tuple(paths[place] for place in kept))
