"""The versions of libraries that the bytes of a dataset depend on: recorded at the start, compared on resume.

Owns the list of these libraries. Importing this module loads none of them.
"""

import platform
from collections.abc import Mapping
from importlib.metadata import version

import lutkit
from lutkit.errors import DatasetError

# Libraries for decoding, resizing and encoding, for random draws, and for compiled loops.
_ALWAYS = ("numpy", "numba", "llvmlite", "pillow")
# Libraries inside Pillow's wheel or on the system: the same version of Pillow may decode with different ones.
_WITHIN_PILLOW = {
    "libjpeg-turbo": "libjpeg_turbo",
    "zlib": "zlib",
    "zlib-ng": "zlib_ng",
    "littlecms2": "littlecms2",
}
_CPU = ("machine", "cpu")


def library_versions(*also: str) -> dict[str, str]:
    """Return the versions of the libraries that affect the bytes of a dataset, and the kind of CPU.

    Args:
        also: further installed distributions, by their pip names.
    Returns:
        Versions by name, in a fixed order: lutkit, Python, distributions, Pillow's libraries and the C
        library, whose `pow` draws use; then `machine` and `cpu`, for which loops are compiled.
    Raises:
        importlib.metadata.PackageNotFoundError: if a distribution is not installed.
    """
    import llvmlite.binding
    from PIL import features

    return {
        "lutkit": lutkit.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in (*_ALWAYS, *also)},
        **{name: str(features.version(feature) or "none") for name, feature in _WITHIN_PILLOW.items()},
        "libc": " ".join(platform.libc_ver()).strip() or platform.system(),
        "machine": platform.machine() or "unknown",
        "cpu": str(llvmlite.binding.get_host_cpu_name()),
    }


def require_same_libraries(recorded: Mapping[str, str], now: Mapping[str, str], where: str) -> None:
    """Raise DatasetError, naming the differences, unless libraries and CPU are those that were recorded.

    Args:
        recorded: the versions with which the dataset in `where` was begun.
        now: the current versions.
        where: the dataset folder, for the message.
    """
    differences = [
        f"{name} {recorded.get(name, 'absent')} then, {now.get(name, 'absent')} now"
        for name in {**recorded, **now}
        if recorded.get(name) != now.get(name) and name not in _CPU
    ]
    if differences:
        raise DatasetError(
            f"begun with other versions: {', '.join(differences)}",
            where=where,
            remedy="install the earlier versions, or write into another folder",
        )
    before, after = (" ".join(found.get(name, "unknown") for name in _CPU) for found in (recorded, now))
    if before != after:
        raise DatasetError(
            f"begun on another kind of CPU: {before} then, {after} now",
            where=where,
            remedy="continue on a machine of that kind, or write into another folder",
        )
