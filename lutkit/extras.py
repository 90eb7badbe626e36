"""Packages that only parts of lutkit need, and that pip installs with an extra."""

import importlib.util

from lutkit.errors import LutkitError

TRAINING_NEEDS = ("torch", "lightning", "huggingface_hub", "safetensors")


def require_installed(packages: tuple[str, ...], extra: str) -> None:
    """Require packages that only some commands need; the message says how to install them.

    Raises:
        LutkitError: if one of the packages is not installed.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        remedy = f"run `pip install 'lutkit[{extra}]'`"
        raise LutkitError(f"this needs {' and '.join(missing)}", remedy=remedy)
