"""Measure how close drawn damage comes to real damage, and real damage to the draws.

    python scripts/coverage.py --generators default,camera
    python scripts/coverage.py --generators mappings,my_camera.py:draw --shared DATA

There are two kinds of real damage. Camera renderings with a wrong white balance: 898 scenes times ten, as
mappings of colours (`reference/camera_mappings_even.npy`). LUT files that damage on purpose:
`luts/wild/damaging`. The distance of a draw and a mapping is the mean CIEDE2000 difference of their results
on 100 colours. The colours are pixels of Kodak photos, drawn once at random.

Damage in a part of the image is left out. The generator `mappings` draws other scenes than those it is
compared with, which is the closest that such data can come.
"""

if __name__ == "coverage":  # numba imports the test coverage package, and may find this file first
    raise ImportError("this is not the package for test coverage")

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from generators import Generator, Measured, find_generator, has_preset, map_colours, read_measured
from PIL import Image

import lutkit
from lutkit.color.difference import delta_e_2000
from lutkit.color.lab import srgb_to_lab

Floats = npt.NDArray[np.float64]

ROOT = Path(__file__).resolve().parents[1]
COLOURS = 100
NEAR = 2.0
FEW = 7  # every seventh colour is enough to tell most pairs apart
BLOCK = 4096
CODE = 1 / 255


@dataclass(frozen=True)
class Reach:
    """The effect of damage on the colours.

    Args:
        lab: (damages, colours, 3), each colour after the damage, clipped to what 8 bits can show.
        lightness: (damages,), the mean change of L.
        clipped: (damages,), the share of channel values newly at 0 or 255.
        severity: (damages,), the mean CIEDE2000 difference from the undamaged colours.
    """

    lab: Floats
    lightness: Floats
    clipped: Floats
    severity: Floats


def natural_colours(
    photographs: list[npt.NDArray[np.uint8]], count: int = COLOURS
) -> npt.NDArray[np.float32]:
    """Return random pixels, the same every time, so that colours are as frequent as in photos.

    Args:
        photographs: (height, width, 3) each; every eighth pixel of every eighth row may be drawn.
        count: the number of colours.
    Returns:
        (count, 3), 0..1.
    """
    pixels = np.concatenate([photo[::8, ::8].reshape(-1, 3) for photo in photographs])
    chosen = np.random.default_rng(0).choice(len(pixels), count, replace=False)
    return (pixels[chosen] / 255).astype(np.float32)


def reach_of(colours: npt.NDArray[np.float32], damaged: npt.NDArray[np.float32]) -> Reach:
    """Measure the effect of damage: colours (colours, 3) became (damages, colours, 3); both sRGB-encoded."""
    clipped = np.clip(damaged.astype(np.float64), 0, 1)
    before = srgb_to_lab(colours.astype(np.float64))
    lab = srgb_to_lab(clipped)
    edge = CODE / 2
    now = (clipped < edge) | (clipped > 1 - edge)
    was = (colours < edge) | (colours > 1 - edge)
    severity = delta_e_2000(np.broadcast_to(before, lab.shape), lab).mean(1)
    return Reach(lab, (lab[..., 0] - before[:, 0]).mean(1), (now & ~was).mean((1, 2)), severity)


def draws_of(
    generator: Generator, colours: npt.NDArray[np.float32], count: int, seed: int
) -> npt.NDArray[np.float32]:
    """Return the colours after `count` draws: (count, colours, 3)."""
    images = np.broadcast_to(colours, (count, 1, *colours.shape)).astype(np.float32)
    return np.asarray(generator(images, np.random.default_rng(seed)))[:, 0]


def nearest(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Return the distance from each of `first` to the nearest of `second`, and the other way round.

    A sum over a few colours can only grow with more colours. So pairs that are further apart in a few colours
    than the nearest found so far are never computed in full. The result is exact.

    Args:
        first: (n, colours, 3) CIELAB.
        second: (m, colours, 3) CIELAB.
    Returns:
        (n,) and (m,), mean CIEDE2000 differences.
    """
    colours = first.shape[1]
    few = np.arange(0, colours, FEW)
    sums = np.empty((len(first), len(second)), np.float64)
    part = np.ascontiguousarray(second[:, few])
    for row, lab in zip(sums, first, strict=True):
        row[:] = delta_e_2000(np.broadcast_to(lab[few], part.shape), part).sum(1)

    def full(rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]) -> Floats:
        parts = [slice(start, start + BLOCK) for start in range(0, len(rows), BLOCK)]
        found = [delta_e_2000(first[rows[part]], second[columns[part]]).mean(1) for part in parts]
        return np.concatenate(found) if found else np.empty(0)

    def keep(rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]) -> None:
        apart = full(rows, columns)
        np.minimum.at(of_first, rows, apart)
        np.minimum.at(of_second, columns, apart)

    of_first, of_second = np.full(len(first), np.inf), np.full(len(second), np.inf)
    keep(np.arange(len(first)), sums.argmin(1))
    keep(sums.argmin(0), np.arange(len(second)))
    keep(*np.nonzero(sums < colours * np.maximum(of_first[:, None], of_second)))
    return of_first, of_second


def row_of(draws: Reach, real: Reach, cubes: Reach | None) -> dict[str, float]:
    """Return all figures of one generator."""
    to_real, to_draw = nearest(draws.lab, real.lab)
    row = {
        "nearest draw, median": float(np.median(to_draw)),
        "nearest draw, p90": float(np.quantile(to_draw, 0.9)),
        "within 2": float((to_draw <= NEAR).mean()),
        "nearest real, median": float(np.median(to_real)),
    }
    if cubes is not None:
        row["nearest draw to a cube, median"] = float(np.median(nearest(draws.lab, cubes.lab)[1]))
    return row | spread_of(draws)


def spread_of(reach: Reach) -> dict[str, float]:
    """Return quantiles of lightness change, clipping and severity of the draws themselves."""
    row: dict[str, float] = {}
    for name, values in (("L", reach.lightness), ("clipped", reach.clipped), ("severity", reach.severity)):
        for share in (5, 50, 95):
            row[f"{name} {share}%"] = float(np.quantile(values, share / 100))
    return row


def table(rows: dict[str, dict[str, float]], cubes: bool) -> str:
    """Return the rows as a Markdown table."""
    heads = [
        "nearest draw to a real mapping: median",
        "90%",
        "within 2",
        "nearest real mapping to a draw: median",
    ]
    heads += ["nearest draw to a damaging cube: median"] if cubes else []
    heads += ["lightness change: 5 / 50 / 95%", "clipped: 5 / 50 / 95%", "delta E 2000: 5 / 50 / 95%"]
    lines = ["| draws of | " + " | ".join(heads) + " |", "|---|" + "---|" * len(heads)]
    for name, row in rows.items():
        number = lambda key, row=row: f"{row[key]:.2f}" if key in row else ""  # noqa: E731
        cells = [number("nearest draw, median"), number("nearest draw, p90")]
        cells += [f"{row['within 2']:.0%}" if "within 2" in row else "", number("nearest real, median")]
        cells += [number("nearest draw to a cube, median")] if cubes else []
        cells.append(" / ".join(f"{row[f'L {share}%']:+.1f}" for share in (5, 50, 95)))
        cells.append(" / ".join(f"{row[f'clipped {share}%']:.1%}" for share in (5, 50, 95)))
        cells.append(" / ".join(f"{row[f'severity {share}%']:.1f}" for share in (5, 50, 95)))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def measure(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Measure every requested generator; return a row for each, and one for real damage itself."""
    photographs = [
        np.asarray(Image.open(path).convert("RGB"))
        for path in sorted((options.shared / "photos" / "kodak").glob("*.png"))
    ]
    colours = natural_colours(photographs)
    measured = read_measured(options.shared)
    # Draws are compared with half of the scenes; `mappings` may draw the other half.
    against, others = measured.mappings[::2], measured.mappings[1::2]
    flat = against.reshape(-1, 9, 3)
    rng = np.random.default_rng(options.seed)
    chosen = rng.permutation(len(flat))[: options.real]
    real = reach_of(colours, np.stack([map_colours(colours, mapping) for mapping in flat[chosen]]))
    files = sorted((options.shared / "luts" / "wild" / "damaging").glob("*.[cC][uU][bB][eE]"))
    cubes = None
    if files:
        through = [lutkit.apply(colours[None], lutkit.read_lut(path))[0] for path in files]
        cubes = reach_of(colours, np.stack(through))
    rows = {f"real mappings ({len(chosen)} of {len(flat)})": spread_of(real)}
    if cubes is not None:
        rows[f"damaging cubes ({len(files)})"] = spread_of(cubes)
    kept = dataclasses.replace(measured, mappings=others, features=measured.features[1::2])
    for name in options.generators.split(","):
        draws = draws_of(generator_of(name, kept), colours, options.draws, options.seed)
        rows[name] = row_of(reach_of(colours, draws), real, cubes)
    return rows


def generator_of(name: str, measured: Measured) -> Generator:
    """Return the generator without damage in a part of the image."""
    return find_generator(name, measured, local=False)


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    usual = [name for name in ("default", "camera") if has_preset(name)]
    parser.add_argument("--generators", default=",".join([*usual, "mappings"]), help="names, PATH.py:NAME")
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared", help="the folder of real data")
    parser.add_argument("--draws", type=int, default=3000)
    parser.add_argument("--real", type=int, default=2000, help="real mappings to measure against")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    found = measure(options_of())
    print(table(found, any("nearest draw to a cube, median" in row for row in found.values())))
