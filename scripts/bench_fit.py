"""Quality and speed of learning a LUT from a 224 x 224 pair: lutkit and two classical methods.

`python scripts/bench_fit.py PHOTOS LUTS` prints a row for each LUT of a folder, applied to photos of another
folder. The polynomial has all monomials up to degree 5, fitted by least squares for each channel. The MLP has
one hidden layer of 32 units, trained by L-BFGS. All methods learn from the pixels that are not held out. They
are measured on the held-out pixels, and on the whole photo, which is larger; for the whole photo lutkit's LUT
was learned from all pixels of the pair. The MLP is left out if torch is not installed.
"""

import argparse
import itertools
import time
from pathlib import Path

import numpy as np
from PIL import Image

from lutkit import apply
from lutkit.color.difference import delta_e_2000
from lutkit.color.lab import codes_to_lab
from lutkit.lut.fit import fit_pixels, held_out
from lutkit.lutfiles.library import read_library

SIZE_PX = 224
PHOTOS_A_LUT = 1  # the MLP trains for about 15 s on each
MLP_STEPS = 300
_PART = 1 << 17


def fit_rows(photos: Path, luts: Path, photos_a_lut: int = PHOTOS_A_LUT) -> list[dict]:
    """Return rows of `name`, mean delta E 2000 on held-out pixels and the whole photo, and seconds of a fit.

    Args:
        photos: a folder, with or without subfolders.
        luts: a folder of LUT files.
        photos_a_lut: how many photos each LUT is tried on, spread over the folder; a row has their means.
    """
    pictures = sorted(p for p in photos.rglob("*") if p.suffix.lower() in (".png", ".jpg", ".jpeg"))
    fit_pixels(*[np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)] * 2)  # compiles
    rows, turn = [], 0
    for file in read_library(luts):
        measured = []
        for _ in range(photos_a_lut):
            # The step has no common factor with most counts, so that every photo is used.
            measured.append(_measured(file.lut, pictures[turn * 37 % len(pictures)]))
            turn += 1
        means = {key: float(np.mean([row[key] for row in measured])) for key in measured[0]}
        rows.append({"name": Path(file.path).stem[:36], **means})
    keys = [key for key in rows[0] if key != "name"]
    rows.append({"name": "mean", **{key: float(np.mean([row[key] for row in rows])) for key in keys}})
    return rows


def _measured(lut, path: Path) -> dict[str, float]:
    photo = Image.open(path).convert("RGB")
    before = np.array(photo.resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC))
    after, whole = apply(before, lut), np.array(photo)
    held, wanted = held_out(before.shape), apply(whole, lut)
    start = time.perf_counter()
    learned = fit_pixels(before, after)
    row = {"lutkit_s": time.perf_counter() - start, "lutkit_held_out": learned.mean_delta_e}
    row["lutkit_photo"] = _delta_e(apply(whole, learned.lut), wanted)
    for name, learn in (("polynomial", _polynomial), ("mlp", _mlp)):
        start = time.perf_counter()
        try:
            function = learn(before[~held] / 255, after[~held] / 255)
        except ImportError:
            continue
        row[f"{name}_s"] = time.perf_counter() - start
        row[f"{name}_held_out"] = _delta_e(_through(function, before[held]), after[held])
        row[f"{name}_photo"] = _delta_e(_through(function, whole), wanted)
    return row


def _monomials(colors):
    columns = [np.ones(len(colors))]
    for degree in range(1, 6):
        choices = itertools.combinations_with_replacement(range(3), degree)
        columns.extend(np.prod(colors[:, list(axes)], axis=1) for axes in choices)
    return np.stack(columns, axis=1)


def _polynomial(colors, goals):
    coefficients = np.linalg.lstsq(_monomials(colors), goals)[0]
    return lambda some: _monomials(some) @ coefficients


def _mlp(colors, goals):
    import torch

    torch.manual_seed(0)
    layers = torch.nn.Linear(3, 32), torch.nn.Tanh(), torch.nn.Linear(32, 3)
    model = torch.nn.Sequential(*layers).double()
    inputs, outputs = torch.from_numpy(colors) * 2 - 1, torch.from_numpy(goals)
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=MLP_STEPS, history_size=20, tolerance_grad=1e-9,
        tolerance_change=1e-12, line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure():
        optimizer.zero_grad()
        loss = ((model(inputs) - outputs) ** 2).mean()
        loss.backward()
        return loss

    optimizer.step(closure)

    def function(some):
        with torch.no_grad():
            return model(torch.from_numpy(some) * 2 - 1).numpy()

    return function


def _through(function, pixels):
    colors = pixels.reshape(-1, 3) / 255
    parts = [function(colors[start : start + _PART]) for start in range(0, len(colors), _PART)]
    return np.rint(np.clip(np.concatenate(parts), 0, 1) * 255).astype(np.uint8).reshape(pixels.shape)


def _delta_e(some, others) -> float:
    return float(delta_e_2000(codes_to_lab(some), codes_to_lab(others)).mean())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("luts", type=Path)
    parser.add_argument("--photos-a-lut", type=int, default=PHOTOS_A_LUT)
    options = parser.parse_args()
    rows = fit_rows(options.photos, options.luts, options.photos_a_lut)
    names = [name for name in ("lutkit", "polynomial", "mlp") if f"{name}_s" in rows[0]]
    title = "".join(f"{f'{name}: s, held-out, photo':>34}" for name in names)
    print(f"{'mean delta E 2000':36}{title}")
    for row in rows:
        cells = (
            f"{row[f'{name}_s']:18.2f}{row[f'{name}_held_out']:8.3f}{row[f'{name}_photo']:8.3f}"
            for name in names
        )
        print(f"{row['name']:36}{''.join(cells)}")
    beaten = [
        row["name"] for row in rows for name in names[1:] for where in ("held_out", "photo")
        if row[f"{name}_{where}"] < row[f"lutkit_{where}"]
    ]  # fmt: skip
    print("Worse than a peer on:", ", ".join(dict.fromkeys(beaten)) or "none")


if __name__ == "__main__":
    main()
