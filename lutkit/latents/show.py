"""The output of `lutkit encode-latents` and `decode-latents`: notes and summaries."""

import json
from collections.abc import Mapping

from rich.table import Table

from lutkit.dataset.json_values import Json
from lutkit.dataset.latent_index import Encoding
from lutkit.documents import Fields, refused_as
from lutkit.errors import DatasetError
from lutkit.latents.encode import EncodedFolder
from lutkit.latents.encoded import DecodeResult, EncodeResult, mean_quality, summed
from lutkit.latents.vae_classes import class_of
from lutkit.report.console import PlainConsole
from lutkit.report.wording import size_text, time_text
from lutkit.synthesis.summary import Rows

_SHOWN = 5


def print_summary(result: EncodeResult, *, quiet: bool, as_json: bool) -> None:
    """Print the summary."""
    if as_json:
        PlainConsole().out(json.dumps(result.to_dict()))
        return
    title = "Done already" if result.encoded.stats is None else "Done"
    table = Table(title=title, show_header=False, title_justify="left")
    for name, text in encoded_rows(result.encoded):
        table.add_row(name, text)
    console = PlainConsole(quiet=quiet)
    console.print(table)
    console.print(next_line(result.encoded), soft_wrap=True)


def print_decoded(found: DecodeResult, *, quiet: bool, as_json: bool) -> None:
    """Print how near decodings are to what was encoded."""
    console = PlainConsole(quiet=quiet and not as_json)
    if as_json:
        console.out(json.dumps(found.to_dict()))
        return
    console.print(f"{found.file or found.folder}: {found.title}.", soft_wrap=True)
    measured = [one.fidelity for one in found.decodings if one.fidelity is not None]
    if measured:
        decibels = sorted(near.psnr for near in measured)
        mean = sum(near.delta_e_2000 for near in measured) / len(measured)
        spread = f"{decibels[0]:.1f} to {decibels[-1]:.1f}"
        console.print(
            f"PSNR {sum(decibels) / len(decibels):.1f} dB ({spread}), delta E 2000 {mean:.2f} on average.",
            soft_wrap=True,
        )
    if found.not_finite:
        of_all = f"{found.not_finite:,} of {found.decoded:,} decodings"
        console.print(f"{of_all} are not finite: black there, and not measured.")


def ready_lines(encoding: Encoding) -> list[str]:
    """Return lines with the dtype, the device and the shape, and the result of each dtype that was tried."""
    shape = " x ".join(str(length) for length in encoding.latent_shape)
    first = f"Encoding in {encoding.dtype} on {encoding.device}, to {shape}."
    return [first, *(f"  {_trial_text(row)}" for row in encoding.trials)]


def encoded_rows(result: EncodedFolder) -> Rows:
    """Return the summary of a run as (name, text) rows."""
    encoding, records = result.index.encoding, result.records
    samples = sum(record.file.samples for record in records)
    size = sum(record.file.bytes for record in records)
    shards = "1 shard" if len(records) == 1 else f"{len(records):,} shards"
    shape = " x ".join(str(length) for length in encoding.latent_shape)
    also = "; and mirrored" if result.index.mirrored else ""
    vae = result.index.vae
    at = f" at {vae.revision[:12]}" if vae.revision else ""
    scaling = f"scaling {vae.scaling_factor:g}, shift {vae.shift_factor:g} (not applied)"
    if vae.latents_mean:
        scaling = "scaling by means and deviations of channels (not applied)"
    elif class_of(vae.config).scaling == "applied":
        scaling = "scaled by the model"
    vae_text = f"{vae.name}{at}, {scaling}"
    rows = [
        ("samples", f"{samples:,} in {shards}, {size_text(size)}"),
        ("fields", f"{', '.join(result.index.fields)}: {shape}, {encoding.store_dtype}{also}"),
        ("VAE", vae_text),
        ("computed in", f"{encoding.dtype} on {encoding.device}, fed {encoding.input_range}"),
    ]
    if quality := mean_quality(result):
        count = summed(result, "decoded")
        of = "of one image" if count == 1 else f"mean of {count:,} images"
        rows.append(("decoded", f"PSNR {quality[0]:.1f} dB, delta E 2000 {quality[1]:.1f} ({of})"))
    if broken := summed(result, "decoded_not_finite"):
        images = "one image" if broken == 1 else f"{broken:,} images"
        rows.append(("not finite", f"{images} decoded to NaN or infinity, even in float32"))
    if shared := summed(result, "shared"):
        rows.append(("shared", f"{shared:,} images occurred again and were not encoded again"))
    if again := summed(result, "again_in_float32"):
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


def next_line(result: EncodedFolder) -> str:
    """Return a line with the folder of the latents and the command that shows some of them."""
    # Only hub names are recorded, and only pairs are looked for.
    vae = "" if result.index.vae.revision else " --vae VAE"
    images = "" if result.index.source.get("kind") == "pairs" else " --images SOURCE"
    return f"In {result.folder}; `lutkit decode-latents {result.folder}{vae}{images}` shows some."


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
        off = trial.number("l2_mean")
        if row.get("sigmas") is None:  # of points, which have no variance
            return f"{rate}, latents off by {off:.2g} (L2 ratio){decodes}{taken}"
        sigmas, nats = trial.number("sigmas"), trial.number("nats")
        return (
            f"{rate}, means off by {off:.2g} (L2 ratio; {sigmas:.2g} standard deviations),"
            f" {nats:.3g} nats{decodes}{taken}"
        )
