"""The output of `lutkit encode-latents`: progress, notes and the summary, as text and as JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

from rich.table import Table

from lutkit.dataset.json_values import Json
from lutkit.dataset.latent_index import Encoding
from lutkit.documents import Fields, refused_as
from lutkit.errors import DatasetError
from lutkit.latents.encode import EncodeResult, EncodeSettings, encode_latents
from lutkit.latents.pipeline import EncodeListener
from lutkit.latents.ranks import Ranks
from lutkit.latents.sources import ImageSource
from lutkit.latents.vae_files import VaeFiles
from lutkit.report.console import PlainConsole, rated_progress
from lutkit.report.plain_text import tell
from lutkit.report.wording import size_text, time_text
from lutkit.synthesis.summary import Rows

_SHOWN = 5


def encode_showing(
    source: ImageSource,
    files: VaeFiles,
    settings: EncodeSettings,
    folder: Path,
    *,
    ranks: Ranks,
    quiet: bool,
) -> EncodeResult:
    """`encode_latents`, showing on the terminal how it goes."""
    console = PlainConsole(quiet=quiet or ranks.rank > 0)
    with rated_progress(console) as progress:
        bar = progress.add_task("loading the VAE", total=None, rate="")

        def on_start(there: int, total: int) -> None:
            if there:
                console.print(f"{there:,} samples are there already.")
            # Each rank shows its own share.
            left = max(total - there, 0) // ranks.world if total else None
            progress.update(bar, total=left)

        def on_ready(encoding: Encoding) -> None:
            for line in ready_lines(encoding):
                console.print(line, soft_wrap=True)
            progress.reset(bar, description="samples", rate="")

        def on_samples(count: int) -> None:
            speed = progress.tasks[0].speed
            progress.update(bar, advance=count, rate=f"{speed:,.3g} samples/s" if speed else "")

        def on_note(text: str) -> None:
            # Shown even with --quiet: a wrong range spoils every latent, and nothing else reveals it.
            tell(text)

        listener = EncodeListener(on_start, on_ready, on_samples, on_note)
        return encode_latents(source, files, settings, folder, listener, ranks=ranks)


def print_summary(result: EncodeResult, *, quiet: bool, as_json: bool) -> None:
    """Print the summary."""
    if as_json:
        PlainConsole().out(json.dumps(encoded_json(result)))
        return
    title = "Done already" if result.stats is None else "Done"
    table = Table(title=title, show_header=False, title_justify="left")
    for name, text in encoded_rows(result):
        table.add_row(name, text)
    console = PlainConsole(quiet=quiet)
    console.print(table)
    console.print(next_line(result), soft_wrap=True)


def ready_lines(encoding: Encoding) -> list[str]:
    """Return lines with the dtype, the device and the shape, and the result of each dtype that was tried."""
    shape = " x ".join(str(length) for length in encoding.latent_shape)
    first = f"Encoding in {encoding.dtype} on {encoding.device}, to {shape}."
    return [first, *(f"  {_trial_text(row)}" for row in encoding.trials)]


def encoded_rows(result: EncodeResult) -> Rows:
    """What was encoded, a row a line."""
    encoding, records = result.index.encoding, result.records
    samples = sum(record.file.samples for record in records)
    size = sum(record.file.bytes for record in records)
    shards = "1 shard" if len(records) == 1 else f"{len(records):,} shards"
    shape = " x ".join(str(length) for length in encoding.latent_shape)
    vae = result.index.vae
    at = f" at {vae.revision[:12]}" if vae.revision else ""
    vae_text = f"{vae.name}{at}, scaling {vae.scaling_factor:g}, shift {vae.shift_factor:g} (not applied)"
    rows = [
        ("samples", f"{samples:,} in {shards}, {size_text(size)}"),
        ("fields", f"{', '.join(result.index.fields)}: {shape}, {encoding.store_dtype}"),
        ("VAE", vae_text),
        ("computed in", f"{encoding.dtype} on {encoding.device}, fed {encoding.input_range}"),
    ]
    if quality := _quality(result):
        count = _total(result, "decoded")
        of = "of one image" if count == 1 else f"mean of {count:,} images"
        rows.append(("decoded", f"PSNR {quality[0]:.1f} dB, delta E 2000 {quality[1]:.1f} ({of})"))
    if broken := _total(result, "decoded_not_finite"):
        images = "one image" if broken == 1 else f"{broken:,} images"
        rows.append(("not finite", f"{images} decoded to NaN or infinity, even in float32"))
    if shared := _total(result, "shared"):
        rows.append(("shared", f"{shared:,} images occurred again and were not encoded again"))
    if again := _total(result, "again_in_float32"):
        rows.append(("overflowed", f"{again:,} images, encoded again in float32"))
    if result.stats is not None:
        stats, seconds = result.stats, max(result.stats.seconds, 1e-9)
        rate = f"{stats.images / seconds:,.3g} images/s in batches of {stats.batch}"
        busy = f"{stats.busy_s / seconds:.0%} of it encoding"
        rows.append(("time", f"{time_text(stats.seconds)}, {rate}, {busy}"))
    if result.missing:
        lines = [f"{result.missing:,} sample{'' if result.missing == 1 else 's'}"]
        lines += [f"{reject.path}: {reject.reason}" for reject in result.rejects[:_SHOWN]]
        more = len(result.rejects) - _SHOWN
        if more > 0:
            lines.append(f"and {more:,} more in {result.folder / 'rejects.jsonl'}")
        rows.append(("missing", "\n".join(lines)))
    return rows


def next_line(result: EncodeResult) -> str:
    """Where the latents are, and the command that shows some of them."""
    # Only hub names are recorded, and only pairs are looked for.
    vae = "" if result.index.vae.revision else " --vae VAE"
    images = "" if result.index.source.get("kind") == "pairs" else " --images SOURCE"
    return f"In {result.folder}; `lutkit decode-latents {result.folder}{vae}{images}` shows some."


def encoded_json(result: EncodeResult) -> dict[str, object]:
    """What was encoded as JSON values."""
    index, stats, quality = result.index, result.stats, _quality(result)
    return {
        "folder": str(result.folder),
        "samples": sum(record.file.samples for record in result.records),
        "shards": len(result.records),
        "built": 0 if stats is None else len(stats.records),
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
        "pictures": 0 if stats is None else stats.images,
        "seconds": 0.0 if stats is None else round(stats.seconds, 3),
        "encoder_share": 0.0 if stats is None else round(stats.busy_s / stats.seconds, 4),
        "batch": 0 if stats is None else stats.batch,
        "missing": result.missing,
        "rejects": [{"path": reject.path, "reason": reject.reason} for reject in result.rejects],
    }


def _trial_text(row: Mapping[str, Json]) -> str:
    """Return the text of a trial; `dataset.json` may hold it from an earlier run."""
    trial = Fields(row, "encoding.trials.")
    with refused_as(DatasetError, where="dataset.json", remedy="restore it, or encode into another folder"):
        rate = f"{trial.text('dtype')}: {trial.number('images_per_s'):.3g} images/s"
        taken = ", taken" if trial.flag("taken") else ""
        if not trial.flag("finite"):
            return f"{rate}, overflows{taken}"
        # Earlier versions recorded 0 for "not decoded"; now it is null.
        decodes = f", decodes at {trial.number('psnr'):.2f} dB" if row.get("psnr") else ""
        if row["dtype"] == "float32":
            return f"{rate}{decodes}{taken}"
        off, sigmas, nats = (trial.number(name) for name in ("l2_mean", "sigmas", "nats"))
        return (
            f"{rate}, means off by {off:.2g} (L2 ratio; {sigmas:.2g} standard deviations),"
            f" {nats:.3g} nats{decodes}{taken}"
        )


def _quality(result: EncodeResult) -> tuple[float, float] | None:
    """Mean PSNR and delta E 2000 over the shards; None where nothing was decoded."""
    found = [
        (psnr, difference)
        for record in result.records
        if isinstance(psnr := record.summary.get("psnr"), float | int)
        and isinstance(difference := record.summary.get("delta_e_2000"), float | int)
        and record.summary.get("decoded")
    ]
    if not found:
        return None
    return fmean(psnr for psnr, _ in found), fmean(difference for _, difference in found)


def _total(result: EncodeResult, name: str) -> int:
    counts = (record.summary.get(name, 0) for record in result.records)
    return sum(count for count in counts if isinstance(count, int))
