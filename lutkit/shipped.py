"""Files that ship with the package: found in an installed wheel and in a checkout alike."""

from pathlib import Path

from lutkit.errors import SourceError

_PACKAGE = Path(__file__).resolve().parent


def shipped_folder(name: str) -> Path:
    """The folder of shipped files of that name, `luts` or `manifests`.

    A wheel carries them inside the package; an editable install finds them at the repository's root.

    Raises:
        SourceError: neither is there: the installation is broken.
    """
    for folder in (_PACKAGE / "_shipped" / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise SourceError(f"the shipped folder {name!r} is missing", remedy="install lutkit again")
