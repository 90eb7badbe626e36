"""`lutkit decode-latents`: a sheet that shows what latents decode to, or a picture of each."""

from pathlib import Path
from typing import Annotated

import typer

HELP = """Decode latents: some beside the photos they were made from, or each to a file.

DIR is a folder that `lutkit encode-latents` wrote. Samples from all parts of it
are decoded from the means of their posteriors. The sheet shows the photo, the
decoding and their difference, with PSNR and mean delta E 2000. A dataset of
pairs is found if it is named `pairs` and lies beside DIR; otherwise name the
photos with --images. Without photos, only decodings are shown.

If --out names a folder, it gets KEY.png for each latent, or KEY.FIELD.png if
samples have several. DIR may then also hold latents that a model predicted: .npy
files (one, a folder or a pattern), or tars of them, (C, h, w) or (2C, h, w).

\b
Examples:
  lutkit decode-latents -o sheet.png
      decode data/latents, with the photos of data/pairs
  lutkit decode-latents DIR --vae VAE -o sheet.png
      name the VAE's files; this is necessary unless the VAE came from the hub
  lutkit decode-latents DIR --images "in/*.tar" --n 20 -o sheet.png
      for latents of plain tars or photos, name the source that was encoded
  lutkit decode-latents predicted --vae VAE --scaled -o pictures
      decode all .npy files in a folder, scaled as a network gets them
"""

_N = "Number of samples.  [default: 8 on a sheet; all into a folder]"
_SCALED = "Predicted latents are scaled as a network gets them."
_RANGE = "Range that predicted latents decode to: auto (as the VAE's class was made for), -1,1 or 0,1."
_VAE = "A folder, a name on the hub, or a .safetensors file.  [default: the recorded name on the hub]"
_IMAGES = "The photos that were encoded.  [default: `pairs` beside DIR]"


def decode_latents(  # noqa: D103  (its help text is set below)
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The latents.")] = Path("data/latents"),
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="PATH", help="A sheet (.png), or a folder of pictures.")
    ] = Path("latents.png"),
    n: Annotated[int | None, typer.Option("--n", metavar="N", min=1, help=_N, show_default=False)] = None,
    vae: Annotated[str, typer.Option("--vae", metavar="VAE", help=_VAE, show_default=False)] = "",
    vae_config: Annotated[
        Path | None,
        typer.Option("--vae-config", metavar="FILE", help="For a .safetensors file: its config.json."),
    ] = None,
    images: Annotated[str, typer.Option("--images", metavar="SOURCE", help=_IMAGES, show_default=False)] = "",
    scaled: Annotated[bool, typer.Option("--scaled", help=_SCALED)] = False,
    input_range: Annotated[str, typer.Option("--input-range", help=_RANGE)] = "auto",
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:1.")] = "cpu",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the measures as JSON.")] = False,
) -> None:
    from lutkit.cli.arguments import require_no_more
    from lutkit.engine.stopping import stopping
    from lutkit.latents.latents import decode_latents as decode_folder
    from lutkit.report.progress import shown_progress

    require_no_more(context.args, 1, "one folder")
    with stopping(), shown_progress(quiet=quiet or as_json) as on_progress:
        found = decode_folder(
            folder,
            out,
            n=n,
            vae=vae,
            vae_config=vae_config,
            images=images,
            scaled=scaled,
            input_range=input_range,
            device=device,
            overwrite=overwrite,
            on_progress=on_progress,
        )
    from lutkit.latents.show import print_decoded

    print_decoded(found, quiet=quiet, as_json=as_json)


decode_latents.__doc__ = HELP
