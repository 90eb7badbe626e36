"""Read JSON and TOML from any source in one way: within limits, and field by field with a type for each.

Any fault of a document is one error, `DocumentError`. A document may come from a stranger, and the parsers of
the standard library raise many kinds of errors, or accept numbers that break later arithmetic. This module
must not know what a document is about.
"""

import json
import math
import tomllib
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from lutkit.errors import DocumentError, LutkitError

_Parsed = TypeVar("_Parsed")

# Larger than any document that lutkit writes; a parsed document takes about ten times its size.
MOST_JSON_BYTES = 1 << 26
MOST_TOML_BYTES = 1 << 23
# For the longest: a dataset.json of a billion samples lists four million shards, in 165 bytes each.
MOST_INDEX_BYTES = 1 << 30

_MOST_DEEP = 64
_MOST_WHOLE = 1 << 64  # the limit of 64 bits, with or without a sign
_PIECE = 1 << 20


def parse_json(content: str | bytes, *, most_bytes: int = MOST_JSON_BYTES) -> object:
    """Parse JSON.

    Args:
        content: the text, or its bytes.
        most_bytes: the limit of the length; longer content is not parsed.
    Returns:
        The content: numbers are finite, whole numbers within 64 bits, and the nesting at most 64 deep.
    Raises:
        DocumentError: if it is not JSON, or exceeds these limits.
    """
    if not isinstance(cast("object", content), str | bytes):
        raise DocumentError(f"not JSON: expected text, not {type(content).__name__}")
    return _parsed("JSON", json.loads, json.JSONDecodeError, content, most_bytes)


def parse_toml(content: str | bytes, *, most_bytes: int = MOST_TOML_BYTES) -> dict[str, Any]:
    """Parse TOML, as `parse_json` parses JSON.

    Raises:
        DocumentError: if it is not TOML in UTF-8, or exceeds the limits.
    """
    return _parsed("TOML", _toml_of, tomllib.TOMLDecodeError, content, most_bytes)


def _toml_of(content: str | bytes) -> dict[str, Any]:
    return tomllib.loads(content if isinstance(content, str) else content.decode())


def _parsed(
    format_name: str,
    parse: Callable[[str | bytes], _Parsed],
    malformed: type[ValueError],
    content: str | bytes,
    most_bytes: int,
) -> _Parsed:
    _require_size(len(content), most_bytes)
    try:
        document = parse(content)
    except UnicodeDecodeError:
        raise DocumentError(f"not {format_name}: not UTF-8 text") from None
    except malformed as error:
        raise DocumentError(f"not {format_name}: {error}") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        raise _too_long() from None  # Python's own limit on the digits of a number
    _require_bounds(document)
    return document


def read_json(path: Path, *, most_bytes: int = MOST_JSON_BYTES) -> object:
    """Read a JSON file; see `parse_json`. A file that is too long is not read to its end.

    Raises:
        DocumentError: see `parse_json`.
        OSError: if the system cannot read the file.
    """
    return parse_json(_read(path, most_bytes), most_bytes=most_bytes)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; see `parse_toml`. A file that is too long is not read to its end.

    Raises:
        DocumentError: see `parse_toml`.
        OSError: if the system cannot read the file.
    """
    return parse_toml(_read(path, MOST_TOML_BYTES))


@contextmanager
def refused_as(
    kind: type[LutkitError], *, where: str = "", remedy: str = "", what: str = ""
) -> Generator[None]:
    """Within the block, turn a DocumentError into an error of another kind.

    Args:
        kind: the kind of the error.
        where: the document.
        remedy: how to fix it.
        what: a text before the fault, which states what the document should be: `not an index of latents`.
    """
    try:
        yield
    except DocumentError as error:
        text = f"{what}: {error.what}" if what else error.what
        raise kind(text, where=where, remedy=remedy) from None


@dataclass(frozen=True)
class Fields:
    """An object of a document; its fields are read by the type that they must have.

    Args:
        values: the object.
        place: its place in the document, with which messages begin: `vae.`; empty at the top.
    """

    values: Mapping[str, Any]
    place: str = ""

    def text(self, name: str) -> str:
        """Return a string.

        Raises:
            DocumentError: if there is no such field, or its value has another type; the other methods raise
                the same.
        """
        return cast("str", self._typed(name, str, "a string"))

    def flag(self, name: str) -> bool:
        """Return true or false."""
        return cast("bool", self._typed(name, bool, "true or false"))

    def whole(self, name: str) -> int:
        """Return a whole number."""
        return cast("int", self._typed(name, int, "a whole number"))

    def number(self, name: str) -> float:
        """Return a number."""
        if type(self.values.get(name)) is int:
            return float(self.whole(name))
        return cast("float", self._typed(name, float, "a number"))

    def listed(self, name: str) -> list[Any]:
        """Return a list of anything."""
        return cast("list[Any]", self._typed(name, list, "a list"))

    def part(self, name: str) -> "Fields":
        """Return an object."""
        return Fields(cast("dict[str, Any]", self._typed(name, dict, "an object")), f"{self.place}{name}.")

    def parts(self, name: str) -> list["Fields"]:
        """Return a list of objects."""
        return [fields_of(item, f"{self.place}{name}[{i}]") for i, item in enumerate(self.listed(name))]

    def texts(self, name: str) -> list[str]:
        """Return a list of strings."""
        found = self.listed(name)
        if not all(type(item) is str for item in found):
            raise DocumentError(f"{self.place}{name} is not a list of strings")
        return found

    def text_of_each(self, name: str) -> dict[str, str]:
        """Return an object whose fields are all strings."""
        inner = self.part(name)
        return {each: inner.text(each) for each in inner.values}

    def _typed(self, name: str, kind: type, words: str) -> object:
        if name not in self.values:
            raise DocumentError(f"{self.place}{name} is missing")
        found = cast("object", self.values[name])
        # By the exact type: in Python, true is a whole number.
        if type(found) is not kind:
            raise DocumentError(f"{self.place}{name} is not {words}")
        return found


def fields_of(document: object, place: str = "") -> Fields:
    """Return the fields of a document, or of a part of it.

    Args:
        document: the parsed document or part.
        place: the place of a part: `vae`.
    Raises:
        DocumentError: if it is not an object.
    """
    if not isinstance(document, dict):
        raise DocumentError(f"{place or 'the document'} is not an object")
    return Fields(cast("dict[str, Any]", document), f"{place}." if place else "")


def _read(path: Path, most_bytes: int) -> bytes:
    found = bytearray()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            found += piece
            _require_size(len(found), most_bytes)
    return bytes(found)


def _require_size(length: int, most: int) -> None:
    if length > most:
        raise DocumentError(f"longer than the limit of {most:,} bytes")


def _require_bounds(document: object) -> None:
    """Check level by level, not by recursion, because deep nesting could exhaust the stack."""
    level = [document]
    for _ in range(_MOST_DEEP + 1):
        deeper: list[object] = []
        for value in level:
            kind = type(value)
            if kind is dict:
                deeper.extend(cast("dict[str, object]", value).values())
            elif kind is list:
                deeper.extend(cast("list[object]", value))
            elif _is_beyond(value):
                raise _beyond(document)
        if not deeper:
            return
        level = deeper
    raise _too_deep()


def _is_beyond(value: object) -> bool:
    if type(value) is int:
        return not -_MOST_WHOLE < value < _MOST_WHOLE
    return type(value) is float and not math.isfinite(value)


def _beyond(document: object) -> DocumentError:
    """Return the error for the first number that exceeds the limits, with the name of its field."""
    found: list[tuple[str, object]] = [("a number", document)]
    for name, value in found:
        if isinstance(value, dict):
            found.extend(cast("dict[str, object]", value).items())
        elif isinstance(value, list):
            found.extend((name, item) for item in cast("list[object]", value))
        elif type(value) is float and _is_beyond(value):
            return DocumentError(f"{name} is {value}, not a finite number")
        elif _is_beyond(value):
            return _too_long(name)
    return _too_long()


def _too_deep() -> DocumentError:
    return DocumentError(f"nested more than {_MOST_DEEP} levels deep")


def _too_long(name: str = "a number") -> DocumentError:
    return DocumentError(f"{name} is too large for 64 bits")
