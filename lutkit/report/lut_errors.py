"""How far LUTs are off, in words: in code values of 8 bits, as people who grade know them."""

from lutkit.lut.algebra import Baked
from lutkit.lut.inverse import Inverse

_TINY = 0.01 / 255


def error_sentence(errors: Baked | Inverse) -> str:
    """`exact`, or the mean, the 99th percentile and the largest error found; one word where all are tiny."""
    if errors.max_error == 0:
        return "exact"
    if errors.max_error < _TINY:
        return f"off by {_codes(errors.max_error)} of 255"
    mean, p99, most = (_codes(v) for v in (errors.mean_error, errors.p99_error, errors.max_error))
    return f"off by {mean} of 255 on average, {p99} or less on 99% of colours, {most} at most"


def inverse_sentences(inverse: Inverse, name: str) -> list[str]:
    """What a user should know of an inverse, a sentence a line.

    Args:
        inverse: measured.
        name: of the LUT that it undoes.
    """
    lines = [f"{name} and back: {error_sentence(inverse)}."]
    if inverse.unreachable_share > 0:
        gamut = f"{inverse.unreachable_share:.1%} of all colours cannot come out of {name}"
        lines.append(f"{gamut}; they are taken to the nearest that can.")
    if inverse.folded_share > 0:
        merged = f"{inverse.folded_share:.1%} of {name} merges colours or turns them over"
        lines.append(f"{merged}: what went in there is a guess.")
    return lines


def _codes(error: float) -> str:
    if error < _TINY:
        return "under 0.01"
    codes = 255 * error
    return f"{codes:.2g}" if codes < 100 else f"{codes:.0f}"
