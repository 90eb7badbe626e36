"""LUT files of the formats that OpenColorIO writes; `.csp` it writes without shapers, and `csp` with them.

Owns what each of them holds. CLF and CTF take any chain, number by number. The others are baked by
OpenColorIO, to six decimals (a 3dl: to twelve bits), and hold one cube or one table of curves over 0..1.
"""

import re
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from lutkit.dataset.atomic import write_whole
from lutkit.dataset.os_errors import writing
from lutkit.errors import LutFormatError
from lutkit.lut.model import Lut, Lut1D, Lut3D, Rgb, lut_stages
from lutkit.lutfiles.decimals import printed_rows
from lutkit.lutfiles.ocio_stages import Ocio, opencolorio

Holds: TypeAlias = Literal["chain", "cube", "curves"]

# What a file of each suffix holds, and OpenColorIO's name for the format.
OCIO_WRITES: dict[str, tuple[Holds, str]] = {
    ".3dl": ("cube", "flame"),
    ".clf": ("chain", "Academy/ASC Common LUT Format"),
    ".ctf": ("chain", "Color Transform Format"),
    ".cub": ("cube", "truelight"),
    ".itx": ("cube", "iridas_itx"),
    ".lut": ("cube", "houdini"),
    ".spi1d": ("curves", "spi1d"),
    ".spi3d": ("cube", "spi3d"),
}
OCIO_MOST_POINTS = 129
# OpenColorIO reads no smaller 3dl back.
_LEAST_POINTS_3DL = 4
_TABLE = re.compile(r'(<LUT[13]D\b[^>]*>\s*<Array dim=")[^"]*(">\s*)[^<]*(</Array>)')
_UNIT = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
_CONVERT = "`lutkit lut convert --size`, or lutkit.lut.algebra.to_single, makes one that it holds"


def ocio_cube_sizes(suffix: str) -> range:
    """The numbers of lattice points an axis that a file of this suffix can hold."""
    return range(_LEAST_POINTS_3DL if suffix == ".3dl" else 2, OCIO_MOST_POINTS + 1)


def write_ocio(lut: Lut, path: Path | str) -> None:
    """Write a LUT file in one of the formats in `OCIO_WRITES`, whole or not at all.

    Args:
        lut: for `.clf` and `.ctf` any LUT whose cubes have as many points on each axis, up to 129; they keep
            title and comments. For `.spi1d` a `Lut1D`, for the others a `Lut3D`, over 0..1; those round to
            six decimals, `.3dl` to twelve bits clamped to 0..1, and drop title and comments.
        path: where to; the suffix says the format, and an existing file is replaced.
    Raises:
        LutFormatError: a suffix that OpenColorIO does not write, or a LUT that the format cannot hold.
        LutkitError: the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in OCIO_WRITES:
        remedy = f"choose {', '.join(OCIO_WRITES)}"
        raise LutFormatError(f"OpenColorIO writes no {suffix!r} files", where=str(path), remedy=remedy)
    holds, name = OCIO_WRITES[suffix]
    if (fault := _fault(lut, suffix, holds)) != "":
        raise LutFormatError(f"a {suffix} {fault}", where=str(path), remedy=_CONVERT)
    text = _chain_text(lut, name) if holds == "chain" else _baked_text(lut, name)
    with writing(path):
        write_whole(path, text.encode("utf-8"))


def _fault(lut: Lut, suffix: str, holds: Holds) -> str:
    stages = list(lut_stages(lut))
    sizes = ocio_cube_sizes(suffix)
    for stage in stages:
        if isinstance(stage, Lut3D) and (len(set(stage.sizes)) > 1 or stage.sizes[0] not in sizes):
            shown = " x ".join(map(str, stage.sizes))
            return f"holds cubes of {sizes[0]} to {sizes[-1]} points, as many on each axis, not {shown}"
    if holds == "chain":
        return ""
    wanted, named = (Lut1D, "one table of curves") if holds == "curves" else (Lut3D, "one cube")
    first = stages[0]
    if len(stages) > 1 or type(first) is not wanted:
        kinds = " + ".join("1D" if isinstance(stage, Lut1D) else "3D" for stage in stages)
        return f"holds {named}, not {kinds}"
    if (first.domain_min, first.domain_max) != _UNIT:
        return f"has the domain 0..1, not {first.domain_min} to {first.domain_max}"
    return ""


def _chain_text(lut: Lut, name: str) -> str:
    ocio = opencolorio()
    group = _group(lut)
    last = lut_stages(lut)[-1]
    metadata = group.getFormatMetadata()
    if last.title:
        metadata.setName(_plain(last.title))
    for comment in last.comments:
        metadata.addChildElement("Description", _plain(comment))
    return _with_exact_tables(str(group.write(name, ocio.Config.CreateRaw())), lut)


def _with_exact_tables(text: str, lut: Lut) -> str:
    """OpenColorIO prints eight digits of a cube's numbers; a float32 can take nine."""
    stages = iter(lut_stages(lut))

    def table(found: re.Match[str]) -> str:
        stage = next(stages)
        rows = b"".join(printed_rows(stage.table)).decode("ascii")
        return f"{found[1]}{' '.join(map(str, stage.table.shape))}{found[2]}{rows}{found[3]}"

    return _TABLE.sub(table, text)


def _plain(text: str) -> str:
    """What XML can hold: without the control characters and surrogates that no escape lets in."""
    return "".join(c if c.isprintable() else " " for c in text)


def _baked_text(lut: Lut, name: str) -> str:
    ocio = opencolorio()
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
    ocio = opencolorio()
    group = ocio.GroupTransform()
    for stage in lut_stages(lut):
        if (stage.domain_min, stage.domain_max) != _UNIT:
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
    return opencolorio().MatrixTransform(matrix=matrix, offset=[*offset, 0.0])
