"""The speed of damage in a training loop on one core, beside Kornia's ColorJiggle where that is installed.

`damage_rows()` returns the rows of the table; run as a script, it prints them. `RandomDamage` draws, bakes
and applies a recipe for each of 64 photos of 256 px. The time is that of the processor, with the thread that
draws ahead. The peer draws its parameters in the same time.
"""

import importlib.util
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from bench_pair import Pair, Work, pair_row, sample_photo
from torch import Tensor

from lutkit.distort.bake import bake
from lutkit.distort.sampling import sample_recipe
from lutkit.nn.baked_damage import pack_damage
from lutkit.nn.damage import RandomDamage, damage_batch

IMAGES, SIZE_PX, TURNS = 64, 256, 7
PEER = "ColorJiggle"


def damage_rows(turns: int = TURNS) -> list[dict[str, object]]:
    """Return rows of name, ours_images_s, peer, peer_images_s, ratio, and asked: the required ratio."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [_in_images(pair_row(pair, turns, _processor_seconds)) for pair in _pairs()]
    finally:
        torch.set_num_threads(threads)


def device_rows(device: str, turns: int = 15) -> list[dict[str, object]]:
    """Return rows of name and images_s on a device: wall time, with what the CPU draws and bakes.

    `RandomDamage` draws ahead in one thread, so it is as fast as that thread if the device is faster. What is
    baked already, as workers of a `DataLoader` do it, shows the speed of the device.
    """
    codes = _photos().to(device)
    recipes = [sample_recipe(0, number) for number in range(IMAGES)]
    baked = pack_damage(recipes, [bake(recipe) for recipe in recipes])
    baked = baked.pin_memory() if device == "cuda" else baked
    works: dict[str, Callable[[], object]] = {
        "drawn, uint8": partial(RandomDamage(), codes),
        "drawn, float32": partial(RandomDamage(), codes / 255),
        "baked, uint8": partial(damage_batch, codes, baked),
        "baked, float32": partial(damage_batch, codes / 255, baked),
    }
    return [
        {"name": name, "images_s": round(IMAGES / _device_seconds(work, device, turns))}
        for name, work in works.items()
    ]


def _device_seconds(work: Callable[[], object], device: str, turns: int) -> float:
    """Return the mean wall time of `turns` calls, after one that warms up."""
    wait = torch.cuda.synchronize if device == "cuda" else torch.get_num_threads
    work()
    wait()
    start = time.perf_counter()
    for _ in range(turns):
        work()
    wait()
    return (time.perf_counter() - start) / turns


def _pairs() -> list[Pair]:
    codes = _photos()
    peer = color_jiggle()
    name, theirs = (PEER, peer) if peer else ("not installed", torch.empty_like)
    floats = codes / 255
    pixels = IMAGES * SIZE_PX * SIZE_PX
    asked = 1.0 if peer else None
    recipes = [sample_recipe(0, number) for number in range(IMAGES)]
    baked = pack_damage(recipes, [bake(recipe) for recipe in recipes])
    return [
        Pair(
            "RandomDamage uint8", pixels, partial(RandomDamage(), codes), name, partial(theirs, floats), asked
        ),
        Pair(
            "RandomDamage float32",
            pixels,
            partial(RandomDamage(), floats),
            name,
            partial(theirs, floats),
            asked,
        ),
        Pair(
            "damage_batch uint8, baked",
            pixels,
            partial(damage_batch, codes, baked),
            name,
            partial(theirs, floats),
        ),
    ]


def color_jiggle() -> Callable[[Tensor], Tensor] | None:
    """Return Kornia's jitter of brightness, contrast, saturation and hue; None if Kornia is not installed."""
    if importlib.util.find_spec("kornia") is None:
        return None
    from kornia.augmentation import ColorJiggle

    return ColorJiggle(0.2, 0.2, 0.2, 0.1, p=1.0)


def _processor_seconds(work: Work) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _photos() -> Tensor:
    photo = torch.from_numpy(np.ascontiguousarray(sample_photo()[:SIZE_PX, :SIZE_PX].transpose(2, 0, 1)))
    return torch.stack([photo.roll(number, 2) for number in range(IMAGES)])


def _in_images(row: dict[str, object]) -> dict[str, object]:
    """Replace megapixels by images."""
    images = 1e6 / SIZE_PX**2
    found = {
        "name": row["name"],
        "ours_images_s": round(float(str(row["ours_mp_s"])) * images),
        "peer": row["peer"],
        "peer_images_s": round(float(str(row["peer_mp_s"])) * images),
        "ratio": row["ratio"],
        "asked": row["asked"],
    }
    return found if row["peer"] == PEER else {**found, "peer_images_s": None, "ratio": None}


if __name__ == "__main__":
    for row in damage_rows():
        print(
            "{name:26} {ours_images_s:6} {peer:14} {peer_images_s} ratio {ratio}  asked {asked}".format(**row)
        )
