"""Results of public functions: frozen dataclasses that are `CommandResult`s, and their dictionaries.

Owns how a result's fields become JSON. Must not know any of the results.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

# Metadata of a field that the dictionary leaves out: arrays, LUTs, and data that tables are printed from.
ASIDE: Mapping[str, bool] = MappingProxyType({"aside": True})


class CommandResult:
    """The common part of the frozen results of public functions."""

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON values, as its command prints it with `--json`."""
        return to_values(self)


def to_values(result: object) -> dict[str, Any]:
    """Return the fields of a result as JSON values, in their order, without those that are `ASIDE`.

    Args:
        result: a dataclass of texts, numbers, paths, None, and tuples, mappings and dataclasses of these.
    Returns:
        A new dictionary: paths are texts, tuples lists, inner dataclasses dictionaries.
    """
    fields = dataclasses.fields(cast("Any", result))
    return {part.name: _value(getattr(result, part.name)) for part in fields if part.metadata != ASIDE}


def six_digits(value: float) -> float:
    """Return a number at six significant digits, as results state what is measured."""
    return float(f"{value:.6g}")


def _value(value: object) -> object:
    if dataclasses.is_dataclass(value):
        return to_values(value)
    if isinstance(value, Mapping):
        return {str(key): _value(one) for key, one in cast("Mapping[object, object]", value).items()}
    if isinstance(value, tuple):
        return [_value(one) for one in cast("tuple[object, ...]", value)]
    return str(value) if isinstance(value, Path) else value
