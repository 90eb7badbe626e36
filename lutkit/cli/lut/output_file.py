"""What the commands that write a LUT file check of its options. Imports little: `--help` loads it."""

from pathlib import Path

from lutkit.dataset.outputs import require_vacant
from lutkit.errors import LutkitError
from lutkit.lutfiles.formats import Bits, format_to_write


def require_free(path: Path, *, overwrite: bool) -> None:
    """Refuse what cannot become a file, and to replace one that nobody said may be replaced."""
    require_vacant(path, overwrite=overwrite)


def require_bits(bits: int | None, path: Path) -> Bits:
    """The bits of a Hald image, 16 where nobody asks for others; other files have none to ask for."""
    if bits is not None and not format_to_write(path).has_bits:
        raise LutkitError(
            f"{path.suffix.lower()} is no Hald image", where="--bits", remedy="name it .png or .tif"
        )
    if bits not in (None, 8, 16):
        raise LutkitError(f"{bits} bits", where="--bits", remedy="choose 8 or 16")
    return 8 if bits == 8 else 16
