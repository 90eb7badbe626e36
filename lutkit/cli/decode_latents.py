"""`lutkit decode-latents`: a sheet that shows what latents decode to."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lutkit.latents.decode import Decoding

HELP = """Decode some latents and show them beside the photos they were made from.

DIR is a folder that `lutkit encode-latents` wrote. Samples from all over it are
decoded from the means of their posteriors. The sheet shows the photo, the
decoding and their difference, with PSNR and mean delta E 2000. The photos of a
dataset of pairs are found if it is named `pairs` and lies beside DIR; otherwise
name them with --images. Without photos, only decodings are shown.

\b
Examples:
  lutkit decode-latents -o sheet.png
      decode data/latents, with the photos of data/pairs
  lutkit decode-latents DIR --vae VAE -o sheet.png
      name the VAE's files; only a name on the hub is recorded
  lutkit decode-latents DIR --images "in/*.tar" --n 20 -o sheet.png
      latents of plain tars or of photos: name what was encoded
"""

_VAE = "A folder, a name on the hub, or a .safetensors file.  [default: the recorded name on the hub]"
_IMAGES = "The photos that were encoded.  [default: `pairs` beside DIR]"


def decode_latents(  # noqa: D103  (its help text is set below)
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The latents.")] = Path("data/latents"),
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The sheet, a PNG.")] = Path(
        "latents.png"
    ),
    n: Annotated[int, typer.Option("--n", metavar="N", min=1, max=200, help="Number of samples.")] = 8,
    vae: Annotated[str, typer.Option("--vae", metavar="VAE", help=_VAE, show_default=False)] = "",
    vae_config: Annotated[
        Path | None,
        typer.Option("--vae-config", metavar="FILE", help="For a .safetensors file: its config.json."),
    ] = None,
    images: Annotated[str, typer.Option("--images", metavar="SOURCE", help=_IMAGES, show_default=False)] = "",
    device: Annotated[str, typer.Option("--device", help="cpu, cuda or cuda:1.")] = "cpu",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the measures as JSON.")] = False,
) -> None:
    from lutkit.cli.arguments import require_no_more
    from lutkit.dataset.outputs import require_picture
    from lutkit.extras import require_installed

    require_no_more(context.args, 1, "one folder")
    require_installed(("torch", "diffusers", "safetensors", "webdataset"), "latents")
    require_picture(out, overwrite=overwrite)

    from rich.progress import Progress

    from lutkit.dataset.atomic import write_whole
    from lutkit.engine.stopping import stopping
    from lutkit.latents.decode import decode_some, find_images, load_vae_of, open_latents
    from lutkit.latents.devices import plain_device_errors
    from lutkit.latents.sheet import draw_latent_sheet
    from lutkit.photos.encoding import encode_image
    from lutkit.report.console import PlainConsole

    with stopping(), plain_device_errors():
        index = open_latents(folder)
        opened = find_images(folder, index, images)
        loaded = load_vae_of(index, vae, vae_config, device)
        total = sum(file.samples for file in index.shards.values())
        found: list[Decoding] = []
        console = PlainConsole(quiet=quiet or as_json)
        with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
            bar = progress.add_task("latents", total=min(n, total) * len(index.fields))
            for decoding in decode_some(folder, index, n, loaded, opened):
                found.append(decoding)
                progress.advance(bar)
        photos = "" if opened else "; no photos: name them with --images"
        begun = "" if index.complete else " of a folder that is not finished"
        title = f"{index.vae.name}, {min(n, total):,} of {total:,} samples{begun}{photos}"
        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(out, encode_image(draw_latent_sheet(found, title), "png", 95))
    if as_json or not quiet:
        _show(found, out, title, as_json=as_json)


decode_latents.__doc__ = HELP


def _show(found: "list[Decoding]", out: Path, title: str, *, as_json: bool) -> None:
    import json

    from lutkit.report.console import PlainConsole

    console = PlainConsole()
    broken = sum(not one.finite for one in found)
    if as_json:
        # Null where the decoding is not finite.
        rows = [
            {
                "key": one.key,
                "field": one.field,
                "psnr": one.fidelity.psnr if one.fidelity else None,
                "delta_e_2000": one.fidelity.delta_e_2000 if one.fidelity else None,
            }
            for one in found
            if one.photo is not None
        ]
        told = {"file": str(out), "decoded": len(found), "not_finite": broken, "measured": rows}
        console.out(json.dumps(told))
        return
    measured = [one.fidelity for one in found if one.fidelity is not None]
    console.print(f"{out}: {title}.", soft_wrap=True)
    if measured:
        decibels = sorted(near.psnr for near in measured)
        mean = sum(near.delta_e_2000 for near in measured) / len(measured)
        spread = f"{decibels[0]:.1f} to {decibels[-1]:.1f}"
        console.print(
            f"PSNR {sum(decibels) / len(decibels):.1f} dB ({spread}), delta E 2000 {mean:.2f} on average.",
            soft_wrap=True,
        )
    if broken:
        console.print(
            f"{broken:,} of {len(found):,} decodings are not finite: black there, and not measured."
        )
