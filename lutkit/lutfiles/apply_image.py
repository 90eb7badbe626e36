"""`apply`: a LUT, or the LUT of a file, on an image in memory. `lutkit.lut.apply` maps the pixels."""

from lutkit.lut.apply import Interpolation, RgbImage, map_pixels, require_image, require_no_codes
from lutkit.lut.model import lut_stages
from lutkit.lutfiles.given import LutLike, given_lut


def apply(
    image: RgbImage,
    lut: LutLike,
    *,
    strength: float = 1.0,
    interpolation: Interpolation = "tetrahedral",
    threads: int | None = None,
) -> RgbImage:
    """Map every pixel of `image` through `lut`.

    Input is clamped to the domain of each LUT; table values are not clamped. Integer results are clamped to
    the range of codes and rounded to nearest (8-bit ties to even), once, after the last LUT and after
    blending. Float results are not clamped, so table values outside 0..1 give results outside 0..1.

    Args:
        image: (H, W, 3), (H, W, 4) or (..., 3), sRGB-encoded, uint8, uint16 or float32 with 0..1 nominal;
            alpha is not changed.
        lut: a LUT, or the path of a LUT file.
        strength: 0 keeps the image, 1 is the full LUT; values between blend the two.
        interpolation: how a cube is read between its lattice points: `tetrahedral`, which keeps greys grey if
            the cube's diagonal is grey, or `trilinear`. Curves are always linear.
        threads: how many threads share an image of a megapixel or more; all available cores by default. The
            result does not depend on it.
    Returns:
        A new array of the same shape and dtype.
    Raises:
        ArrayError: if the shape or dtype is another, a colour channel holds NaN, or floats look like codes of
            0..255: half of the values are above 4 times the upper end of the LUT's domain, and above 4.
        LutError: if `lut` is neither a LUT nor a path, or an option is out of range.
        SourceError, LutFormatError: if a file cannot be read, or holds no LUT.

    >>> import lutkit, numpy
    >>> photo = numpy.array([[[0, 128, 255]]], numpy.uint8)
    >>> lutkit.apply(photo, lutkit.Lut1D([[1, 1, 1], [0, 0, 0]])).tolist()  # a negative
    [[[255, 127, 0]]]
    """
    known = given_lut(lut).lut
    require_image(image)
    require_no_codes(image, max(lut_stages(known)[0].domain_max), "apply")
    return map_pixels(image, known, strength=strength, interpolation=interpolation, threads=threads)
