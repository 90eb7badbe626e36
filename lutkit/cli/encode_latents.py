"""`lutkit encode-latents`: images become posteriors of a VAE."""

from pathlib import Path
from typing import Annotated

import typer

HELP = """Encode images to the posteriors of a VAE: mean and log-variance.

SOURCE is a dataset that `lutkit synth` wrote; WebDataset tars (one, a folder or
a pattern in quotes), with --fields for the images; or photos, from which
squares of --size are cut at the centre. Each image becomes KEY.FIELD.npy with
the shape (2C, h, w): channels 0 to C-1 are means, the others log-variances. VAEs
without a posterior give points, (C, h, w). They are unscaled; the VAE's scaling
is in dataset.json. JSON metadata is copied.

VAE is a folder that diffusers saved, a name on the Hugging Face hub, or a
.safetensors file with --vae-config: the VAEs of Stable Diffusion, FLUX.1 and .2,
Qwen-Image, Wan, Hunyuan image and SANA, TAESD, and representation autoencoders.
Pickled weights are not read.

The fast dtypes are tried on the first images. A fast dtype is used if its means
are within 3% of float32's; the errors are printed and recorded. On GPUs, the
encoder is compiled if that saves time for so many images. To resume a run
that was stopped, repeat the command. Exit code 1: some samples have no latents;
they are listed in rejects.jsonl.

\b
Examples:
  lutkit encode-latents
      encode data/pairs to data/latents, with stabilityai/sd-vae-ft-mse
  lutkit encode-latents DIR --vae VAE --out data/latents
      use your own VAE
  lutkit encode-latents "in/*.tar" --fields jpg --size 256 --out data/latents
      encode plain WebDataset tars
  lutkit encode-latents IN --size 512 --vae v.safetensors --vae-config v.json
      encode a folder of photos, with a VAE in one file
  lutkit encode-latents --devices 0,1,2,3
      use four GPUs; or start it with torchrun
"""

_FIELDS = "The images to encode: `input,target`; in tars `jpg`, `x.jpg`.  [default: all]"
_SIZE = "Side of the squares that are cut from photos and tars."
_RANGE = "Range of the VAE's input: auto (as its class was made for), -1,1 or 0,1."
_MIRROR = "Store the latents of the mirrored images, too, as KEY.FIELD.mirrored.npy."
_DTYPE = "Precision: auto, fp32, bf16 or fp16."
_STORE = "Precision of the stored files: fp32 or fp16."
_BATCH = "Images per batch; on GPUs at most 254 of 256 px.  [default: found by trying]"
_COMPILE = "Compile the encoder.  [default: on GPUs, if that saves time]"
_DEVICES = "Several GPUs, such as `0,1`; each has a process, and they divide the shards."


def encode_latents(  # noqa: D103  (its help text is set below)
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The images to encode.")] = "data/pairs",
    vae: Annotated[
        str, typer.Option("--vae", metavar="VAE", help="A folder, a name on the hub, or a .safetensors file.")
    ] = "stabilityai/sd-vae-ft-mse",
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Where latents go.")] = Path(
        "data/latents"
    ),
    revision: Annotated[str, typer.Option("--revision", help="On the hub: a branch, tag or commit.")] = "",
    vae_config: Annotated[
        Path | None,
        typer.Option("--vae-config", metavar="FILE", help="For a .safetensors file: its config.json."),
    ] = None,
    fields: Annotated[str, typer.Option("--fields", help=_FIELDS, show_default=False)] = "",
    size: Annotated[int | None, typer.Option("--size", metavar="PX", min=1, help=_SIZE)] = None,
    mirror: Annotated[bool, typer.Option("--mirror", help=_MIRROR)] = False,
    dtype: Annotated[str, typer.Option("--dtype", help=_DTYPE)] = "auto",
    store_dtype: Annotated[str, typer.Option("--store-dtype", help=_STORE)] = "fp32",
    input_range: Annotated[str, typer.Option("--input-range", help=_RANGE)] = "auto",
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:1.")] = "auto",
    devices: Annotated[str, typer.Option("--devices", help=_DEVICES, show_default=False)] = "",
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", help=_BATCH, show_default=False),
    ] = None,
    compiled: Annotated[
        bool | None, typer.Option("--compile/--no-compile", help=_COMPILE, show_default=False)
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", help="Threads that decode.  [default: 1; one per core for GPUs]"),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    import os
    import sys

    from lutkit.cli.arguments import require_no_more
    from lutkit.engine.stopping import stopping
    from lutkit.latents.latents import device_error, device_numbers, require_encodable, run_in_processes
    from lutkit.latents.latents import encode_latents as encode_images
    from lutkit.report.progress import shown_progress

    require_no_more(context.args, 1, "one source")
    require_encodable(dtype=dtype, store_dtype=store_dtype, input_range=input_range)
    with stopping():
        ended = run_in_processes(device, device_numbers(devices), sys.argv[1:])
    if ended is not None:
        if ended.crashed:
            raise device_error(ended, device, device_numbers(devices))
        raise typer.Exit(ended.code)  # the process has printed what there is to say
    hidden = quiet or as_json or os.environ.get("RANK", "0") != "0"
    with stopping(), shown_progress(quiet=hidden, unit="samples") as on_progress:
        found = encode_images(
            source,
            out,
            vae=vae,
            revision=revision,
            vae_config=vae_config,
            fields=fields,
            size=size,
            mirror=mirror,
            dtype=dtype,
            store_dtype=store_dtype,
            input_range=input_range,
            device=device,
            devices=devices,
            batch_size=batch_size,
            compile=compiled,
            workers=workers,
            on_progress=on_progress,
        )
    if found.rank == 0:
        from lutkit.latents.show import print_summary

        print_summary(found, quiet=quiet, as_json=as_json)
        if found.missing:
            raise typer.Exit(1)


encode_latents.__doc__ = HELP
