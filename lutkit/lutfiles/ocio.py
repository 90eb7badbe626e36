"""Read and write LUT files of every format that OpenColorIO knows: one adapter for all of them.

Reading rejects files that OpenColorIO would misread (`ocio_text`), keeps tables, matrices and ranges
unchanged, and bakes formulas. Writing keeps every number of any chain in CLF and CTF. OpenColorIO bakes the
other formats, to six decimals (a 3dl: to twelve bits). It writes `.csp` only without shapers; `csp` writes it
with them.

As with every LUT of lutkit, a file acts on colours of 0..1. What its operators would do to other colours is
left out, and so is the interpolation that the file states.
"""

import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import PyOpenColorIO

from lutkit.color.srgb import FloatArray
from lutkit.dataset.atomic import write_whole
from lutkit.dataset.os_errors import reading, writing
from lutkit.errors import LutError, LutFormatError
from lutkit.lut.algebra import Baked, bake_function
from lutkit.lut.baking import through
from lutkit.lut.model import MAX_SIZE_1D, Lut, Lut1D, Lut3D, LutChain, Rgb, lut_stages
from lutkit.lut.shaper import Function
from lutkit.lutfiles.formats import UNIT, Domain, format_to_read, require_held
from lutkit.lutfiles.number_text import printed_rows
from lutkit.lutfiles.ocio_text import require_plain_text, table_of_3dl

Ocio: TypeAlias = Any  # an object of OpenColorIO, which is not typed
ocio: Ocio = PyOpenColorIO

_XML = (".cc", ".ccc", ".cdl", ".clf", ".ctf", ".look")

_MOST_BYTES = 1 << 28
# The cube size for operators that mix channels, and the numbers of rows tried for operators that do not.
_CUBE_SIZE = 65
_CURVE_SIZES = (1025, 4097, 16385, 65536)
_CURVE_ERROR = 1e-5

_CORRECTION = re.compile(rb"<ColorCorrection[\s>]")
# The parts of OpenColorIO's messages: a line, an introduction with the file's name, and the next reader's
# message.
_LINE = re.compile(r"\bat line \(?(\d+)\)?", re.IGNORECASE)
_PREAMBLE = re.compile(r"^Error parsing [^()]*\([^()]*\)[^.:]*\. (Error is: )?")
# The MediaRef of a CDL names the image that it is for.
_UNKNOWN = re.compile(r"Unrecognized element ('(?!MediaRef')[^']*') where its parent is '(?!Info)")
_ANOTHER = re.compile(r" '[^']*' failed with: ")


# OpenColorIO's names of the formats that it writes: those that hold a chain, and those that its baker makes.
_CHAIN_NAMES = {".clf": "Academy/ASC Common LUT Format", ".ctf": "Color Transform Format"}
_BAKER_NAMES = {
    ".3dl": "flame",
    ".cub": "truelight",
    ".itx": "iridas_itx",
    ".lut": "houdini",
    ".spi1d": "spi1d",
    ".spi3d": "spi3d",
}
_TABLE = re.compile(r'(<LUT[13]D\b[^>]*>\s*<Array dim=")[^"]*(">\s*)[^<]*(</Array>)')


def read_ocio_baked(path: Path | str) -> Baked:
    """Read a file of any format that OpenColorIO reads, except `.cube`.

    Args:
        path: the file; OpenColorIO uses its suffix, in upper or lower case.
    Returns:
        If the file has only tables, matrices and ranges, these with error 0: a LUT or a chain that equals the
        file's map on 0..1, to the rounding of float32. Otherwise the baked LUT and its error: curves of up to
        65536 rows, or a cube of 65^3, with a shaper if it needs one. Title and comments are the name and
        descriptions of a CLF or CTF.
    Raises:
        SourceError: if the file cannot be read.
        LutFormatError: if its content does not follow the format. Files above 256 MiB are rejected. No header
            makes OpenColorIO allocate more than a cube of 129^3 or a million rows.
    """
    path = Path(path)
    with reading(path):
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise LutFormatError(
                f"a file of {size:,} bytes is not a LUT", where=str(path), remedy="name another file"
            )
        data = path.read_bytes()
    if not data.strip():
        raise LutFormatError("the file is empty", where=str(path), remedy="export it again")
    if path.suffix.lower() not in _XML:
        require_plain_text(data, path)
    elif (corrections := len(_CORRECTION.findall(data))) > 1:  # OpenColorIO would use the first
        what = f"{corrections} colour corrections"
        raise LutFormatError(what, where=str(path), remedy="keep only one in the file")
    table, assumed = table_of_3dl(data, path) if path.suffix.lower() == ".3dl" else (None, "")
    processor = _processor(data, path)
    group = processor.createGroupTransform()
    try:
        stages = _exact_stages(group)
        if stages and table is not None:  # OpenColorIO guesses the bit depth of its codes
            stages[-1] = Lut3D(table)
        if stages is None:
            baked = _bake(processor)
        elif len(stages) > 1:
            baked = Baked(LutChain(stages))
        else:
            baked = Baked(stages[0] if stages else Lut3D.identity(2))
    except LutError as error:
        raise LutFormatError(
            error.what, where=str(path), remedy="correct the LUT in the program that made it"
        ) from None
    return replace(baked, assumed=assumed, lut=_titled(baked.lut, group.getFormatMetadata()))


def _processor(data: bytes, path: Path) -> Ocio:
    # A name that was never used before: OpenColorIO caches files by name, and gives $ and % in names a
    # meaning.
    with tempfile.TemporaryDirectory(prefix="lutkit-") as folder:
        copy = Path(folder) / f"lut{path.suffix}"
        with writing(copy):
            copy.write_bytes(data)
        # Best means tetrahedral for cubes; stating tetrahedral causes a warning if there are curves.
        file = ocio.FileTransform(src=str(copy), interpolation=ocio.INTERP_BEST)
        warnings: list[str] = []
        ocio.SetLoggingFunction(warnings.append)
        try:
            processor = ocio.Config.CreateRaw().getProcessor(file)
        except UnicodeDecodeError:  # raised by its message, which quotes the file
            raise _refused("it holds bytes that are not text", path, str(copy)) from None
        except (ocio.Exception, ValueError, RuntimeError) as error:
            raise _refused(str(error), path, str(copy)) from None
        finally:
            ocio.ResetToDefaultLoggingFunction()
            ocio.ClearAllCaches()
    if (passed_over := _UNKNOWN.search(" ".join(warnings))) is not None:
        raise _refused(f"OpenColorIO does not know the element {passed_over[1]}", path, str(copy))
    return processor


def _refused(message: str, path: Path, copy: str) -> LutFormatError:
    words = " ".join("".join(c if c.isprintable() else " " for c in message.replace(copy, path.name)).split())
    reason = _ANOTHER.split(words.partition("' failed with: ")[2] or words)[0]
    line = _LINE.search(reason)
    where = f"{path}:{line[1]}" if line else str(path)
    reason = _LINE.sub("", _PREAMBLE.sub("", reason)).strip(" .:")[:200]
    what = f"not a valid {format_to_read(path).name} file: {reason or 'OpenColorIO cannot read it'}"
    return LutFormatError(what, where=where, remedy="export it again, or give it the suffix of its format")


def _bake(processor: Ocio) -> Baked:
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
    """Bake curves, measured within every step: the largest error of a power lies within the first."""
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


# The operators of a file as tables.


def _exact_stages(group: Ocio) -> list[Lut1D | Lut3D] | None:
    """Return the operators of a file as LUTs in the same order.

    Tables are not changed, and gains and offsets before a table become its domain. Any other matrix becomes a
    cube of 2^3 points, and a range becomes two rows of curves, over all values that can reach them; both are
    exact.

    Returns:
        The LUTs; an empty list if the file does nothing. None if an operator is not a table, matrix or range,
        or if a table is inverted, too long or unevenly spaced, which no LUT here can hold.
    Raises:
        LutError: if a table has NaN or infinity.
    """
    stages: list[Lut1D | Lut3D] = []
    reach, domain = UNIT, None
    operators = list(group)
    for operator, following in zip(operators, [*operators[1:], None], strict=True):
        if domain is None and _is_table(following):
            domain = _domain_of(operator)
            if domain is not None:
                continue
        stage = _stage(operator, domain or UNIT, reach)
        if stage is None:
            return None
        stages.append(stage)
        values = stage.table.reshape(-1, 3)
        reach, domain = (_rgb(values.min(axis=0)), _rgb(values.max(axis=0))), None
    return stages


def _stage(operator: Ocio, domain: Domain, reach: Domain) -> Lut1D | Lut3D | None:
    if not _is_forward(operator):
        return None
    if isinstance(operator, ocio.Lut3DTransform):
        size = operator.getGridSize()
        return Lut3D(np.array(operator.getData()).reshape(size, size, size, 3), *domain)
    if isinstance(operator, ocio.Lut1DTransform) and _is_plain_curve(operator):
        return Lut1D(np.array(operator.getData()).reshape(-1, 3), *domain)
    if isinstance(operator, ocio.MatrixTransform):
        return _matrix_stage(operator, reach)
    if isinstance(operator, ocio.RangeTransform):
        return _range_stage(operator, reach)
    return None


def _is_table(operator: Ocio) -> bool:
    is_cube = isinstance(operator, ocio.Lut3DTransform) and _is_forward(operator)
    return is_cube or (isinstance(operator, ocio.Lut1DTransform) and _is_plain_curve(operator))


def _is_forward(operator: Ocio) -> bool:
    return operator.getDirection() == ocio.TRANSFORM_DIR_FORWARD


def _is_plain_curve(operator: Ocio) -> bool:
    return (
        _is_forward(operator)
        and not operator.getInputHalfDomain()
        and operator.getHueAdjust() == ocio.HUE_NONE
        and operator.getLength() <= MAX_SIZE_1D
    )


def _domain_of(operator: Ocio) -> Domain | None:
    """Return what a matrix maps to 0..1, if it has nothing but offsets and gains above 0."""
    if not isinstance(operator, ocio.MatrixTransform) or not _is_forward(operator):
        return None
    matrix = np.array(operator.getMatrix(), np.float64).reshape(4, 4)
    offset = np.array(operator.getOffset(), np.float64)[:3]
    gains = matrix.diagonal()[:3]
    if (matrix[:3] != np.eye(4)[:3] * matrix.diagonal()).any() or not (gains > 0).all():
        return None
    low, high = (0 - offset) / gains, (1 - offset) / gains
    span = high - low
    return _rgb(_rounded(low, span)), _rgb(_rounded(high, span))


def _rounded(ends: npt.NDArray[np.float64], span: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return a domain's ends as someone wrote them: -0.3 if gain and offset give -0.29999999999999993."""
    short = np.array([float(f"{end:.9g}") for end in ends])
    return np.where(np.abs(short - ends) <= 1e-13 * span, short, ends)


def _matrix_stage(operator: Ocio, reach: Domain) -> Lut3D | None:
    matrix = np.array(operator.getMatrix(), np.float64).reshape(4, 4)
    offset = np.array(operator.getOffset(), np.float64)
    if matrix[:3, 3].any():  # depends on alpha
        return None
    low = np.array(reach[0])
    high = np.where(reach[1] > low, reach[1], low + 1)
    corners = np.stack(np.meshgrid(*zip(low, high, strict=True), indexing="ij"), axis=-1)
    table = np.empty((2, 2, 2, 3))
    for channel in range(3):
        weighed = [matrix[channel, k] * corners[..., k] for k in range(3)]
        table[..., channel] = weighed[0] + weighed[1] + weighed[2] + offset[channel]
    return Lut3D(table.astype(np.float32), _rgb(low), _rgb(high))


def _range_stage(operator: Ocio, reach: Domain) -> Lut1D | None:
    if operator.getStyle() != ocio.RANGE_CLAMP:
        return None
    low, high = np.array(reach)
    gain, offset = 1.0, 0.0
    if operator.hasMinInValue() and operator.hasMaxInValue():  # otherwise it only clamps
        span = operator.getMaxInValue() - operator.getMinInValue()
        gain = (operator.getMaxOutValue() - operator.getMinOutValue()) / span
        offset = operator.getMinOutValue() - gain * operator.getMinInValue()
    if operator.hasMinInValue():
        low = np.full(3, operator.getMinInValue())
        high = np.maximum(high, low + 1)
    if operator.hasMaxInValue():
        high = np.full(3, operator.getMaxInValue())
    low = np.where(low < high, low, high - 1)
    table = np.stack([gain * low + offset, gain * high + offset])
    return Lut1D(table.astype(np.float32), _rgb(low), _rgb(high))


def _rgb(values: npt.NDArray[np.floating]) -> Rgb:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


# Write files.


def write_ocio(lut: Lut, path: Path | str) -> None:
    """Write a LUT file in a format that OpenColorIO writes, completely or not at all.

    Args:
        lut: for `.clf` and `.ctf`, any LUT whose cubes have the same number of points on each axis, up to
            129; title and comments are kept. For `.spi1d` a `Lut1D`, and for the others a `Lut3D`, over 0..1.
            These round to six decimals (`.3dl`: to twelve bits, clamped to 0..1), and drop title and
            comments.
        path: the file to write; its suffix states the format. An existing file is replaced.
    Raises:
        LutFormatError: if OpenColorIO does not write the suffix, or the format cannot hold the LUT.
        LutkitError: if the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in _CHAIN_NAMES:
        write, name = _chain_text, _CHAIN_NAMES[suffix]
    elif suffix in _BAKER_NAMES:
        write, name = _baked_text, _BAKER_NAMES[suffix]
    else:
        remedy = f"choose {', '.join(sorted([*_CHAIN_NAMES, *_BAKER_NAMES]))}"
        raise LutFormatError(f"OpenColorIO does not write {suffix!r} files", where=str(path), remedy=remedy)
    require_held(lut, path)
    text = write(lut, name)
    with writing(path):
        write_whole(path, text.encode("utf-8"))


def _chain_text(lut: Lut, name: str) -> str:
    group = _group(lut)
    last = lut_stages(lut)[-1]
    metadata = group.getFormatMetadata()
    if last.title:
        metadata.setName(_plain(last.title))
    for comment in last.comments:
        metadata.addChildElement("Description", _plain(comment))
    return _with_exact_tables(str(group.write(name, ocio.Config.CreateRaw())), lut)


def _with_exact_tables(text: str, lut: Lut) -> str:
    """Replace a cube's numbers: OpenColorIO prints eight digits of them, but a float32 may need nine."""
    stages = iter(lut_stages(lut))

    def table(found: re.Match[str]) -> str:
        stage = next(stages)
        rows = b"".join(printed_rows(stage.table)).decode("ascii")
        return f"{found[1]}{' '.join(map(str, stage.table.shape))}{found[2]}{rows}{found[3]}"

    return _TABLE.sub(table, text)


def _plain(text: str) -> str:
    """Remove what XML cannot hold: control characters and surrogates, which cannot be escaped."""
    return "".join(c if c.isprintable() else " " for c in text)


def _baked_text(lut: Lut, name: str) -> str:
    stage = lut_stages(lut)[0]
    size = stage.size if isinstance(stage, Lut1D) else stage.sizes[0]
    config = ocio.Config.CreateRaw()
    config.addColorSpace(ocio.ColorSpace(name="before"))
    config.addColorSpace(ocio.ColorSpace(name="after", fromReference=_group(lut)))
    baker = ocio.Baker()
    baker.setConfig(config)
    baker.setFormat(name)
    baker.setInputSpace("before")
    baker.setTargetSpace("after")
    baker.setCubeSize(size)
    return str(baker.bake())


def _group(lut: Lut) -> Ocio:
    group = ocio.GroupTransform()
    for stage in lut_stages(lut):
        if (stage.domain_min, stage.domain_max) != UNIT:
            group.appendTransform(_onto_unit(stage.domain_min, stage.domain_max))
        if isinstance(stage, Lut1D):
            table = ocio.Lut1DTransform(length=stage.size, inputHalfDomain=False)
        else:
            table = ocio.Lut3DTransform(gridSize=stage.sizes[0])
        table.setFileOutputBitDepth(ocio.BIT_DEPTH_F32)
        table.setData(np.ascontiguousarray(stage.table).reshape(-1))
        group.appendTransform(table)
    return group


def _onto_unit(low: Rgb, high: Rgb) -> Ocio:
    gains = [1 / (b - a) for a, b in zip(low, high, strict=True)]
    matrix = [0.0] * 16
    matrix[0], matrix[5], matrix[10], matrix[15] = *gains, 1.0
    offset = [-a * gain for a, gain in zip(low, gains, strict=True)]
    return ocio.MatrixTransform(matrix=matrix, offset=[*offset, 0.0])
