"""`lutkit ab-weights`: from an ab histogram to class-rebalancing weights."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

if TYPE_CHECKING:
    from lutkit.ab.weights import AbWeights, Normalisation

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
    from lutkit.ab.grid import ab_grid
    from lutkit.ab.weights import weights_of_counts as weigh
    from lutkit.cli.arguments import require_no_more
    from lutkit.dataset.outputs import require_picture, require_vacant
    from lutkit.errors import LutkitError
    from lutkit.report.console import PlainConsole
    from lutkit.statistics.ab_files import read_counts, write_npy, write_weights

    require_no_more(context.args, 1, "one file of counts")
    extra = [] if npy is None else [npy / "pts_in_hull.npy", npy / "prior_probs.npy"]
    outputs = [out, *extra, *([] if plot is None else [plot])]
    # `Path.resolve` raises where links run in circles.
    if len({os.path.realpath(path) for path in outputs}) < len(outputs):
        raise LutkitError("two outputs of one name", where=str(out), remedy="give each its own")
    for path in outputs:
        if os.path.realpath(path) == os.path.realpath(counts):
            raise LutkitError("would write over the counts", where=str(path), remedy="give another name")
        require = require_picture if path == plot else require_vacant
        require(path, overwrite=overwrite)
    kind = cast("Normalisation", normalise)
    weights = weigh(read_counts(counts), ab_grid(grid), sigma, mix, observed=observed, normalise=kind)
    for path in outputs:
        path.parent.mkdir(parents=True, exist_ok=True)
    write_weights(out, weights)
    if npy is not None:
        write_npy(npy, weights)
    if plot is not None:
        from lutkit.statistics.ab_picture import write_ab_picture

        write_ab_picture(plot, weights)
    _show(weights, out, as_json=as_json)
    if not as_json and len(outputs) > 1:
        PlainConsole().print(f"Also: {', '.join(map(str, outputs[1:]))}", soft_wrap=True)


ab_weights.__doc__ = HELP


def _show(weights: "AbWeights", out: Path, *, as_json: bool) -> None:
    import json

    from lutkit.report.console import PlainConsole

    least, most = int(weights.weights.argmin()), int(weights.weights.argmax())
    summary = {
        "file": str(out),
        "grid": weights.grid.name,
        "bins": len(weights.weights),
        "normalise": weights.normalise,
        "without_pixels": int((weights.counts == 0).sum()),
        "pixels": int(weights.counts.sum()),
        "least": {"weight": float(weights.weights[least]), "ab": weights.grid.bins[least].tolist()},
        "most": {"weight": float(weights.weights[most]), "ab": weights.grid.bins[most].tolist()},
    }
    console = PlainConsole()
    if as_json:
        console.out(json.dumps(summary))
        return
    bins = "1 bin" if summary["bins"] == 1 else f"{summary['bins']} bins"
    console.print(
        f"{out}: {bins} of grid {weights.grid.name}, {summary['without_pixels']} of them"
        f" without a pixel, from {summary['pixels']:,} pixels.",
        soft_wrap=True,
    )
    for name, number in (("least", least), ("most", most)):
        a, b = weights.grid.bins[number]
        empty = "" if weights.counts[number] else ", where no pixel fell"
        console.print(f"{name:>5}: {weights.weights[number]:.4g} at a {a:.0f}, b {b:.0f}{empty}")
