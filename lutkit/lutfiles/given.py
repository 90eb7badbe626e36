"""LUTs and LUT files as arguments: a LUT or the path of its file, and the file to write."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from lutkit.dataset.outputs import require_vacant
from lutkit.errors import LutError
from lutkit.lut.model import Lut, Lut1D, Lut3D, LutChain
from lutkit.lutfiles.formats import format_to_write, read_baked


@dataclass(frozen=True)
class GivenLut:
    """A LUT as it was given: itself, or by its file.

    Args:
        lut: the LUT.
        file: the file that it was read from; None if the LUT itself was given.
        assumed: assumptions about the file, one sentence each; else empty.
    """

    lut: Lut
    file: Path | None
    assumed: tuple[str, ...]


LutLike: TypeAlias = Lut | Path | str | GivenLut  # a LUT, or the path of its file


def given_lut(lut: LutLike) -> GivenLut:
    """Return a LUT as it was given, or read it from the file of that path.

    Raises:
        SourceError: if the file cannot be read.
        LutFormatError: if the suffix is unknown, or the content does not follow the format.
        LutError: if it is neither a LUT nor a path.
    """
    if isinstance(lut, GivenLut):
        return lut
    if isinstance(lut, Lut1D | Lut3D | LutChain):
        return GivenLut(lut, None, ())
    if not isinstance(lut, Path | str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise LutError(f"a LUT or the path of a LUT file is expected, not {type(lut).__name__}")
    baked = read_baked(lut)
    return GivenLut(baked.lut, Path(lut), (f"{lut}: assumed: {baked.assumed}",) if baked.assumed else ())


def output_file(out: Path | str | None, *, overwrite: bool) -> Path | None:
    """Return the LUT file to write, or None for none; a wrong name is found before any work.

    Raises:
        LutFormatError: if no format with this suffix can be written.
        LutkitError: if the file exists and must not be replaced, or cannot be written.
    """
    if out is None:
        return None
    path = Path(out)
    format_to_write(path)
    require_vacant(path, overwrite=overwrite)
    return path
