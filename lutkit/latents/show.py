"""What a run of `lutkit encode-latents` found and came to: lines, rows of a table, and the same as JSON.

Owns the wording. Must not know the terminal.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import cast

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from lutkit.dataset.latent_index import Encoding, Json
from lutkit.latents.decode import Decoding
from lutkit.latents.encode import EncodeResult
from lutkit.report.sheet import GAP_PX, LINE_PX, SHEET_FAINT, SHEET_INK, SHEET_PAPER, fitted, sheet_font
from lutkit.report.wording import size_text, time_text
from lutkit.synthesis.summary import Rows

_SHOWN = 5


def ready_lines(encoding: Encoding) -> list[str]:
    """On what and in what it is encoded, and what each dtype that was tried came to."""
    shape = " x ".join(str(length) for length in encoding.latent_shape)
    first = f"Encoding in {encoding.dtype} on {encoding.device}, to {shape}."
    return [first, *(f"  {_trial_text(row)}" for row in encoding.trials)]


def done_rows(result: EncodeResult) -> Rows:
    """What was encoded, a row a line."""
    encoding, records = result.index.encoding, result.records
    samples = sum(record.file.samples for record in records)
    size = sum(record.file.bytes for record in records)
    shards = "1 shard" if len(records) == 1 else f"{len(records):,} shards"
    shape = " x ".join(str(length) for length in encoding.latent_shape)
    rows = [
        ("samples", f"{samples:,} in {shards}, {size_text(size)}"),
        ("fields", f"{', '.join(result.index.fields)}: {shape}, {encoding.store_dtype}"),
        ("VAE", _vae_text(result)),
        ("computed in", f"{encoding.dtype} on {encoding.device}, fed {encoding.input_range}"),
    ]
    if quality := _quality(result):
        rows.append(
            (
                "decoded",
                f"PSNR {quality[0]:.1f} dB, delta E 2000 {quality[1]:.1f} ({_tried_text(quality[2])})",
            )
        )
    if broken := _total(result, "decoded_not_finite"):
        rows.append(("no numbers", f"{_pictures(broken)} decoded to NaN or infinity, in float32 too"))
    if shared := _total(result, "shared"):
        rows.append(("shared", f"{shared:,} pictures came again and were not encoded again"))
    if again := _total(result, "again_in_float32"):
        rows.append(("overflowed", f"{again:,} pictures, encoded again in float32"))
    if result.spent is not None:
        rows.append(("time", _time_text(result)))
    if result.missing:
        rows.append(("missing", _missing_text(result)))
    return rows


def next_line(result: EncodeResult) -> str:
    """Where the latents are, and the command that shows some of them."""
    # Only hub names are recorded, and only pairs are looked for.
    vae = "" if result.index.vae.revision else " --vae VAE"
    images = "" if result.index.source.get("kind") == "pairs" else " --images SOURCE"
    return f"In {result.folder}; `lutkit decode-latents {result.folder}{vae}{images}` shows some."


def done_json(result: EncodeResult) -> dict[str, object]:
    """What was encoded as JSON values."""
    index, spent, quality = result.index, result.spent, _quality(result)
    return {
        "folder": str(result.folder),
        "samples": sum(record.file.samples for record in result.records),
        "shards": len(result.records),
        "built": 0 if spent is None else len(spent.records),
        "bytes": sum(record.file.bytes for record in result.records),
        "fields": list(index.fields),
        "vae": {"name": index.vae.name, "revision": index.vae.revision, "sha256": index.vae.sha256},
        "dtype": index.encoding.dtype,
        "store_dtype": index.encoding.store_dtype,
        "input_range": index.encoding.input_range,
        "device": index.encoding.device,
        "latent_shape": list(index.encoding.latent_shape),
        "trials": [dict(row) for row in index.encoding.trials],
        "psnr": quality[0] if quality else None,
        "delta_e_2000": quality[1] if quality else None,
        "decoded": _total(result, "decoded"),
        "decoded_not_finite": _total(result, "decoded_not_finite"),
        "pictures": 0 if spent is None else spent.pictures,
        "seconds": 0.0 if spent is None else round(spent.seconds, 3),
        "encoder_share": 0.0 if spent is None else round(spent.busy_s / spent.seconds, 4),
        "batch": 0 if spent is None else spent.batch,
        "missing": result.missing,
        "rejects": [{"path": reject.path, "reason": reject.reason} for reject in result.rejects],
    }


def _trial_text(row: Mapping[str, Json]) -> str:
    rate = f"{row['dtype']}: {row['images_per_s']:.3g} images/s"
    taken = ", taken" if row["taken"] else ""
    if not row["finite"]:
        return f"{rate}, overflows{taken}"
    # What was not decoded was recorded as 0 once, and is null now.
    decodes = f", decodes at {row['psnr']:.2f} dB" if row["psnr"] else ""
    if row["dtype"] == "float32":
        return f"{rate}{decodes}{taken}"
    return (
        f"{rate}, means off by {row['l2_mean']:.2g} (L2 ratio; {row['sigmas']:.2g} standard deviations),"
        f" {row['nats']:.3g} nats{decodes}{taken}"
    )


def _vae_text(result: EncodeResult) -> str:
    vae = result.index.vae
    at = f" at {vae.revision[:12]}" if vae.revision else ""
    return f"{vae.name}{at}, scaling {vae.scaling_factor:g}, shift {vae.shift_factor:g} (not applied)"


def _quality(result: EncodeResult) -> tuple[float, float, int] | None:
    found = [record.summary for record in result.records if record.summary.get("decoded")]
    if not found:
        return None
    psnr, difference = (
        fmean(cast("float", summary[name]) for summary in found) for name in ("psnr", "delta_e_2000")
    )
    return psnr, difference, _total(result, "decoded")


def _tried_text(count: int) -> str:
    return "of one picture" if count == 1 else f"mean of {count:,} pictures"


def _pictures(count: int) -> str:
    return "one picture" if count == 1 else f"{count:,} pictures"


def _total(result: EncodeResult, name: str) -> int:
    return sum(cast("int", record.summary.get(name, 0)) for record in result.records)


def _time_text(result: EncodeResult) -> str:
    spent = result.spent
    assert spent is not None  # the caller has looked
    rate = spent.pictures / max(spent.seconds, 1e-9)
    return (
        f"{time_text(spent.seconds)}, {rate:,.3g} pictures/s in batches of {spent.batch},"
        f" {spent.busy_s / max(spent.seconds, 1e-9):.0%} of it encoding"
    )


def _missing_text(result: EncodeResult) -> str:
    shown = [f"{reject.path}: {reject.reason}" for reject in result.rejects[:_SHOWN]]
    more = len(result.rejects) - len(shown)
    if more > 0:
        shown.append(f"and {more:,} more in {result.folder / 'rejects.jsonl'}")
    return "\n".join([f"{result.missing:,} sample{'' if result.missing == 1 else 's'}", *shown])


# A sheet of decoded latents: photo, decoding and their difference, side by side, for a person to judge.


Pixels = npt.NDArray[np.uint8]

# How much larger differences are shown: good VAEs are a few codes off.
GAIN = 4

_PICTURE_PX = 224
_GREY = 128
_COLUMNS_ALONE = 5  # of decodings that have no photos beside them
_COLUMNS = 2  # of photo, decoding and difference
_HEAD = ("photo", "decoding of the mean", f"difference x {GAIN}; grey is none")


def draw_latent_sheet(decodings: Sequence[Decoding], title: str) -> Pixels:
    """Draw decodings in a grid, with captions.

    Args:
        decodings: at least one; all with photos, or none.
        title: what stands above.
    Returns:
        (H, W, 3) uint8 sRGB.
    """
    beside = decodings[0].photo is not None
    shown = len(_HEAD) if beside else 1
    height = max(_shown_height(one.decoded) for one in decodings)
    columns = min(_COLUMNS if beside else _COLUMNS_ALONE, len(decodings))
    rows = -(-len(decodings) // columns)
    cell_width = shown * (_PICTURE_PX + 2) + 2 * GAP_PX
    cell_height = height + 2 * LINE_PX + GAP_PX
    top = GAP_PX + (2 if beside else 1) * LINE_PX + 6
    sheet = Image.new("RGB", (max(columns * cell_width, 480), top + rows * cell_height), SHEET_PAPER)
    draw, font = ImageDraw.Draw(sheet), sheet_font()
    draw.text((GAP_PX, GAP_PX - 4), fitted(title, sheet.width - 2 * GAP_PX, font), SHEET_INK, font)
    for number, decoding in enumerate(decodings):
        left = GAP_PX + number % columns * cell_width
        if beside and number < columns:
            for place, name in enumerate(_HEAD):
                draw.text((left + place * (_PICTURE_PX + 2), top - LINE_PX - 4), name, SHEET_FAINT, font)
        _draw_one(sheet, decoding, left, top + number // columns * cell_height)
    return np.asarray(sheet)


def difference_picture(photo: Pixels, decoded: Pixels) -> Pixels:
    """`GAIN` times what a decoding is above the photo, about grey; what is beyond black and white is cut.

    Args:
        photo: (H, W, 3) uint8.
        decoded: the same shape.
    """
    difference = decoded.astype(np.int64) - photo
    return np.clip(_GREY + GAIN * difference, 0, 255).astype(np.uint8)


def _draw_one(sheet: Image.Image, decoding: Decoding, left: int, top: int) -> None:
    pictures = [decoding.decoded]
    if decoding.photo is not None:
        pictures = [decoding.photo, decoding.decoded, difference_picture(decoding.photo, decoding.decoded)]
    height = _shown_height(decoding.decoded)
    for place, pixels in enumerate(pictures):
        picture = Image.fromarray(pixels).resize((_PICTURE_PX, height), Image.Resampling.LANCZOS)
        sheet.paste(picture, (left + place * (_PICTURE_PX + 2), top))
    draw, font = ImageDraw.Draw(sheet), sheet_font()
    width = len(pictures) * (_PICTURE_PX + 2) - 2
    below = top + height + 3
    draw.text((left, below), fitted(f"{decoding.key}, {decoding.field}", width, font), SHEET_INK, font)
    if not decoding.finite:
        measure = "not finite: black"
    elif decoding.fidelity is not None:
        measure = f"PSNR {decoding.fidelity.psnr:.1f} dB, delta E 2000 {decoding.fidelity.delta_e_2000:.2f}"
    else:
        return
    # Below a single picture there is no room beside its name.
    below += LINE_PX if decoding.photo is None else 0
    draw.text((left + width - font.getlength(measure), below), measure, SHEET_INK, font)


def _shown_height(pixels: Pixels) -> int:
    return max(round(_PICTURE_PX * pixels.shape[0] / pixels.shape[1]), 1)
