"""Import a function or a module of torch by name: `package.module:name`."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from lutkit.errors import LutkitError, first_line


def imported(text: str, remedy: str) -> Callable[..., Any]:
    """Import what `module:name` names; modules are found from the current folder, too.

    Args:
        text: the name.
        remedy: what the message of an error advises.
    Raises:
        LutkitError: if it cannot be imported, or cannot be called.
    """
    module, _, name = text.partition(":")
    if not module or not name:
        raise LutkitError("not the name of a Python function", where=text, remedy=remedy)
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        found = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # a stranger's module raises anything
        raise LutkitError(f"cannot be imported: {first_line(error)}", where=text, remedy=remedy) from None
    finally:
        sys.path.remove(here)
    if not hasattr(found, name):
        raise LutkitError(f"the module has no {name!r}", where=text, remedy=remedy)
    value = getattr(found, name)
    if not callable(value):
        raise LutkitError(f"{name} is a {type(value).__name__}, not a function", where=text, remedy=remedy)
    return cast("Callable[..., Any]", value)
