"""LUT files of every format that OpenColorIO reads: one adapter for all of them.

Owns which suffixes those are, and what is refused before OpenColorIO sees it: it takes decimal commas for the
ends of numbers, and a `.cube` by any name. Files that hold formulas are baked.
"""

import re
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from lutkit.color.srgb import FloatArray
from lutkit.dataset.os_errors import reading
from lutkit.errors import LutError, LutFormatError
from lutkit.lut.algebra import Baked, bake_function
from lutkit.lut.baking import through
from lutkit.lut.model import Lut, Lut1D, Lut3D, LutChain
from lutkit.lut.shaper import Function
from lutkit.lutfiles.ocio_stages import Ocio, exact_stages, opencolorio

OCIO_NAMES = {
    ".3dl": "Flame or Lustre 3dl",
    ".cc": "ASC CDL correction",
    ".ccc": "ASC CDL collection",
    ".cdl": "ASC CDL list",
    ".clf": "Common LUT Format",
    ".csp": "Cinespace",
    ".ctf": "Color Transform Format",
    ".cub": "Truelight",
    ".itx": "Iridas itx",
    ".look": "Iridas look",
    ".lut": "Houdini or Discreet LUT",
    ".m3d": "Pandora m3d",
    ".mga": "Pandora mga",
    ".spi1d": "SPI 1D",
    ".spi3d": "SPI 3D",
    ".spimtx": "SPI matrix",
    ".vf": "Nuke vf",
}
_XML = (".cc", ".ccc", ".cdl", ".clf", ".ctf", ".look")

_MOST_BYTES = 1 << 28
# What operators that mix channels are sampled at, and the rows tried for those that do not.
_CUBE_SIZE = 65
_CURVE_SIZES = (1025, 4097, 16385, 65536)
_CURVE_ERROR = 1e-5

_COMMA = re.compile(rb"^[ \t]*[-+.\d][-+.\deE \t]*,[-+.,\deE \t]*$", re.MULTILINE)
_CORRECTION = re.compile(rb"<ColorCorrection[\s>]")
_METADATA = re.compile(rb"BEGIN METADATA", re.IGNORECASE)
_METADATA_END = re.compile(rb"^[ \t]*END METADATA[^\n]*\n", re.MULTILINE | re.IGNORECASE)
_CUBE_KEYWORD = re.compile(rb"^[ \t]*LUT_[13]D_SIZE\b", re.MULTILINE | re.IGNORECASE)
# The parts of OpenColorIO's messages: a place, the file's name, and what the next reader says.
_LINE = re.compile(r"\bat line \(?(\d+)\)?", re.IGNORECASE)
_PREAMBLE = re.compile(r"^Error parsing [^()]*\([^()]*\)[^.:]*\. (Error is: )?")
# A CDL's MediaRef names the picture that it is for.
_UNKNOWN = re.compile(r"Unrecognized element ('(?!MediaRef')[^']*') where its parent is '(?!Info)")
_ANOTHER = re.compile(r" '[^']*' failed with: ")


def read_ocio(path: Path | str) -> Lut:
    """Read a file as `read_ocio_baked` does, for who needs no word on the error."""
    return read_ocio_baked(path).lut


def read_ocio_baked(path: Path | str) -> Baked:
    """Read a file of any format in `OCIO_NAMES`.

    Args:
        path: the file; its suffix, in upper or lower case, is what OpenColorIO goes by.
    Returns:
        Where the file holds tables, matrices and ranges only, those, with error 0: a LUT or a chain that is
        the file's map on 0..1, to the rounding of float32. Else what was baked, and by how much it errs:
        curves of up to 65536 rows, or a cube of 65^3, with a shaper where it needs one. Title and comments
        are a CLF's or CTF's name and descriptions.
    Raises:
        SourceError: the file cannot be read.
        LutFormatError: it does not hold what its format asks for. Files above 256 MiB are refused; no header
            makes OpenColorIO take more than a cube of 129^3 or a million rows.
    """
    path = Path(path)
    data = _content(path)
    _require_plausible(data, path)
    processor = _processor(data, path)
    group = processor.createGroupTransform()
    try:
        stages = exact_stages(group)
        baked = _bake(processor) if stages is None else Baked(_joined(stages))
    except LutError as error:
        raise LutFormatError(error.what, where=str(path), remedy="mend what made the LUT") from None
    return replace(baked, lut=_titled(baked.lut, group.getFormatMetadata()))


def _content(path: Path) -> bytes:
    with reading(path):
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise LutFormatError(f"{size:,} bytes are no LUT", where=str(path), remedy="name another file")
        return path.read_bytes()


def _require_plausible(data: bytes, path: Path) -> None:
    suffix = path.suffix.lower()
    if not data.strip():
        raise LutFormatError("the file is empty", where=str(path), remedy="export it again")
    if suffix in _XML:
        corrections = len(_CORRECTION.findall(data))
        if corrections > 1:  # OpenColorIO takes the first
            what = f"{corrections} colour corrections"
            raise LutFormatError(what, where=str(path), remedy="leave one in the file")
        return
    if b"\0" in data:
        what = "the file is binary: it holds NUL bytes"
        raise LutFormatError(what, where=str(path), remedy="export it as text")
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if (comma := _COMMA.search(lines)) is not None:
        line = 1 + lines.count(b"\n", 0, comma.start())
        what = f"a comma in {comma.group().strip()[:40].decode('ascii')!r}"
        raise LutFormatError(what, where=f"{path}:{line}", remedy="write decimal points, and blanks between")
    begun = list(_METADATA.finditer(data))
    if begun and not _METADATA_END.search(data, begun[-1].end()):
        what = "BEGIN METADATA without END METADATA"  # at which OpenColorIO takes all memory there is
        raise LutFormatError(what, where=str(path), remedy="export it again")
    if suffix != ".itx" and _CUBE_KEYWORD.search(lines, 0, 1 << 16):
        raise LutFormatError("this is a .cube file", where=str(path), remedy="rename it to .cube")


def _processor(data: bytes, path: Path) -> Ocio:
    ocio = opencolorio()

    # A name that was never used before: OpenColorIO remembers files by name, and reads $ and % in one.
    with tempfile.TemporaryDirectory(prefix="lutkit-") as folder:
        copy = Path(folder) / f"lut{path.suffix}"
        copy.write_bytes(data)
        # Best is tetrahedral for cubes; naming that draws a warning wherever there are curves.
        file = ocio.FileTransform(src=str(copy), interpolation=ocio.INTERP_BEST)
        warnings: list[str] = []
        ocio.SetLoggingFunction(warnings.append)
        try:
            processor = ocio.Config.CreateRaw().getProcessor(file)
        except UnicodeDecodeError:  # from its message, which quotes the file
            raise _refused("it holds what is no text", path, str(copy)) from None
        except (ocio.Exception, ValueError, RuntimeError) as error:
            raise _refused(str(error), path, str(copy)) from None
        finally:
            ocio.ResetToDefaultLoggingFunction()
            ocio.ClearAllCaches()
    if (passed_over := _UNKNOWN.search(" ".join(warnings))) is not None:
        raise _refused(f"{passed_over[1]} is no element that OpenColorIO knows", path, str(copy))
    return processor


def _refused(message: str, path: Path, copy: str) -> LutFormatError:
    words = " ".join("".join(c if c.isprintable() else " " for c in message.replace(copy, path.name)).split())
    reason = _ANOTHER.split(words.partition("' failed with: ")[2] or words)[0]
    line = _LINE.search(reason)
    where = f"{path}:{line[1]}" if line else str(path)
    reason = _LINE.sub("", _PREAMBLE.sub("", reason)).strip(" .:")[:200]
    what = f"no {OCIO_NAMES.get(path.suffix.lower(), 'LUT')} file: {reason or 'OpenColorIO cannot read it'}"
    return LutFormatError(what, where=where, remedy="export it again, or name it by what it is")


def _joined(stages: list[Lut1D | Lut3D]) -> Lut:
    if not stages:
        return Lut3D.identity(2)
    return stages[0] if len(stages) == 1 else LutChain(stages)


def _bake(processor: Ocio) -> Baked:
    ocio = opencolorio()

    engine = processor.getOptimizedCPUProcessor(ocio.OPTIMIZATION_NONE)

    def function(colors: FloatArray) -> FloatArray:
        pixels = np.array(colors, np.float32, order="C")
        engine.applyRGB(pixels)
        return pixels.astype(np.float64)

    if processor.hasChannelCrosstalk():
        return bake_function(function, _CUBE_SIZE)
    baked = _bake_curves(function, _CURVE_SIZES[0])
    for size in _CURVE_SIZES[1:]:
        if baked.max_error <= _CURVE_ERROR:
            break
        baked = _bake_curves(function, size)
    return baked


def _bake_curves(function: Function, size: int) -> Baked:
    """Curves, measured within every step: a power's largest error lies within the first."""
    lut = Lut1D(function(Lut1D.identity(size).table.astype(np.float64)).astype(np.float32))
    inner = (np.arange(size - 1)[:, None] + np.array([0.25, 0.5, 0.75])).reshape(-1, 1) / (size - 1)
    colors = np.repeat(inner, 3, axis=1)
    errors = np.abs(through(lut, colors) - function(colors)).max(axis=1)
    return Baked(lut, float(errors.mean()), float(np.quantile(errors, 0.99)), float(errors.max()))


def _titled(lut: Lut, metadata: Ocio) -> Lut:
    title = " ".join(metadata.getName().split())
    described = [e for e in metadata.getChildElements() if e.getElementName() == "Description"]
    comments = tuple(" ".join(element.getElementValue().split()) for element in described)
    if not title and not comments:
        return lut
    if isinstance(lut, LutChain):
        last = replace(lut.stages[-1], title=title, comments=comments)
        return LutChain((*lut.stages[:-1], last))
    return replace(lut, title=title, comments=comments)
