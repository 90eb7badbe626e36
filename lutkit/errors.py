"""Every error a user can cause: where it went wrong, what was found, how to mend it.

Owns the exception types and the one form of their message, `where: what; remedy`. Knows nothing of
files, arrays or terminals.
"""


class LutkitError(Exception):
    """A mistake that its message tells how to mend.

    Args:
        what: what was found, in a few words.
        where: the place (`grade.cube:17`, `manifest.toml [damage]`), or empty.
        remedy: how to mend it, or empty.
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
    """An array of a wrong shape, dtype or content."""


class LutError(LutkitError, ValueError):
    """A LUT that cannot be: a size out of range, a table that is not finite, an empty domain."""


class LutFormatError(LutkitError, ValueError):
    """A LUT file that does not hold what its format asks for."""


class RecipeError(LutkitError, ValueError):
    """A recipe, family or mask with parameters that mean nothing, or a LUT it names that is not at hand."""


class ManifestError(LutkitError, ValueError):
    """A manifest or an option with an unknown key, a wrong type, or a value that cannot be met."""


class DocumentError(LutkitError, ValueError):
    """JSON or TOML that cannot be read, or does not hold what is asked of it."""


class SourceError(LutkitError):
    """Photos or LUTs that were asked for and are not there or cannot be listed."""


class ImageError(LutkitError):
    """A photo that cannot be used; `what` is a stable reason that reject lists repeat."""


class DatasetError(LutkitError):
    """A dataset folder that is in use, holds something else, or does not match what is asked."""


class VaeError(LutkitError):
    """A VAE that is not there or cannot be loaded, a device that is missing, images it cannot take."""
