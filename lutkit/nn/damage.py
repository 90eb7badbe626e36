"""Damage on tensors, in a training loop: `RandomDamage`, `damage_batch`, and `DamageTransform` for datasets.

The draws are those of `lutkit.sample_recipe`, and the results those of `lutkit.damage`. Owns what is checked,
and the thread that draws and bakes ahead. `own_draws` owns which recipes are drawn, `baked_damage` the
arithmetic on tensors, `lutkit.distort` all else.
"""

import math
import os
import weakref
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import get_worker_info

from lutkit.distort.bake import ROUNDING, BakedLayer, apply_layers, bake, require_photo
from lutkit.distort.family import Library
from lutkit.distort.library_lut import require_library
from lutkit.distort.recipe import NO_LIBRARY, Recipe
from lutkit.distort.sampling import require_reachable, sample_recipe
from lutkit.distort.settings import DamageSettings, settings_or_default
from lutkit.errors import ArrayError, RecipeError
from lutkit.nn.baked_damage import BakedDamage, pack_damage, through_tables, unpack_damage
from lutkit.nn.color import require_images, require_no_codes
from lutkit.nn.own_draws import OwnDraws

_looked_at: set[torch.device] = set()


@dataclass(frozen=True)
class Drawn:
    """Recipes, and what each bakes to."""

    recipes: tuple[Recipe, ...]
    layers: tuple[tuple[BakedLayer, ...], ...]


@dataclass(frozen=True, eq=False)
class _Ahead:
    """What the thread of a process draws and bakes before it is asked for."""

    process: int
    numbers: tuple[int, ...]
    drawn: Future[Drawn]


def damage_batch(
    images: Tensor, recipes: Sequence[Recipe] | BakedDamage, *, library: Library = NO_LIBRARY
) -> Tensor:
    """Damage each image as its recipe states.

    On the CPU, without gradients, the compiled loops of `lutkit.damage` run, on as many threads as torch has;
    results of uint8 and float32 are the same bits as there; with `BakedDamage`, float32 is within 3e-6.
    Otherwise operations on tensors run, on any device, differentiable in the images. Their results differ
    from `lutkit.damage` by more than one 8-bit code in less than 0.1% of values, and never by more than 2.

    Args:
        images: (B, 3, H, W), sRGB-encoded, uint8 or floating with 0..1 nominal, in any memory format. Half
            precision is computed in float32; so is float64 on the CPU without gradients.
        recipes: one for each image; or what `RandomDamage.bake` drew and baked, which saves time here.
        library: the LUT files that recipes may name, by sha256: `lutkit.lut_library()`.
    Returns:
        New images of the same shape, dtype, device and memory format. Integers are rounded to nearest and
        clamped; floats are neither, so they may lie outside 0..1.
    Raises:
        ArrayError: if images have another shape or dtype, hold NaN, or are floats outside 0..1 by more than
            half an 8-bit code (on other devices than the CPU only the first batch is looked at, because
            looking makes the device wait); or if there is not one recipe for each image.
        RecipeError: if recipes are no list of recipes, or one names a LUT that is not in the library.

    >>> import lutkit, torch
    >>> from lutkit.nn.damage import damage_batch
    >>> recipes = [lutkit.sample_recipe(0, number) for number in range(2)]
    >>> damage_batch(torch.zeros(2, 3, 4, 5, dtype=torch.uint8), recipes).shape
    torch.Size([2, 3, 4, 5])
    """
    _require_photos(images)
    if not isinstance(recipes, Sequence | BakedDamage):  # pyright: ignore[reportUnnecessaryIsInstance]
        what = f"recipes are a {type(recipes).__name__}, not a list with a Recipe for each image"
        raise RecipeError(what, where="damage_batch")
    if len(recipes) != len(images):
        raise ArrayError(f"{len(images)} images and {len(recipes)} recipes", where="damage_batch")
    loops = _takes_loops(images)
    if isinstance(recipes, BakedDamage):
        if loops:
            return _through_loops(images, unpack_damage(recipes))
        return through_tables(images, recipes.to(images.device, non_blocking=True))
    for number, recipe in enumerate(recipes):
        if not isinstance(recipe, Recipe):  # pyright: ignore[reportUnnecessaryIsInstance]
            what = f"recipe {number} is a {type(recipe).__name__}, not a Recipe"
            remedy = "read text with lutkit.Recipe.from_json"
            raise RecipeError(what, where="damage_batch", remedy=remedy)
    layers = [bake(recipe, library) for recipe in recipes]
    return _through_layers(images, recipes, layers)


class RandomDamage:
    """Damage for batches in a training loop: each call draws new recipes, and damages each image by one.

    Recipe number i is `lutkit.sample_recipe(seed, i, settings=settings, library=library)`. A process that is
    no worker of a `DataLoader` counts up from 0; rank r of n takes every n-th number. While the loop trains
    on one batch, a thread draws and bakes the recipes of the next. Labels are not judged: `settings.labels`
    has no effect, and `settings.lossy` is the share of draws from the families' harder ranges.

    In the workers of a `DataLoader`, `bake` draws and bakes ahead for a GPU, and a call damages on the CPU.
    No two workers and no two epochs draw alike. After `set_epoch`, draws depend on nothing but the seed, the
    epoch, and the numbers of ranks and workers. The object can be pickled.

    Args:
        settings: the damage to draw from; None means `DamageSettings()`.
        seed: 0 or above.
        library: the LUT files that may be drawn, by sha256: `lutkit.lut_library()`.
    Raises:
        RecipeError: if the settings are none, or the seed is no integer of 0 or above.
        ManifestError: if too few draws reach the upper end of the severity.

    >>> import lutkit, torch
    >>> from lutkit.nn.damage import RandomDamage
    >>> random_damage = RandomDamage(lutkit.preset("camera"), seed=7)
    >>> damaged, recipes = random_damage(torch.zeros(2, 3, 4, 5))
    >>> recipes[1] == lutkit.sample_recipe(7, 1, settings=lutkit.preset("camera"))
    True
    """

    def __init__(
        self, settings: DamageSettings | None = None, seed: int = 0, *, library: Library = NO_LIBRARY
    ) -> None:
        self.settings = settings_or_default(settings, where="RandomDamage")
        if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or seed < 0:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise RecipeError(f"a seed must be 0 or above, not {seed!r}", where="RandomDamage")
        require_library(library, where="RandomDamage")
        self.seed = int(seed)
        self.library: Library = dict(library)  # a plain dict, because others may not be picklable
        # Now, because a training would only meet the first draw out of reach after some time.
        require_reachable(self.seed, self.settings, self.library)
        self._draws = OwnDraws()
        self._ahead: _Ahead | None = None

    def __call__(self, images: Tensor) -> tuple[Tensor, tuple[Recipe, ...]]:
        """Damage each image by a recipe of its own.

        Args:
            images: (B, 3, H, W), as for `damage_batch`.
        Returns:
            New images of the same shape and dtype, floats clamped to 0..1, as in a photo; and the recipe of
            each.
        Raises:
            ArrayError: as `damage_batch` does.
            ManifestError: if the severity cannot be reached.
        """
        _require_photos(images)
        drawn = self.next_drawn(len(images))
        damaged = _through_layers(images, drawn.recipes, drawn.layers)
        return damaged.clamp(0, 1) if damaged.is_floating_point() else damaged, drawn.recipes

    def bake(self, count: int) -> BakedDamage:
        """Draw and bake the next `count` recipes, for `damage_batch` in another process or on a GPU.

        Raises:
            RecipeError: if the count is not an integer of 0 or above.
            ManifestError: if the severity cannot be reached.
        """
        drawn = self.next_drawn(count)
        return pack_damage(drawn.recipes, drawn.layers)

    def stack_and_bake(self, images: Sequence[Tensor]) -> tuple[Tensor, BakedDamage]:
        """Return images (3, H, W) as one batch, and a recipe for each: the `collate_fn` of a `DataLoader`.

        Raises:
            ArrayError: if there is no image, or they are not tensors of one shape and dtype.
        """
        found = list(images) if isinstance(images, Iterable) else [images]  # pyright: ignore[reportUnnecessaryIsInstance]
        kinds = {
            f"{tuple(image.shape)} {image.dtype}" if isinstance(image, Tensor) else type(image).__name__  # pyright: ignore[reportUnnecessaryIsInstance]
            for image in found
        }
        if len(kinds) != 1 or not isinstance(found[0], Tensor):  # pyright: ignore[reportUnnecessaryIsInstance]
            what = (
                f"images must be tensors (3, H, W) of one shape, not {', '.join(sorted(kinds)) or 'nothing'}"
            )
            raise ArrayError(what, where="stack_and_bake")
        return torch.stack(tuple(found)), self.bake(len(found))

    def set_epoch(self, epoch: int) -> None:
        """Begin an epoch, also in workers that live on: its recipes are those of no other epoch.

        Raises:
            RecipeError: if it is no integer of 0 or above.
        """
        self._draws.set_epoch(epoch)

    def state_dict(self) -> dict[str, int]:
        """Return what `load_state_dict` needs to go on in this process where it is now."""
        return {"seed": self.seed, **self._draws.state()}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on where the state was saved.

        Raises:
            RecipeError: if it is the state of another seed, or none.
        """
        found = state if isinstance(state, Mapping) else {type(state).__name__: 0}  # pyright: ignore[reportUnnecessaryIsInstance]
        if set(found) != set(self.state_dict()):
            what = (
                f"a state has {', '.join(self.state_dict())}, not {', '.join(map(str, found)) or 'nothing'}"
            )
            raise RecipeError(what, where="RandomDamage")
        if state["seed"] != self.seed:
            what = f"the state is of seed {state['seed']}, but this seed is {self.seed}"
            raise RecipeError(what, where="RandomDamage", remedy="give the seed that it was saved with")
        self._draws.restore(state)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_ahead": None}

    def next_drawn(self, count: int) -> "Drawn":
        """Return the next `count` recipes with their layers, from the thread if it was ahead."""
        numbers, ahead = self._draws.take(count), self._ahead
        if ahead is not None and ahead.process == os.getpid() and ahead.numbers == numbers:
            drawn = ahead.drawn.result()
        else:
            drawn = self._drawn(numbers)
        self._ahead = None
        if get_worker_info() is None:  # the workers of a DataLoader are ahead by themselves
            upcoming = self._draws.upcoming(count)
            self._ahead = _Ahead(os.getpid(), upcoming, _thread().submit(self._drawn, upcoming))
            _at_work.add(self._ahead)
        return drawn

    def _drawn(self, numbers: tuple[int, ...]) -> "Drawn":
        recipes = tuple(
            sample_recipe(self.seed, number, settings=self.settings, library=self.library)
            for number in numbers
        )
        return Drawn(recipes, tuple(bake(recipe, self.library) for recipe in recipes))


class DamageTransform:
    """Damage for single images, as a transform in a dataset: an image in, a damaged image of its kind out.

    It takes Pillow's images in mode RGB, arrays (H, W, 3) as `lutkit.damage` does, and tensors (3, H, W) or
    (B, 3, H, W), where each image gets a recipe of its own. Subclasses of tensors stay what they are, so
    torchvision's `tv_tensors.Image` works where torchvision is installed; lutkit does not need it. Further
    arguments come back unchanged, so that the transform fits into `torchvision.transforms.v2.Compose`.

    Recipes are drawn as by `RandomDamage`, which see: no two workers and no two epochs draw alike. Floats are
    clamped to 0..1. It can be pickled.

    Args:
        settings: the damage to draw from; None means `DamageSettings()`.
        seed: 0 or above.
        library: the LUT files that may be drawn, by sha256: `lutkit.lut_library()`.
    Raises:
        RecipeError: if the settings are none, or the seed is no integer of 0 or above.
        ManifestError: if too few draws reach the upper end of the severity.

    >>> import numpy
    >>> from lutkit.nn.damage import DamageTransform
    >>> transform = DamageTransform(seed=7)
    >>> transform(numpy.zeros((4, 5, 3), numpy.uint8)).shape
    (4, 5, 3)
    """

    def __init__(
        self, settings: DamageSettings | None = None, seed: int = 0, *, library: Library = NO_LIBRARY
    ) -> None:
        self.draws = RandomDamage(settings, seed, library=library)

    def __call__(self, image: Any, *others: Any) -> Any:  # noqa: ANN401  (each kind of image has its own type)
        """Damage an image.

        Args:
            image: a Pillow image, an array or a tensor.
            others: what belongs to it, such as a label.
        Returns:
            A new image of the same kind; with `others`, a tuple of it and them.
        Raises:
            ArrayError: if it is no image, or has another mode, shape, dtype or range.
            ManifestError: if the severity cannot be reached.
        """
        damaged = self._damaged(image)
        return (damaged, *others) if others else damaged

    def set_epoch(self, epoch: int) -> None:
        """Begin an epoch, as `RandomDamage.set_epoch` does."""
        self.draws.set_epoch(epoch)

    def _damaged(self, image: object) -> object:
        if isinstance(image, Tensor):
            plain = image.as_subclass(Tensor)
            batch = plain[None] if plain.ndim == 3 else plain
            damaged, _ = self.draws(batch)
            return (damaged[0] if plain.ndim == 3 else damaged).as_subclass(type(image))
        if isinstance(image, Image.Image):
            if image.mode != "RGB":
                what = f"an image of mode {image.mode}"
                raise ArrayError(what, where="DamageTransform", remedy="convert it with .convert('RGB')")
            return Image.fromarray(self._damaged_array(np.asarray(image)))
        if isinstance(image, np.ndarray):
            return self._damaged_array(cast("npt.NDArray[Any]", image))
        what = f"takes images of Pillow, arrays and tensors, not {type(image).__name__}"
        raise ArrayError(what, where="DamageTransform")

    def _damaged_array(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        require_photo(pixels)
        damaged = apply_layers(pixels, self.draws.next_drawn(1).layers[0], threads=1)
        return damaged.clip(0, 1) if damaged.dtype == np.float32 else damaged


def _require_photos(images: Tensor) -> None:
    require_images(images, "images", "damage")
    require_no_codes(images, 1.0, "damage")
    if not images.is_floating_point() or images.device in _looked_at:
        return
    if images.device.type != "cpu":
        _looked_at.add(images.device)
    low, high = (float(end) for end in torch.aminmax(images.detach()))
    if math.isnan(low):
        raise ArrayError("images hold NaN", where="damage", remedy="replace it with a number first")
    if low < -ROUNDING or high > 1 + ROUNDING:
        what = f"values of {low:.3g} to {high:.3g}; floats are 0..1"
        remedy = "clamp them, as images.clamp(0, 1) does, or encode linear light first"
        raise ArrayError(what, where="damage", remedy=remedy)


def _takes_loops(images: Tensor) -> bool:
    return images.device.type == "cpu" and not (images.requires_grad and torch.is_grad_enabled())


def _through_layers(
    images: Tensor, recipes: Sequence[Recipe], layers: Sequence[tuple[BakedLayer, ...]]
) -> Tensor:
    if _takes_loops(images):
        return _through_loops(images, layers)
    damage = pack_damage(recipes, layers)
    if images.is_cuda:
        damage = damage.pin_memory()
    return through_tables(images, damage.to(images.device, non_blocking=True))


def _through_loops(images: Tensor, layers: Sequence[tuple[BakedLayer, ...]]) -> Tensor:
    kind = torch.uint8 if images.dtype == torch.uint8 else torch.float32
    # The threads run only the loops: within them torch would start threads of its own for each copy.
    pixels = images.detach().permute(0, 2, 3, 1).to(kind).contiguous().numpy()
    damaged = np.empty_like(pixels)

    def run(number: int) -> None:
        damaged[number] = apply_layers(pixels[number], layers[number], threads=1)

    threads = min(torch.get_num_threads(), len(images))
    if threads == 1:
        for number in range(len(images)):
            run(number)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(run, range(len(images))))
    return torch.empty_like(images).copy_(torch.from_numpy(damaged).permute(0, 3, 1, 2))


_threads: dict[int, ThreadPoolExecutor] = {}
_at_work: weakref.WeakSet[_Ahead] = weakref.WeakSet()


def _thread() -> ThreadPoolExecutor:
    """Return the thread of this process that draws and bakes ahead; a fork has none of its parent's."""
    return _threads.setdefault(os.getpid(), ThreadPoolExecutor(1, "lutkit-damage"))


def _finish_work() -> None:
    """Wait for the thread before this process forks: the new process would wait for its locks without end."""
    for ahead in list(_at_work):
        if ahead.process == os.getpid():
            wait((ahead.drawn,))


os.register_at_fork(before=_finish_work)
