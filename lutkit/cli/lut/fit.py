"""`lutkit lut fit`: a LUT learned from two photos."""

from pathlib import Path
from typing import Annotated

import typer

HELP = """Learn the LUT that turns one photo into another.

BEFORE and AFTER show the same scene, pixel by pixel: a photo, and its version
from an app, a preset or a colourist. They may be small; the LUT is smooth and
fits photos of any size. Photos that are not sRGB are converted first. Pixels
that are not opaque are left out.

An eighth of the pixels, in blocks, is held out to measure the error. The LUT is
then learned from all pixels. A few percent of pixels may be misaligned or
retouched. For colours that the photo does not hold, the LUT continues smoothly
and ends in the identity, so a photo with many colours gives a better LUT. If no
single LUT turns one photo into the other (mean delta E 2000 above 5), nothing is
written, unless you give --anyway.

\b
Examples:
  lutkit lut fit before.jpg after.jpg -o look.cube
  lutkit lut fit before.tif after.tif -o look.cube --size 65 --monotone
  lutkit apply holiday/ --lut look.cube -o graded/
      then apply the look to other photos
"""


def fit(  # noqa: D103  (its help text is set below)
    context: typer.Context,
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="The photo before the change.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="The photo after the change.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="LUT", help="The LUT file to write.")],
    size: Annotated[int, typer.Option("--size", help="Lattice points per axis, 2 to 65.")] = 33,
    monotone: Annotated[
        bool, typer.Option("--monotone", help="No output channel may fall when its input channel rises.")
    ] = False,
    anyway: Annotated[bool, typer.Option("--anyway", help="Write the LUT even if it fits badly.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the measures as JSON.")] = False,
) -> None:
    import json

    from lutkit.cli.arguments import require_no_more
    from lutkit.lutfiles.learning import fit as fit_photos
    from lutkit.report.console import PlainConsole

    require_no_more(context.args, 2, "BEFORE and AFTER")
    found = fit_photos(before, after, out, size=size, monotone=monotone, anyway=anyway, overwrite=overwrite)
    console = PlainConsole()
    if as_json:
        console.out(json.dumps(found.to_dict()))
        return
    console.print(f"{out}: {found.size}^3, learned from {found.pixels:,} pixels.", soft_wrap=True)
    console.print(
        f"On {found.held_out:,} held-out pixels: delta E 2000 {found.mean_delta_e:.2f} on average, "
        f"{found.p95_delta_e:.2f} or less on 95%.",
        soft_wrap=True,
    )
    console.print(
        f"The photo's colours reach {found.reached_share:.1%} of the lattice; "
        f"{found.misfit_share:.1%} of its pixels do not fit and hardly counted.",
        soft_wrap=True,
    )
    if found.doubtful:
        why = "That is a lot: other scenes, photos not aligned, or more than one LUT made AFTER of BEFORE."
        console.print(why, soft_wrap=True)


fit.__doc__ = HELP
