"""A contest of damage generators: train a small network on the output of each, and test it on real pairs.

    python scripts/contest.py --quick                                  # all; 40 minutes on 2 cores
    python scripts/contest.py --generators default,camera --seeds 0    # some
    python scripts/contest.py --prepare contest.npz                    # the input for another machine
    python scripts/contest.py --from contest.npz --quick               # on that machine: 8 minutes on a GPU

The network is `lutkit train adaptive-lut`'s without its cube and with `pooling="mean"`: it gets a thumbnail
of 64 px and predicts three curves of nine knots and a quadratic 9 x 3 matrix, which are applied to the
whole image. It learns from 10,000 pairs of 64 px in 1,000 steps of 32 (`--quick`; otherwise four times as
many pairs and steps).
The photos are the same for every generator. The figures are mean CIEDE2000 differences from the truth: the
mean of each scene's mean, and the lowest and the highest of the seeds. The real pairs are: a camera's
renderings with the wrong white balance (one scene with ten renderings is counted separately), INTEL-TAU
with illuminants of other scenes, FiveK from camera default to expert C, and damaging LUT files on photos
that were not used for training.

A difference within the spread of the seeds is a tie: the best figure and all that tie with it are bold.
Intervals are 95%, by bootstrap over scenes (over files, for LUT files), and only given for six or more.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from generators import (
    PEERS,
    PRESETS,
    Generator,
    Measured,
    Values,
    augment,
    find_generator,
    has_preset,
    read_measured,
    renderings_of,
)
from PIL import Image
from torch import Tensor, nn

import lutkit
from lutkit.balancing.adaptive_lut import THUMBNAIL_PX, AdaptiveLut
from lutkit.nn.color import srgb_to_lab
from lutkit.nn.color_losses import delta_e_2000, delta_e_2000_loss

Codes = npt.NDArray[np.uint8]

ROOT = Path(__file__).resolve().parents[1]
TEST_PX = 256
CUBE_SIZE = 0  # the published figures are of curves and a matrix alone
BATCH = 32
PAIRS, STEPS = 10_000, 1_000
CHUNK = 500  # pairs in a task
LEARNING_RATE = 2e-3
# A ninth of the pixels is enough, because the network corrects colours, not edges.
LOSS_STRIDE = 3
LEAST_SCENES = 6
RESAMPLES = 2000
GREY_POWER = 6
TEN_TIMES = "8D5U5524"  # the scene with ten renderings
GROUPS = ("white balance", TEN_TIMES, "INTEL-TAU", "FiveK", "cubes")


@dataclass(frozen=True)
class Test:
    """A real pair: both images (height, width, 3) uint8, the `group` it counts in, and its `scene`."""

    __test__ = False  # not a pytest test

    group: str
    scene: str
    input: Codes
    target: Codes


@dataclass(frozen=True)
class Material:
    """Everything that a contest needs: photos to damage, the peers' parameters, and test pairs.

    Args:
        photos: (n, 64, 64, 3) uint8.
        renderings: (n, 10, 9, 3) float32, the augmenter's result for each photo at its full size.
        measured: the peers' parameters.
        tests: the real pairs.
    """

    photos: Codes
    renderings: Values
    measured: Measured
    tests: tuple[Test, ...]


@dataclass
class Result:
    """The mean CIEDE2000 of every test image, a row for each seed, and the group and scene of each."""

    errors: list[list[float]] = field(default_factory=list)
    seconds: float = 0.0


# --- Material -------------------------------------------------------------------------------------------


def read_material(shared: Path) -> Material:
    """Read photos, real pairs and the peers' parameters from the folder of shared data."""
    measured = read_measured(shared)
    photos: list[Codes] = []
    renderings: list[Values] = []
    for path in sorted((shared / "photos" / "imagenet").iterdir()):
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        renderings.append(renderings_of(np.asarray(image, np.float32) / 255, measured))
        photos.append(thumbnail(image))
    tests = (*real_tests(shared / "real"), *cube_tests(shared))
    return Material(np.stack(photos), np.stack(renderings).astype(np.float32), measured, tests)


def thumbnail(image: Image.Image) -> Codes:
    """Return the centre square at 64 px."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX, box))


def real_tests(folder: Path) -> Iterator[Test]:
    """Yield the real pairs in `white_balance`, `inteltau` and `fivek`."""
    for name, group in (("white_balance", GROUPS[0]), ("inteltau", GROUPS[2]), ("fivek", GROUPS[3])):
        for path in sorted((folder / name).glob("*.input.png")):
            key = path.name.removesuffix(".input.png")
            target = test_picture(path.with_name(f"{key}.target.png"))
            if key.startswith(TEN_TIMES):
                yield Test(TEN_TIMES, TEN_TIMES, test_picture(path), target)
            else:
                # INTEL-TAU's keys end with the number of the illuminant that the scene was rendered with.
                scene = key.rpartition("_")[0] if name == "inteltau" else key
                yield Test(group, scene, test_picture(path), target)


def cube_tests(shared: Path) -> Iterator[Test]:
    """Yield damaging LUT files on the Kodak photos; the file counts as the scene."""
    photographs = [test_picture(path) for path in sorted((shared / "photos" / "kodak").glob("*.png"))]
    for path in sorted((shared / "luts" / "wild" / "damaging").iterdir()):
        lut = lutkit.read_lut(path)
        for photograph in photographs:
            yield Test("cubes", path.name, lutkit.apply(photograph, lut), photograph)


def test_picture(path: Path) -> Codes:
    """Read an image, at most 256 px large."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    image.thumbnail((TEST_PX, TEST_PX), Image.Resampling.BOX)
    return np.asarray(image)


def save_material(material: Material, path: Path) -> None:
    """Write everything to one file; images are PNG inside."""
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "photos": np.frombuffer(png(material.photos.reshape(-1, THUMBNAIL_PX, 3)), np.uint8),
        "renderings": material.renderings,
        "mappings": material.measured.mappings,
        "encoder_weights": material.measured.encoder_weights,
        "encoder_bias": material.measured.encoder_bias,
        "features": material.measured.features,
        "names": np.array([(test.group, test.scene) for test in material.tests]),
    }
    targets: dict[bytes, int] = {}
    for number, test in enumerate(material.tests):
        arrays[f"input_{number}"] = np.frombuffer(png(test.input), np.uint8)
        # Many tests have the same truth: it is written once.
        first = targets.setdefault(test.target.tobytes(), number)
        arrays[f"target_{number}"] = np.array(first)
        if first == number:
            arrays[f"picture_{number}"] = np.frombuffer(png(test.target), np.uint8)
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def load_material(path: Path) -> Material:
    """Read a file that `save_material` wrote."""
    with np.load(path) as stored:
        pictures = {
            name: from_png(stored[name].tobytes())
            for name in stored.files
            if name.startswith(("input_", "picture_"))
        }
        tests = [
            Test(
                str(group),
                str(scene),
                pictures[f"input_{number}"],
                pictures[f"picture_{int(stored[f'target_{number}'])}"],
            )
            for number, (group, scene) in enumerate(stored["names"])
        ]
        names = ("mappings", "encoder_weights", "encoder_bias", "features")
        measured = Measured(*(stored[name] for name in names))
        photos = from_png(stored["photos"].tobytes()).reshape(-1, THUMBNAIL_PX, THUMBNAIL_PX, 3)
        return Material(photos, stored["renderings"], measured, tuple(tests))


def png(image: Codes) -> bytes:
    """Return an image as a PNG file."""
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "png", optimize=True)
    return buffer.getvalue()


def from_png(data: bytes) -> Codes:
    """Return the image of a PNG file."""
    return np.asarray(Image.open(BytesIO(data)).convert("RGB"))


# --- Pairs ----------------------------------------------------------------------------------------------


def generator_for(name: str, material: Material) -> Generator:
    """Return the generator of that name; the augmenter gets the photos at their full size."""
    if name == "augmenter":
        known = {
            photo.tobytes(): one for photo, one in zip(material.photos, material.renderings, strict=True)
        }
        return lambda images, rng: augment(images, rng, material.measured, known)
    return find_generator(name, material.measured)


def damaged_pairs(name: str, material: Material, count: int, seed: int, workers: int) -> tuple[Codes, Codes]:
    """Pairs for training: inputs and targets (count, 64, 64, 3) uint8.

    Any number of workers makes the same pairs.
    """
    which = np.arange(count) % len(material.photos)
    starts = range(0, count, CHUNK)
    tasks = [(name, which[start : start + CHUNK], [seed, start]) for start in starts]
    if workers > 1:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, context, _hold, (material,)) as pool:
            inputs = list(pool.map(_damage, tasks))
    else:
        _hold(material)
        inputs = [_damage(task) for task in tasks]
    return np.concatenate(inputs), material.photos[which]


_held: list[Material] = []


def _hold(material: Material) -> None:
    _held[:] = [material]


def _damage(task: tuple[str, npt.NDArray[np.intp], list[int]]) -> Codes:
    name, which, seed = task
    generator = generator_for(name, _held[0])
    damaged = generator(_held[0].photos[which], np.random.default_rng(seed))
    return np.asarray(damaged, np.uint8)


# --- The network ----------------------------------------------------------------------------------------


def train(inputs: Codes, targets: Codes, *, steps: int, seed: int, device: str) -> AdaptiveLut:
    """Train the network on pairs, with batches and first weights by the seed."""
    torch.manual_seed(seed)
    network = AdaptiveLut(cube_size=CUBE_SIZE, pooling="mean").to(device)
    before = torch.from_numpy(inputs).to(device).permute(0, 3, 1, 2)
    after = torch.from_numpy(targets).to(device).permute(0, 3, 1, 2)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, steps, pct_start=0.1)
    order = np.random.default_rng(seed)
    queue: list[int] = []
    for _ in range(steps):
        while len(queue) < BATCH:
            queue += order.permutation(len(inputs)).tolist()
        chosen, queue = torch.tensor(queue[:BATCH], device=device), queue[BATCH:]
        images, truth = before[chosen].float() / 255, after[chosen].float() / 255
        part = (..., slice(None, None, LOSS_STRIDE), slice(None, None, LOSS_STRIDE))
        loss = delta_e_2000_loss(network(images)(images[part]), truth[part])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return network.eval()


# --- The test -------------------------------------------------------------------------------------------


def by_network(network: AdaptiveLut, device: str) -> Callable[[Tensor], Tensor]:
    """Return a function that corrects an image (1, 3, H, W) with the network."""

    def correct(image: Tensor) -> Tensor:
        small = nn.functional.interpolate(
            image, (THUMBNAIL_PX, THUMBNAIL_PX), mode="bilinear", antialias=True, align_corners=False
        )
        return network(small)(image)

    return correct


def by_grey(power: float) -> Callable[[Tensor], Tensor]:
    """Shades of grey: make the Minkowski mean of the channels grey, green unchanged. Power 1 is grey world.

    It works in linear light, where light multiplies.

    Source: Finlayson and Trezzi, "Shades of gray and colour constancy", Color Imaging Conference 2004.
    """

    def correct(image: Tensor) -> Tensor:
        linear = torch.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)
        means = (linear.clamp_min(1e-6) ** power).mean((2, 3), keepdim=True) ** (1 / power)
        linear = linear * (means[:, 1:2] / means)
        power_part = 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
        return torch.where(linear <= 0.0031308, linear * 12.92, power_part)

    return correct


@torch.no_grad()
def errors_of(correct: Callable[[Tensor], Tensor], tests: tuple[Test, ...], device: str) -> list[float]:
    """Return the mean CIEDE2000 of every test image to its truth, after correction, clamped and in 8 bits."""
    found: list[Tensor] = []
    for test in tests:
        image, truth = (
            torch.from_numpy(picture.copy()).to(device).permute(2, 0, 1)[None]
            for picture in (test.input, test.target)
        )
        result = (correct(image.float() / 255).clamp(0, 1) * 255).round() / 255
        found.append(delta_e_2000(srgb_to_lab(result), srgb_to_lab(truth)).mean())
    return torch.stack(found).tolist()


def compete(names: list[str], material: Material, options: argparse.Namespace) -> dict[str, Result]:
    """Run every generator and every method without a network, one after the other."""
    steps, pairs = options.steps, options.pairs
    results = {
        "nothing": Result([errors_of(lambda image: image, material.tests, options.device)]),
        "grey world": Result([errors_of(by_grey(1), material.tests, options.device)]),
        "shades of grey": Result([errors_of(by_grey(GREY_POWER), material.tests, options.device)]),
    }
    for name in names:
        result = Result()
        start = time.perf_counter()
        for seed in options.seeds:
            inputs, targets = damaged_pairs(name, material, pairs, seed, options.workers)
            network = train(inputs, targets, steps=steps, seed=seed, device=options.device)
            result.errors.append(
                errors_of(by_network(network, options.device), material.tests, options.device)
            )
        result.seconds = time.perf_counter() - start
        results[name] = result
        figures = ", ".join(f"{group} {_said(result, material.tests, group)}" for group in GROUPS)
        print(f"{name}: {figures}; {result.seconds:.0f} s", file=sys.stderr, flush=True)
    return results


# --- The table ------------------------------------------------------------------------------------------


def scene_means(errors: list[float], tests: tuple[Test, ...], group: str) -> npt.NDArray[np.float64]:
    """Return the mean error of each scene of a group."""
    scenes: dict[str, list[float]] = {}
    for error, test in zip(errors, tests, strict=True):
        if test.group == group:
            scenes.setdefault(test.scene, []).append(error)
    return np.array([np.mean(values) for values in scenes.values()])


def seed_means(result: Result, tests: tuple[Test, ...], group: str) -> npt.NDArray[np.float64]:
    """Return the group's mean error for each seed."""
    return np.array([scene_means(errors, tests, group).mean() for errors in result.errors])


def tied_with_best(results: dict[str, Result], tests: tuple[Test, ...], group: str) -> set[str]:
    """Return the best by its mean, and all whose difference from it is within the two's spread of seeds."""
    seeds = {name: seed_means(result, tests, group) for name, result in results.items()}
    best = min(seeds, key=lambda name: seeds[name].mean())
    return {name for name, values in seeds.items() if values.min() <= seeds[best].max() or name == best}


def interval(result: Result, tests: tuple[Test, ...], group: str) -> tuple[float, float] | None:
    """Return the 95% interval of the mean by bootstrap over scenes; None for fewer than six."""
    means = np.mean([scene_means(errors, tests, group) for errors in result.errors], axis=0)
    if len(means) < LEAST_SCENES:
        return None
    drawn = np.random.default_rng(0).integers(len(means), size=(RESAMPLES, len(means)))
    low, high = np.quantile(means[drawn].mean(1), (0.025, 0.975))
    return float(low), float(high)


def _said(result: Result, tests: tuple[Test, ...], group: str) -> str:
    values = seed_means(result, tests, group)
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{values.mean():.1f} ({values.min():.1f}..{values.max():.1f})"


def table(results: dict[str, Result], tests: tuple[Test, ...], *, steps: int, pairs: int) -> str:
    """Return two Markdown tables: the figures, and their intervals over scenes."""
    groups = [group for group in GROUPS if any(test.group == group for test in tests)]
    heads: list[str] = []
    for group in groups:
        chosen = [test for test in tests if test.group == group]
        scenes = len({test.scene for test in chosen})
        kind = "files" if group == "cubes" else "scene" if scenes == 1 else "scenes"
        heads.append(f"{group}: {len(chosen)} pictures, {scenes} {kind}")
    ties = {group: tied_with_best(results, tests, group) for group in groups}
    lines = ["| trained on | " + " | ".join(heads) + " |", "|---|" + "---|" * len(groups)]
    for name, result in results.items():
        cells = [_said(result, tests, group) for group in groups]
        cells = [
            f"**{cell}**" if name in ties[group] else cell for cell, group in zip(cells, groups, strict=True)
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    seeds = max(len(result.errors) for result in results.values())
    lines += [
        "",
        f"Mean CIEDE2000 to the truth after correction; {pairs:,} pairs, {steps:,} steps of {BATCH}; the "
        f"mean of the seeds ({seeds}), the least and the largest. Differences inside the seeds' spread tie: "
        "the best and all that tie with it are bold. Nothing and the two greys have no network.",
        "",
    ]
    enough = [group for group in groups if interval(next(iter(results.values())), tests, group)]
    if enough:
        lines += ["| 95% over scenes | " + " | ".join(enough) + " |", "|---|" + "---|" * len(enough)]
        for name, result in results.items():
            spans = [interval(result, tests, group) or (0, 0) for group in enough]
            lines.append(f"| {name} | " + " | ".join(f"{low:.1f}..{high:.1f}" for low, high in spans) + " |")
        lines += ["", f"Groups of fewer than {LEAST_SCENES} scenes have no interval."]
    return "\n".join(lines)


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    usual = [*(name for name in PRESETS if has_preset(name)), *PEERS]
    parser.add_argument("--generators", default=",".join(usual), help="names, PATH.py:NAME")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--quick", action="store_true", help=f"{PAIRS:,} pairs and {STEPS:,} steps")
    parser.add_argument("--pairs", type=int, help="another number of pairs")
    parser.add_argument("--steps", type=int, help="another number of steps")
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared", help="the folder of real data")
    parser.add_argument("--prepare", type=Path, metavar="FILE", help="write what is needed, and stop")
    parser.add_argument(
        "--from", type=Path, dest="prepared", metavar="FILE", help="read that in place of --shared"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes that damage")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("-o", "--out", type=Path, help="every picture's error, as JSON")
    options = parser.parse_args(arguments)
    options.seeds = [int(seed) for seed in options.seeds.split(",")]
    more = 1 if options.quick else 4
    options.pairs, options.steps = options.pairs or more * PAIRS, options.steps or more * STEPS
    return options


def main(arguments: list[str] | None = None) -> None:
    """Prepare a file, or run the contest and print its tables."""
    options = options_of(arguments)
    material = load_material(options.prepared) if options.prepared else read_material(options.shared)
    if options.prepare:
        save_material(material, options.prepare)
        print(f"{options.prepare}: {options.prepare.stat().st_size / 2**20:.1f} MiB", file=sys.stderr)
        return
    results = compete(options.generators.split(","), material, options)
    print(table(results, material.tests, steps=options.steps, pairs=options.pairs))
    if options.out:
        tests = [{"group": test.group, "scene": test.scene} for test in material.tests]
        errors = {name: result.errors for name, result in results.items()}
        options.out.write_text(json.dumps({"tests": tests, "errors": errors}) + "\n")


if __name__ == "__main__":
    main()
