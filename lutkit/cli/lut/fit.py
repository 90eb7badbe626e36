"""`lutkit lut fit`: a LUT learned from two photos."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lutkit.lut.fit import Fit

HELP = """Learn the LUT that turns one photo into another.

BEFORE and AFTER show the same scene, pixel by pixel: a photo, and what an app, a
preset or a colourist made of it. They may be small; the LUT is smooth and fits
photos of any size. Photos that are not sRGB are converted first. Pixels that are
not opaque are left out.

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

# Beyond these no single LUT made one of the other: a local change, photos that are not aligned, other scenes.
# A look is learned to within 1 delta E, a rough repair of a photo to within 2 or 3.
_FAR_OFF = 5.0
_MANY_MISFITS = 0.1


def fit(  # noqa: D103  (its help text is set below)
    context: typer.Context,
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="The photo before the change.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="The photo after the change.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="LUT", help="The LUT file to write.")],
    size: Annotated[int, typer.Option("--size", help="Lattice points per axis, 2 to 65.")] = 33,
    monotone: Annotated[
        bool, typer.Option("--monotone", help="No channel may fall while the same channel of a colour rises.")
    ] = False,
    anyway: Annotated[bool, typer.Option("--anyway", help="Write the LUT even if it fits badly.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the measures as JSON.")] = False,
) -> None:
    from dataclasses import replace

    from lutkit.cli.arguments import require_no_more
    from lutkit.cli.lut.output_file import require_free
    from lutkit.errors import LutkitError
    from lutkit.lut.fit import fit_pixels
    from lutkit.lutfiles.formats import format_to_write, write_lut
    from lutkit.photos.before_after import read_before_after

    require_no_more(context.args, 2, "BEFORE and AFTER")
    format_to_write(out)
    require_free(out, overwrite=overwrite)
    found = fit_pixels(*read_before_after(before, after), size, monotone=monotone)
    if found.mean_delta_e > _FAR_OFF and not anyway:
        what = f"no one LUT makes it of {before}: delta E 2000 {found.mean_delta_e:.1f} on average"
        remedy = "give two photos of one scene, aligned and edited as a whole, or --anyway"
        raise LutkitError(what, where=str(after), remedy=remedy)
    remark = f"learned from two photos; delta E 2000 on held-out pixels: {found.mean_delta_e:.2f} on average"
    write_lut(replace(found.lut, comments=(remark,)), out)
    _show(out, found, as_json=as_json)


fit.__doc__ = HELP


def _show(out: Path, found: "Fit", *, as_json: bool) -> None:
    import json

    from lutkit.report.console import PlainConsole

    console = PlainConsole()
    measures = {name: value for name, value in vars(found).items() if name != "lut"}
    if as_json:
        console.out(json.dumps({"file": str(out), "size": found.lut.sizes[0], **measures}))
        return
    size = found.lut.sizes[0]
    console.print(f"{out}: {size}^3, learned from {found.pixels:,} pixels.", soft_wrap=True)
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
    if found.misfit_share > _MANY_MISFITS or found.mean_delta_e > _FAR_OFF:
        why = "That is a lot: other scenes, photos not aligned, or more than one LUT made AFTER of BEFORE."
        console.print(why, soft_wrap=True)
