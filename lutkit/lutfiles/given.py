"""LUTs as arguments: the LUT itself, or the path of its file."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from lutkit.errors import LutError
from lutkit.lut.model import Lut, Lut1D, Lut3D, LutChain
from lutkit.lutfiles.formats import read_baked


@dataclass(frozen=True)
class GivenLut:
    """A LUT as it was given: itself, or by its file.

    Args:
        lut: the LUT.
        file: where it was read from; None where the LUT itself was given.
        assumed: assumptions about the file, one sentence each; else empty.
    """

    lut: Lut
    file: Path | None
    assumed: tuple[str, ...]


LutLike: TypeAlias = Lut | Path | str | GivenLut  # a LUT, or the path of its file


def given_lut(lut: LutLike) -> GivenLut:
    """A LUT, or what the file of that path holds.

    Raises:
        SourceError: the file cannot be read.
        LutFormatError: an unknown suffix, or content that its format does not allow.
        LutError: neither a LUT nor a path.
    """
    if isinstance(lut, GivenLut):
        return lut
    if isinstance(lut, Lut1D | Lut3D | LutChain):
        return GivenLut(lut, None, ())
    if not isinstance(lut, Path | str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise LutError(f"a LUT or the path of a LUT file is expected, not {type(lut).__name__}")
    baked = read_baked(lut)
    return GivenLut(baked.lut, Path(lut), (f"{lut}: assumed: {baked.assumed}",) if baked.assumed else ())
