"""A sheet of pairs before and after balancing: input, the result of each model, and the truth.

    python scripts/balance_sheet.py data/pairs sheet.png --model models/adaptive-lut

The pairs are of the split `test`, whose photos no training has seen; each photo comes once. Below each image
stands its mean delta E 2000 to the truth.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import lutkit
from lutkit.balancing.latent_unet import LatentUnet
from lutkit.balancing.models import load_model
from lutkit.color.picture_difference import mean_delta_e_2000_of_codes
from lutkit.photos.decoding import Pixels
from lutkit.report.sheet import GAP_PX, LINE_PX, SHEET_INK, SHEET_PAPER, sheet_font
from lutkit.synthesis.pairs import Pairs

PICTURE_PX = 200


def main(arguments: list[str] | None = None) -> None:
    options = options_of(arguments)
    try:
        names = [Path(model).name for model in options.model]
        if len({*names, "input", "truth"}) < len(names) + 2:
            raise lutkit.LutkitError(f"two columns of one name: {', '.join(names)}", remedy="rename a folder")
        models = {
            Path(model).name: lutkit.load_balancer(model, vae=options.vae if needs_vae(model) else "")
            for model in options.model
        }
        pairs = lutkit.pairs(options.data, split=options.split)
        rows = []
        for number in chosen(pairs, options.rows):
            pair = pairs.read(number)
            row = {"input": pair.input}
            for name, model in models.items():
                row[name] = lutkit.balance(pair.input, model, passes=options.passes)
            rows.append(row | {"truth": pair.target})
    except lutkit.LutkitError as error:
        sys.exit(f"balance_sheet: {error}")
    Image.fromarray(sheet(rows)).save(options.sheet)
    for name in ("input", *models):
        found = [difference(row[name], row["truth"]) for row in rows]
        print(f"{name}: mean delta E 2000 {np.mean(found):.2f}, median {np.median(found):.2f}")
    print(f"{options.sheet}: {len(rows)} pairs of the split {options.split}")


def needs_vae(model: str) -> bool:
    """Return whether a model works on latents."""
    return isinstance(load_model(model), LatentUnet)


def chosen(pairs: Pairs, count: int) -> list[int]:
    """Return the numbers of the first pairs of as many photos."""
    first: dict[str, int] = {}
    for number in range(len(pairs)):
        first.setdefault(pairs.read(number).metadata.source.path, number)
        if len(first) == count:
            break
    return list(first.values())


def difference(image: Pixels, truth: Pixels) -> float:
    """Return the mean delta E 2000 of two images."""
    return mean_delta_e_2000_of_codes(image, truth)


def sheet(rows: list[dict[str, Pixels]]) -> Pixels:
    """Draw rows of images with their names and differences from the truth."""
    cell = PICTURE_PX + GAP_PX
    width, height = len(rows[0]) * cell + GAP_PX, len(rows) * (cell + LINE_PX) + GAP_PX
    page = Image.new("RGB", (width, height), SHEET_PAPER)
    draw, font = ImageDraw.Draw(page), sheet_font()
    for place, row in enumerate(rows):
        top = GAP_PX + place * (cell + LINE_PX)
        for column, (name, pixels) in enumerate(row.items()):
            left = GAP_PX + column * cell
            picture = Image.fromarray(pixels).resize((PICTURE_PX, PICTURE_PX), Image.Resampling.LANCZOS)
            page.paste(picture, (left, top))
            text = name if name == "truth" else f"{name}: {difference(pixels, row['truth']):.1f}"
            draw.text((left, top + PICTURE_PX + 2), text, SHEET_INK, font)
    return np.asarray(page)


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help="a dataset of pairs")
    parser.add_argument("sheet", type=Path, help="the PNG to write")
    parser.add_argument("--model", action="append", required=True, help="a model; may be repeated")
    parser.add_argument("--vae", default="", help="the VAE of latent balancers")
    parser.add_argument("--split", default="test")
    parser.add_argument("--rows", type=int, default=12)
    parser.add_argument("--passes", type=int, default=1)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
