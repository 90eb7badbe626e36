"""The cost of inverting a LUT on one core, and the errors of colours after the LUT and its inverse.

    python scripts/bench_inverse.py LUTS

LUTS is a folder of LUT files; `inverse_rows(LUTS)` returns the rows of the table. Cubes are inverted at 33^3.
Errors are in 8-bit code values, unrounded; for LUTs that merge colours they include what is lost.
"""

import argparse
import time
from pathlib import Path

from lutkit.lut.inverse import invert_lut, invert_to_single
from lutkit.lut.model import Lut, Lut1D, lut_stages
from lutkit.lut.quality import judge_lut
from lutkit.lutfiles.library import read_library


def inverse_rows(folder: Path) -> list[dict[str, object]]:
    """Return a row for each LUT: the kind of its inverse, seconds, errors."""
    files = read_library(folder)
    invert_to_single(files[0].lut)  # compiles the code
    rows: list[dict[str, object]] = []
    for file in files:
        start = time.process_time()
        inverse = invert_lut(file.lut)
        seconds = time.process_time() - start
        rows.append({
            "name": file.path, "verdict": judge_lut(file.lut).label, "size": sizes(file.lut),
            "inverse": sizes(inverse.lut), "CPU s": seconds, "mean": 255 * inverse.mean_error,
            "p99": 255 * inverse.p99_error, "unreachable %": 100 * inverse.unreachable_share,
            "merged %": 100 * inverse.folded_share,
        })  # fmt: skip
    return rows


def sizes(lut: Lut) -> str:
    """Return the stages of a LUT: `1D 4097 + 3D 33`."""
    return " + ".join(f"{'1D' if isinstance(s, Lut1D) else '3D'} {s.table.shape[0]}" for s in lut_stages(lut))


if __name__ == "__main__":
    from bench_table import table
    from rich.console import Console

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("luts", type=Path)
    Console(width=150).print(table("Inverses", inverse_rows(parser.parse_args().luts)))
