"""LUTs and LUT files as arguments: a LUT or the path of its file, and the file to write."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from lutkit.dataset.outputs import require_vacant
from lutkit.errors import LutError
from lutkit.lut.model import Lut, Lut1D, Lut3D, LutChain
from lutkit.lutfiles.formats import format_to_write, read_baked

if TYPE_CHECKING:  # used only in annotations, so it need not be loaded
    from lutkit.lut.algebra import Baked


@dataclass(frozen=True)
class GivenLut:
    """A LUT as it was given: itself, or by its file.

    Args:
        baked: the LUT, and the error of baking the formulas of its file.
        file: the file that it was read from; None if the LUT itself was given.
    """

    baked: "Baked"
    file: Path | None = None

    @property
    def lut(self) -> Lut:
        """The LUT."""
        return self.baked.lut

    @property
    def assumed(self) -> tuple[str, ...]:
        """Assumptions about the file, one sentence each; else empty."""
        return (f"{self.file}: assumed: {self.baked.assumed}",) if self.baked.assumed else ()


LutLike: TypeAlias = Lut | os.PathLike[str] | str | GivenLut  # a LUT, or the path of its file


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
        from lutkit.lut.algebra import Baked

        return GivenLut(Baked(lut))
    if not isinstance(lut, os.PathLike | str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise LutError(f"a LUT or the path of a LUT file is expected, not {type(lut).__name__}")
    path = Path(lut)
    return GivenLut(read_baked(path), path)


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
