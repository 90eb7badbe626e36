"""Find the files that ship with the package, in an installed wheel and in a checkout."""

from pathlib import Path

from lutkit.errors import SourceError

_PACKAGE = Path(__file__).resolve().parent


def shipped_folder(name: str) -> Path:
    """Return the folder of shipped files with that name, `luts` or `manifests`.

    A wheel holds them inside the package; an editable install has them at the root of the repository.

    Raises:
        SourceError: if neither exists, because the installation is broken.
    """
    for folder in (_PACKAGE / "_shipped" / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise SourceError(f"the shipped folder {name!r} is missing", remedy="install lutkit again")
