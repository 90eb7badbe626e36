"""Sizes, times and counts in words."""


def size_text(size: float) -> str:
    """Return a size in bytes for people: `172 MB`."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size:.0f} bytes"


def time_text(seconds: float) -> str:
    """Return a time in seconds for people: `32 s`, `4 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def photos_text(count: int) -> str:
    """Return `1 photo`, `2 photos`."""
    return f"{count:,} photo{'' if count == 1 else 's'}"


def share_text(share: float) -> str:
    """Return a share of 0..1 in percent: `13.6%`, `0.42%`; only exactly 0 and 1 give 0% and 100%."""
    if 0 < share < 0.00005:
        return "under 0.01%"
    if 0.9995 <= share < 1:
        return "over 99.9%"
    return f"{share:.2%}" if share < 0.1 else f"{share:.1%}"
