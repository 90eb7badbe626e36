"""The errors that a user can cause: where it happened, what was found, and how to fix it.

Owns the exception types and the form of their messages, `where: what; remedy`. Knows nothing of files, arrays
or terminals.
"""

import re
from collections.abc import Generator
from contextlib import contextmanager


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
    """A manifest or an option with an unknown key, a wrong type, or an impossible value.

    Args:
        what: as for `LutkitError`; if there is a `name`, the part of the sentence after it: `is 0..1, not 2`.
        where: as for `LutkitError`.
        remedy: as for `LutkitError`.
        key: the setting that is wrong, with its table: `damage.severity`; empty if it is no single one.
        name: the setting's name, if the message begins with it.
    """

    def __init__(
        self, what: str, *, where: str = "", remedy: str = "", key: str = "", name: str = ""
    ) -> None:
        super().__init__(f"{name} {what}" if name else what, where=where, remedy=remedy)
        self.key = key
        self.name = name

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_setting, (type(self), self._found, self.where, self.remedy, self.key, self.name)

    def of_option(self, option: str) -> "ManifestError":
        """Return the error for the option that gave the setting: `--size is 8..4096 pixels, not 0`."""
        named = {"name": option} if self.name else {"where": option}
        return ManifestError(self._found, remedy=self.remedy, key=self.key, **named)

    @property
    def _found(self) -> str:
        return self.what.removeprefix(f"{self.name} ") if self.name else self.what


def _rebuild_setting(
    kind: type[ManifestError], what: str, where: str, remedy: str, key: str, name: str
) -> ManifestError:
    return kind(what, where=where, remedy=remedy, key=key, name=name)


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


@contextmanager
def python_names() -> Generator[None]:
    """Let errors of the block name Python arguments instead of options: `passes` for `--passes`.

    Functions that are no commands use it around functions that commands use, too.
    """
    try:
        yield
    except LutkitError as error:
        what, remedy = (
            re.sub(r"--([a-z][a-z-]*)", lambda found: found[1].replace("-", "_"), text)
            for text in (error.what, error.remedy)
        )
        raise type(error)(what, where=error.where, remedy=remedy) from None


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
