"""`lutkit ab-weights`: from an ab histogram to class-rebalancing weights."""

from pathlib import Path
from typing import Annotated

import typer

HELP = """Turn an ab histogram into the class-rebalancing weights of colorization.

The histogram is added up to the bins of a grid and smoothed over the plane. The
weight of a bin is w = 1 / ((1 - mix) smoothed + mix / Q), for Q bins; rare
colours get large weights. The weights are scaled so that their expectation
under the smoothed prior is 1 or, with --normalise data, so that their mean over
the counted pixels is 1. FILE holds bins, counts, prior, smoothed prior, weights
and settings; numpy.load reads it.

\b
Grids:
  10         rounded to the nearest 10: the 261 bins that sRGB reaches
  zhang313   the 313 published bins, 52 of which hold no sRGB colour
  16         224 cells of 16 units in the disc of radius 128

\b
Examples:
  lutkit ab-weights
      read data/ab/counts.npz, write data/ab/weights.npz
  lutkit ab-weights counts.npz -o weights.npz --plot weights.png
      draw the histogram and the weights as well
  lutkit ab-weights counts.npz --grid zhang313 -o weights.npz --npy DIR
      write pts_in_hull.npy and prior_probs.npy for existing trainers as well
"""


def ab_weights(  # noqa: D103  (its help text is set below)
    context: typer.Context,
    counts: Annotated[Path, typer.Argument(metavar="COUNTS", help="A file that ab-hist wrote.")] = Path(
        "data/ab/counts.npz"
    ),
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where the weights go.")] = Path(
        "data/ab/weights.npz"
    ),
    grid: Annotated[str, typer.Option("--grid", help="10, zhang313 or 16.")] = "10",
    sigma: Annotated[float, typer.Option("--sigma", help="Width of the smoothing, in units of ab.")] = 5.0,
    mix: Annotated[float, typer.Option("--mix", help="Share of the uniform distribution, 0..1.")] = 0.5,
    normalise: Annotated[
        str, typer.Option("--normalise", help="Where the weights average 1: smoothed or data.")
    ] = "smoothed",
    observed: Annotated[bool, typer.Option("--observed", help="Drop the bins without pixels.")] = False,
    npy: Annotated[
        Path | None,
        typer.Option("--npy", metavar="DIR", help="Write two .npy files for other trainers, too."),
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="PNG", help="Draw an image as well.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    import json

    from lutkit.cli.arguments import require_no_more
    from lutkit.report.console import PlainConsole
    from lutkit.statistics.weights import ab_weights as weigh

    require_no_more(context.args, 1, "one file of counts")
    found = weigh(
        counts,
        out,
        grid=grid,
        sigma=sigma,
        mix=mix,
        normalise=normalise,
        observed=observed,
        npy=npy,
        plot=plot,
        overwrite=overwrite,
    )
    console = PlainConsole()
    if as_json:
        console.out(json.dumps(found.to_dict()))
        return
    bins = "1 bin" if found.bins == 1 else f"{found.bins} bins"
    console.print(
        f"{out}: {bins} of grid {found.grid}, {found.without_pixels} of them"
        f" without a pixel, from {found.pixels:,} pixels.",
        soft_wrap=True,
    )
    every = found.weights
    for name, number in (("least", every.weights.argmin()), ("most", every.weights.argmax())):
        a, b = every.grid.bins[number]
        empty = "" if every.counts[number] else ", where no pixel fell"
        console.print(f"{name:>5}: {every.weights[number]:.4g} at a {a:.0f}, b {b:.0f}{empty}")
    if found.also:
        console.print(f"Also: {', '.join(map(str, found.also))}", soft_wrap=True)


ab_weights.__doc__ = HELP
