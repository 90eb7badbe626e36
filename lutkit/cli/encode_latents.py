"""`lutkit encode-latents`: images become posteriors of a VAE."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lutkit.latents.ranks import Ranks

HELP = """Encode images to the posteriors of a VAE: mean and log-variance.

SOURCE is a dataset that `lutkit synth` wrote; WebDataset tars (one, a folder or
a pattern in quotes), with --fields for the images; or photos, from which
squares of --size are cut at the centre. Each image becomes KEY.FIELD.npy with
the shape (2C, h, w): channels 0 to C-1 are means, the others log-variances. They
are unscaled; the VAE's scaling and shift are in dataset.json. JSON metadata is
copied.

VAE is a folder that diffusers saved, a name on the Hugging Face hub, or a
.safetensors file with --vae-config. Any AutoencoderKL works. Pickled weights
are not read.

The fast dtypes are tried on the first images. One is used if its means are
within 3% of float32's; the errors are printed and recorded. To resume a run
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
_RANGE = "Range of the VAE's input: -1,1 or 0,1."
_DTYPE = "Precision: auto, fp32, bf16 or fp16."
_STORE = "Precision of the stored files: fp32 or fp16."
_BATCH = "Images per batch; on GPUs at most 254 of 256 px.  [default: found by trying]"
_DEVICES = "Several GPUs, such as `0,1`: one process each; they share the shards."


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
    dtype: Annotated[str, typer.Option("--dtype", help=_DTYPE)] = "auto",
    store_dtype: Annotated[str, typer.Option("--store-dtype", help=_STORE)] = "fp32",
    input_range: Annotated[str, typer.Option("--input-range", help=_RANGE)] = "-1,1",
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:1.")] = "auto",
    devices: Annotated[str, typer.Option("--devices", help=_DEVICES, show_default=False)] = "",
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", help=_BATCH, show_default=False),
    ] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="Compile the encoder first.")] = False,
    workers: Annotated[
        int | None,
        typer.Option("--workers", help="Threads that decode.  [default: 1; one per core for GPUs]"),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    from lutkit.cli.arguments import require_choice, require_no_more
    from lutkit.engine.engine import wanted_workers
    from lutkit.extras import require_installed

    require_no_more(context.args, 1, "one source")
    choices = {
        "--dtype": (dtype, ("auto", "fp32", "bf16", "fp16")),
        "--store-dtype": (store_dtype, ("fp32", "fp16")),
        "--input-range": (input_range, ("-1,1", "0,1")),
    }
    for option, (value, known) in choices.items():
        require_choice(option, value, known)
    require_installed(("torch", "diffusers", "safetensors", "huggingface_hub"), "latents")
    numbers = _numbers(devices)
    threads = workers if workers is None else wanted_workers(workers)

    from lutkit.dataset.latent_index import Dtype, InputRange, StoreDtype
    from lutkit.engine.stopping import stopping
    from lutkit.latents.encode import EncodeSettings
    from lutkit.latents.ranks import leave_ranks
    from lutkit.latents.show import encode_showing, print_summary
    from lutkit.latents.sources import open_source
    from lutkit.latents.vae_files import find_vae

    names: dict[str, Dtype] = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
    stored: StoreDtype = "float32" if store_dtype == "fp32" else "float16"
    fed: InputRange = "0,1" if input_range == "0,1" else "-1,1"
    with stopping():
        own_device, ranks = _device_and_rank(device, numbers)
        wanted = tuple(name.strip() for name in fields.split(",") if name.strip())
        opened = open_source(source, wanted, size)
        files = find_vae(vae, revision=revision, config=vae_config)
        settings = EncodeSettings(
            dtype=names.get(dtype),
            store_dtype=stored,
            input_range=fed,
            device=own_device,
            batch=batch_size,
            compiled=compiled,
            threads=threads,
        )
        result = encode_showing(opened, files, settings, out, ranks=ranks, quiet=quiet or as_json)
        leave_ranks(ranks)
    if ranks.rank == 0:
        print_summary(result, quiet=quiet, as_json=as_json)
        if result.missing:
            raise typer.Exit(1)


encode_latents.__doc__ = HELP


def _numbers(devices: str) -> tuple[int, ...]:
    from lutkit.errors import LutkitError

    parts = [part.strip() for part in devices.split(",") if part.strip()]
    if not all(part.isdecimal() for part in parts) or len(set(parts)) < len(parts):
        raise LutkitError(f"{devices!r} are no numbers of GPUs", where="--devices", remedy="write 0,1")
    return tuple(int(part) for part in parts)


def _device_and_rank(device: str, numbers: tuple[int, ...]) -> "tuple[str, Ranks]":
    """This process's device and rank; with several devices, this process only waits for others."""
    import os

    import torch

    from lutkit.errors import LutkitError
    from lutkit.latents.devices import require_device
    from lutkit.latents.ranks import join_ranks, run_on_devices

    kind = device
    if numbers and ":" in device:
        what = f"--device {device} beside --devices"
        raise LutkitError(what, remedy="give --device cuda, or leave it out")
    if device == "auto":
        kind = "cuda" if numbers or torch.cuda.is_available() else "cpu"
    require_device(kind)
    is_cpu = kind == "cpu"
    for number in () if is_cpu else numbers:
        require_device(f"cuda:{number}")
    if len(numbers) > 1 and "WORLD_SIZE" not in os.environ:
        threads = max(torch.get_num_threads() // len(numbers), 1) if is_cpu else None
        raise typer.Exit(run_on_devices(len(numbers), threads))
    ranks = join_ranks()
    if is_cpu or kind != "cuda":
        return kind, ranks
    return f"cuda:{numbers[ranks.local % len(numbers)] if numbers else ranks.local}", ranks
