"""What OpenColorIO found in a file, as LUTs: table by table where that is exact.

A file acts on colours of 0..1 here, as every LUT of lutkit does: what its operators would do to others is
left out, and so is the interpolation that it asks for.
"""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lutkit.lut.model import MAX_SIZE_1D, Lut1D, Lut3D, Rgb

Ocio: TypeAlias = Any  # an object of OpenColorIO's, which tells no types
Ends: TypeAlias = tuple[Rgb, Rgb]
_UNIT: Ends = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def opencolorio() -> Ocio:
    """OpenColorIO, loaded when a file asks for it."""
    import PyOpenColorIO

    return PyOpenColorIO


def exact_stages(group: Ocio) -> list[Lut1D | Lut3D] | None:
    """The operators of a file as LUTs in the same order.

    Tables stay as they are, and gains and offsets before one become its domain. Any other matrix becomes a
    cube of 2^3 points, a range two rows of curves, over all that can reach them: both are exact.

    Returns:
        The LUTs, none where the file does nothing; None where an operator is neither table, matrix nor range,
        or a table that no LUT here can hold: one that is inverted, too long, or unevenly spaced.
    Raises:
        LutError: a table with NaN or infinity.
    """
    stages: list[Lut1D | Lut3D] = []
    reach, domain = _UNIT, None
    operators = list(group)
    for operator, following in zip(operators, [*operators[1:], None], strict=True):
        if domain is None and _is_table(following):
            domain = _domain_of(operator)
            if domain is not None:
                continue
        stage = _stage(operator, domain or _UNIT, reach)
        if stage is None:
            return None
        stages.append(stage)
        values = stage.table.reshape(-1, 3)
        reach, domain = (_rgb(values.min(axis=0)), _rgb(values.max(axis=0))), None
    return stages


def _stage(operator: Ocio, domain: Ends, reach: Ends) -> Lut1D | Lut3D | None:
    ocio = opencolorio()

    if isinstance(operator, ocio.Lut3DTransform) and _is_forward(operator):
        size = operator.getGridSize()
        return Lut3D(np.array(operator.getData()).reshape(size, size, size, 3), *domain)
    if isinstance(operator, ocio.Lut1DTransform) and _is_plain_curve(operator):
        return Lut1D(np.array(operator.getData()).reshape(-1, 3), *domain)
    if isinstance(operator, ocio.MatrixTransform) and _is_forward(operator):
        return _matrix_stage(operator, reach)
    if isinstance(operator, ocio.RangeTransform) and _is_forward(operator):
        return _range_stage(operator, reach)
    return None


def _is_table(operator: Ocio) -> bool:
    ocio = opencolorio()

    is_cube = isinstance(operator, ocio.Lut3DTransform) and _is_forward(operator)
    return is_cube or (isinstance(operator, ocio.Lut1DTransform) and _is_plain_curve(operator))


def _is_forward(operator: Ocio) -> bool:
    ocio = opencolorio()

    return operator.getDirection() == ocio.TRANSFORM_DIR_FORWARD


def _is_plain_curve(operator: Ocio) -> bool:
    ocio = opencolorio()

    return (
        _is_forward(operator)
        and not operator.getInputHalfDomain()
        and operator.getHueAdjust() == ocio.HUE_NONE
        and operator.getLength() <= MAX_SIZE_1D
    )


def _domain_of(operator: Ocio) -> Ends | None:
    """What a matrix brings onto 0..1, where it holds nothing but gains above 0 and offsets."""
    ocio = opencolorio()

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
    """Ends as someone wrote them: -0.3 where gain and offset give -0.29999999999999993."""
    short = np.array([float(f"{end:.9g}") for end in ends])
    return np.where(np.abs(short - ends) <= 1e-13 * span, short, ends)


def _matrix_stage(operator: Ocio, reach: Ends) -> Lut3D | None:
    matrix = np.array(operator.getMatrix(), np.float64).reshape(4, 4)
    offset = np.array(operator.getOffset(), np.float64)
    if matrix[:3, 3].any():  # takes up alpha
        return None
    low = np.array(reach[0])
    high = np.where(reach[1] > low, reach[1], low + 1)
    corners = np.stack(np.meshgrid(*zip(low, high, strict=True), indexing="ij"), axis=-1)
    table = np.empty((2, 2, 2, 3))
    for channel in range(3):
        weighed = [matrix[channel, k] * corners[..., k] for k in range(3)]
        table[..., channel] = weighed[0] + weighed[1] + weighed[2] + offset[channel]
    return Lut3D(table.astype(np.float32), _rgb(low), _rgb(high))


def _range_stage(operator: Ocio, reach: Ends) -> Lut1D | None:
    ocio = opencolorio()

    if operator.getStyle() != ocio.RANGE_CLAMP:
        return None
    low, high = np.array(reach)
    gain, offset = 1.0, 0.0
    if operator.hasMinInValue() and operator.hasMaxInValue():  # else it only clamps
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
