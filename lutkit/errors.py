"""The errors that a user can cause: where it happened, what was found, and how to fix it.

Owns the exception types and the form of their messages, `where: what; remedy`. Knows nothing of files, arrays
or terminals.
"""


class LutkitError(Exception):
    """A mistake of a user; its message states how to fix it.

    Args:
        what: what was found, in a few words.
        where: the place (`grade.cube:17`, `manifest.toml [damage]`), or empty.
        remedy: how to fix it, or empty.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what = what
        self.where = where
        self.remedy = remedy
        super().__init__(what, where, remedy)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        mend = f"; {self.remedy}" if self.remedy else ""
        return f"{place}{self.what}{mend}"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, self.where, self.remedy)


def _rebuild(kind: type[LutkitError], what: str, where: str, remedy: str) -> LutkitError:
    return kind(what, where=where, remedy=remedy)


class ArrayError(LutkitError, ValueError):
    """An array with a wrong shape, dtype or content."""


class LutError(LutkitError, ValueError):
    """An impossible LUT: a size out of range, a table that is not finite, an empty domain."""


class LutFormatError(LutkitError, ValueError):
    """A LUT file whose content does not follow its format."""


class RecipeError(LutkitError, ValueError):
    """A recipe, family or mask with impossible parameters, or one that names a LUT that was not found."""


class ManifestError(LutkitError, ValueError):
    """A manifest or an option with an unknown key, a wrong type, or an impossible value."""


class DocumentError(LutkitError, ValueError):
    """JSON or TOML that cannot be read, or does not have the required content."""


class SourceError(LutkitError):
    """Photos or LUTs that were named but do not exist or cannot be listed."""


class ImageError(LutkitError):
    """A photo that cannot be used; `what` is a stable reason that reject lists repeat."""


class DatasetError(LutkitError):
    """A dataset folder that is in use, holds something else, or does not match what is requested."""


class VaeError(LutkitError):
    """A VAE that cannot be found or loaded, a device that is missing, or images that a VAE cannot take."""
