"""Check that the gate's round trip is what `lutkit lut invert` achieves: predicted and real decibels.

    python scripts/gate_against_inverse.py LUTS... [--photos FOLDER] [--size N]

Each LUT is applied to 8-bit colours and undone by the LUT that `invert` writes. The result at 8 bits is
compared with the original: on the palette of natural colours, and with `--photos` on pixels of photos.
Besides LUT files there are curves and cubes made here: tents, ripples, negatives, swaps, gammas, gains.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from lutkit import apply
from lutkit.color.palette import PALETTE_SRGB
from lutkit.color.srgb import FloatArray, linear_to_srgb, srgb_to_linear
from lutkit.lut.inverse import invert_lut
from lutkit.lut.model import Lut, Lut1D, Lut3D
from lutkit.lut.quality import MAX_ROUND_TRIP_DB, judge_lut
from lutkit.lutfiles.formats import read_lut

_PIXELS = 4096


def made_luts() -> dict[str, Lut]:
    """Return LUTs whose inverse is known, and some that have none."""
    x = np.linspace(0, 1, 1021)[:, None].repeat(3, axis=1)
    unlike = np.array([1.0, 0.9, 0.8])
    cube = Lut3D.identity(33).table.astype(np.float64)
    curves = {
        "identity": x,
        "tent": 1 - np.abs(2 * x - 1),
        "tent, early": np.where(x < 0.2 * unlike, x / (0.2 * unlike), (1 - x) / (1 - 0.2 * unlike)),
        "tent, late": np.where(x < 0.8 * unlike, x / (0.8 * unlike), (1 - x) / (1 - 0.8 * unlike)),
        "v": np.abs(2 * x - 1),
        "ripple": x + 0.05 * np.sin(40 * x * unlike),
        "slight ripple": x + 0.02 * np.sin(60 * x * unlike),
        "negative": 1 - x,
        "faded negative": 0.9 - 0.7 * x * unlike,
        "red falls": np.concatenate([1 - x[:, :1], x[:, 1:]], axis=1),
        **{f"gamma {gamma:g}": x**gamma for gamma in (0.33, 0.5, 0.8, 1.6, 2.0, 2.5, 3.5)},
        **{f"gain {gain:g}": gain * x for gain in (0.3, 0.7, 1.1, 1.25, 2.0, 4.0)},
        **{f"clamped gain {gain:g}": np.minimum(gain * x * unlike, 1) for gain in (1.25, 1.6, 2.5)},
        "crushed": np.clip(1.6 * x - 0.3, 0, 1),
        "crushed, not clamped": 1.6 * x - 0.3,
        "faded clamp": 0.1 + 0.8 * np.clip(1.4 * x - 0.2, 0, 1),
        "posterised": np.floor(x * 8) / 8,
        "level in the middle": np.interp(x, [0, 0.4, 0.6, 1], [0, 0.5, 0.5, 1]),
        **{
            f"{ev:+g} EV": linear_to_srgb(np.clip(srgb_to_linear(x) * 2.0**ev, 0, 1))
            for ev in (-3, -1, 0.3, 0.7, 1.7)
        },
    }
    grey = (srgb_to_linear(cube) * [0.2126, 0.7152, 0.0722]).sum(axis=-1, keepdims=True)
    gains = linear_to_srgb(np.clip(srgb_to_linear(cube) * [1.7, 1.0, 0.6], 0, 1))
    matrix = (cube[..., None, :] * np.array([[1.3, -0.2, -0.1], [-0.1, 1.2, -0.1], [0, -0.3, 1.3]])).sum(-1)
    bent = cube + 0.04 * np.sin(5 * cube[..., [1, 2, 0]])
    cubes = {
        "red and blue swapped": cube[..., ::-1],
        "channels turned round": cube[..., [1, 2, 0]],
        "negative cube, bent": 1 - np.clip(bent, 0, 1),
        "bent": bent,
        "bent more": cube + 0.12 * np.sin(9 * cube[..., [1, 2, 0]]),
        "tent cube": 1 - np.abs(2 * cube - 1) + 0.02 * cube[..., [1, 2, 0]],
        "matrix, clamped": np.clip(matrix, 0, 1),
        "matrix": matrix,
        "gains, clamped": gains,
        "gains, clamped, then bent": np.clip(gains + 0.04 * np.sin(5 * gains[..., [1, 2, 0]]), 0, 1),
        "grey": linear_to_srgb(grey).repeat(3, axis=-1),
        "half the saturation": linear_to_srgb(0.5 * grey + 0.5 * srgb_to_linear(cube)),
        "saturation 1.3": linear_to_srgb(np.clip(-0.3 * grey + 1.3 * srgb_to_linear(cube), 0, 1)),
    }
    return {name: Lut1D(rows) for name, rows in curves.items()} | {
        name: Lut3D(table) for name, table in cubes.items()
    }


def brought_back_db(codes: np.ndarray, lut: Lut, inverse: Lut) -> float:
    """Return the PSNR of 8-bit colours (n, 3) after a LUT, a save at 8 bits, and the inverse at 8 bits."""
    back = apply(apply(codes[None], lut), inverse)[0]
    error = float(((back.astype(float) - codes) ** 2).mean()) / 255**2
    return min(-10 * np.log10(max(error, 1e-12)), MAX_ROUND_TRIP_DB)


def photo_codes(folder: Path) -> np.ndarray:
    """Return pixels (n, 3) of every photo in a folder, the same number of each."""
    from PIL import Image

    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
    rng = np.random.default_rng(7)
    each = -(-_PIXELS // len(paths))
    return np.concatenate(
        [rng.permutation(np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3))[:each] for path in paths]
    )


def _as_codes(colors: FloatArray) -> np.ndarray:
    return np.rint(colors * 255).astype(np.uint8)


def main() -> None:
    """Print the table; the last lines are the disagreements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("luts", nargs="*", type=Path, help="LUT files, or folders of them")
    parser.add_argument("--photos", type=Path, help="a folder of photographs")
    parser.add_argument("--size", type=int, help="lattice points an axis of inverse cubes")
    parser.add_argument("--only", default="", help="only LUTs whose name has this in it")
    options = parser.parse_args()
    files = [
        path
        for place in options.luts
        for path in (sorted(place.rglob("*")) if place.is_dir() else [place])
        if path.suffix.lower() == ".cube"
    ]
    luts = {path.name: read_lut(path) for path in files} | made_luts()
    sets = {"palette": _as_codes(PALETTE_SRGB)}
    if options.photos:
        sets["photos"] = photo_codes(options.photos)
    off: list[str] = []
    for name, lut in luts.items():
        if options.only not in name:
            continue
        start = time.perf_counter()
        inverse = invert_lut(lut, options.size)
        took = time.perf_counter() - start
        line = f"{name[:42]:42s} {took:5.1f} s"
        for where, codes in sets.items():
            verdict = judge_lut(lut, None if where == "palette" else codes / 255)
            real = brought_back_db(codes, lut, inverse.lut)
            wrong = bool(abs(verdict.round_trip_db - real) > 1)
            off += [f"{where}: {name}"] * wrong
            line += (
                f"  {where} {verdict.round_trip_db:6.2f} judged {real:6.2f} real {'***' if wrong else '   '}"
            )
            line += f" fold {verdict.fold_share:6.2%} clip {verdict.clipped_share:6.2%} {verdict.label[:5]}"
        print(line, f" cannot {inverse.unreachable_share:6.1%} max {inverse.max_error:.3f}", flush=True)
    print(f"\n{len(off)} disagree by more than 1 dB:", *off, sep="\n  ")


if __name__ == "__main__":
    main()
