"""`lutkit probe`: why a network's colours are wrong."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lutkit.probing.probe import ProbeResult

HELP = """Measure a network from image to image, and say why its colours are wrong.

MODEL is a folder that lutkit train wrote, an exported program (.pt2), or
module:name of a Python function or torch module, found from the current folder.
It takes RGB images (B, 3, H, W), 0..1, and returns the same shape.

Measured are: the answer of each output channel to each input channel, at greys
and at saturated colours; what is left of fine detail in each channel; patterns in
flat areas, such as an upsampler's checkerboard; the response to input in another
range; and the drift of each channel in bf16 and int8. Each measure is said in a
sentence. Faults are named with their likely cause; a sound network has none. It
needs no photos: all images are made for the purpose.

Exit code 0: the network was measured, whatever was found. 2: it cannot be read, or
takes or gives something else than RGB images.

\b
Examples:
  lutkit probe models/adaptive-lut
      measure a model of ours
  lutkit probe my_package.model:network --plot probe.png
      measure a torch module, and draw a picture
  lutkit probe exported.pt2 --json
      print all numbers of an exported program
"""

_VAE = "A latent balancer's VAE: a folder, a file or a hub name.  [default: the recorded one]"


def probe(  # noqa: D103  (its help text is set below)
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A folder, a .pt2, or module:name.")],
    vae: Annotated[str, typer.Option("--vae", metavar="VAE", help=_VAE, show_default=False)] = "",
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="PNG", help="Draw the measures into a file.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing picture.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only what is wrong.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all numbers as JSON.")] = False,
) -> None:
    from lutkit.cli.arguments import require_no_more
    from lutkit.engine.stopping import stopping
    from lutkit.probing.probe import probe as probe_network
    from lutkit.report.progress import shown_progress

    require_no_more(context.args, 1, "one model")
    with stopping(), shown_progress(quiet=quiet or as_json) as on_progress:
        found = probe_network(model, vae=vae, plot=plot, overwrite=overwrite, on_progress=on_progress)
    _summarize(found, quiet=quiet, as_json=as_json)


probe.__doc__ = HELP


def _summarize(found: "ProbeResult", *, quiet: bool, as_json: bool) -> None:
    import json

    from lutkit.report.console import PlainConsole

    console = PlainConsole()
    if as_json:
        console.out(json.dumps(found.to_dict()))
        return
    if not quiet:
        for sentence in found.sentences:
            console.print(sentence, soft_wrap=True)
        if not found.findings:
            console.print("Nothing stands out.")
    for finding in found.findings:
        console.print(f"Found: {finding.name}. {finding.sentence}", soft_wrap=True)
    if found.plot is not None and not quiet:
        console.print(f"Picture: {found.plot}.", soft_wrap=True)
