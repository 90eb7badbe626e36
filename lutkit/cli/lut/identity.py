"""`lutkit lut identity`: a neutral LUT, to be graded by hand."""

from pathlib import Path
from typing import Annotated

import typer

HELP = """Write a LUT that changes nothing, to be graded in an image editor.

This is how to make a look, or damage, of your own:

\b
  1. lutkit lut identity -o neutral.png
  2. Open neutral.png in GIMP, Photoshop or darktable together with a photo.
     Grade the photo with curves, levels, colour balance, hue and saturation:
     tools that look at one pixel at a time. Do not sharpen, blur, add grain,
     use local masks, correct the lens or resize.
  3. Do exactly the same to neutral.png: copy the adjustment layers onto it,
     or in darktable the history stack. Keep it at 512 x 512, RGB, sRGB and 16
     bits, and export it at that size as PNG or TIFF, such as graded.png.
  4. lutkit lut convert graded.png look.cube
  5. lutkit lut check look.cube
     It shows whether the look can be undone, and folds and clipping that an
     editor hides.

A Hald image of level 8 holds 64^3 colours in 512 x 512 pixels. Level 6, with
36^3 colours in 216 x 216 pixels, is enough for most looks. 8 bits cost up to
half a code value.

\b
Examples:
  lutkit lut identity -o neutral.png
      write a Hald image of level 8, 16 bits
  lutkit lut identity -o neutral.tif --level 12 --bits 16
  lutkit lut identity -o neutral.cube --size 33
      for DaVinci Resolve and other programs that grade a cube
"""


def identity(  # noqa: D103  (its help text is set below)
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Its suffix selects the format.")],
    level: Annotated[
        int | None, typer.Option("--level", metavar="2..16", help="Level of a Hald image.  [default: 8]")
    ] = None,
    bits: Annotated[
        int | None, typer.Option("--bits", help="Bits of a Hald image: 8 or 16.  [default: 16]")
    ] = None,
    size: Annotated[
        int | None, typer.Option("--size", help="In other files: lattice points per axis.  [default: 33]")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
) -> None:
    from lutkit.lutfiles.convert import identity as write_identity
    from lutkit.lutfiles.formats import format_to_write
    from lutkit.report.console import PlainConsole
    from lutkit.report.lut_text import error_words, sizes_words

    made = write_identity(out, level=level, bits=bits, size=size, overwrite=overwrite)
    hald = f"a Hald image of level {level or 8}, {bits or 16} bits"
    about = hald if format_to_write(out).has_bits else "neutral"
    words = error_words(made.max_error)
    PlainConsole().print(f"{out}: {about}, {sizes_words(made.lut)}, {words}.", soft_wrap=True)


identity.__doc__ = HELP
