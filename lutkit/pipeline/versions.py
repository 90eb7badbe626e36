"""The libraries that the bytes of a dataset depend on: recorded when it is made, compared on resume.

Owns that list. Loads none of them.
"""

import platform
from collections.abc import Mapping
from importlib.metadata import version

import lutkit
from lutkit.errors import DatasetError

# Decoding, resizing and encoding; drawing; and the compiled loops with their compiler.
_ALWAYS = ("numpy", "numba", "llvmlite", "pillow")


def library_versions(*also: str) -> dict[str, str]:
    """The versions of lutkit, Python and the libraries whose code shapes the bytes of a dataset.

    Args:
        also: further installed distributions, by the name pip knows them under.
    Returns:
        Version by name, in a fixed order.
    Raises:
        importlib.metadata.PackageNotFoundError: one is not installed.
    """
    return {
        "lutkit": lutkit.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in (*_ALWAYS, *also)},
    }


def require_same_libraries(recorded: Mapping[str, str], now: Mapping[str, str], where: str) -> None:
    """Raise DatasetError naming every library of another version than recorded.

    Args:
        recorded: versions that the dataset in `where` was begun with.
        now: versions that would carry on with it.
        where: the dataset folder, for the message.
    """
    differences = [
        f"{name} {recorded.get(name, 'absent')} then, {now.get(name, 'absent')} now"
        for name in {**recorded, **now}
        if recorded.get(name) != now.get(name)
    ]
    if differences:
        raise DatasetError(
            f"begun with other versions: {', '.join(differences)}",
            where=where,
            remedy="install the versions of then, or write into another folder",
        )
