"""Measure speed and memory of lutkit and its peers, all in one run.

    python scripts/bench.py PHOTOS [-o bench.json]

PHOTOS is a folder of about a hundred JPEGs. Peers that are not installed are left out. img2dataset has its
own environment, whose python is named by IMG2DATASET_PYTHON. Times vary between machines: quote the ratios.
"""

import argparse
import json
import platform
from importlib.metadata import version
from pathlib import Path

from bench_ab import ab_rows
from bench_apply import apply_rows
from bench_bake import bake_rows
from bench_counts import count_rows
from bench_cube import cube_rows
from bench_damage import damage_rows
from bench_fit import fit_rows
from bench_images import image_rows
from bench_inverse import inverse_rows
from bench_kernels import kernel_rows
from bench_latents import latent_rows
from bench_nn import nn_rows
from bench_synth import synth_rows
from bench_table import table
from rich.console import Console


def main() -> None:
    """Measure, print a table for each subject, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("bench.json"))
    parser.add_argument("--luts", type=Path, default=Path("luts"), help="looks to learn from pairs")
    parser.add_argument("--memory-n", type=int, nargs=2, default=(2000, 20000), metavar="N")
    options = parser.parse_args()
    subjects = {
        "LUT kernels": kernel_rows(),
        "Baking": bake_rows(),
        "Cube files": cube_rows(),
        "Images": image_rows(options.photos),
        "Counting colours": count_rows(options.photos),
        "Inverting": inverse_rows(options.luts),
        "LUTs on tensors": nn_rows(),
        "Damage in a training loop": damage_rows(),
        "Rebalanced cross entropy": ab_rows(),
        "Learning a LUT from a pair": fit_rows(options.photos, options.luts),
        "Latents": latent_rows(options.photos),
        "lutkit apply": apply_rows(options.photos),
        "synth": synth_rows(options.photos, tuple(options.memory_n)),
    }
    console = Console()
    for title, rows in subjects.items():
        console.print(table(title, rows))
    machine = {"processor": platform.processor() or platform.machine(), "python": platform.python_version()}
    versions = {name: version(name) for name in ("lutkit", "numpy", "numba", "pillow", "simplejpeg")}
    document = {"machine": machine, "versions": versions, **subjects}
    options.out.write_text(json.dumps(document, indent=1, default=float) + "\n")


if __name__ == "__main__":
    main()
