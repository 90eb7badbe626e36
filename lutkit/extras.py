"""Packages that only parts of lutkit need, and that pip installs with an extra; and what they log."""

import importlib.util
import logging
from collections.abc import Generator
from contextlib import contextmanager

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


@contextmanager
def quiet_loggers(*names: str, below: int) -> Generator[None]:
    """Within the block, drop what these loggers would log below a level."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(below)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
