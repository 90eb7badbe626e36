"""JSON and TOML of any origin, read in one way: within bounds, and field by field with the type of each.

Whatever is wrong with a document is one error, `DocumentError`: it may come from a stranger, and the parsers
of the standard library raise half a dozen kinds, or let through what no arithmetic survives. Must not know
what a document is about.
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

# Beyond any document that is written here; parsed, one takes some ten times its size.
MOST_JSON_BYTES = 1 << 26
MOST_TOML_BYTES = 1 << 23
# The longest: a dataset.json of a billion samples lists four million shards, in 165 bytes each.
MOST_INDEX_BYTES = 1 << 30

_MOST_DEEP = 64
_MOST_WHOLE = 1 << 64  # what 64 bits hold, with or without a sign
_PIECE = 1 << 20


def parse_json(content: str | bytes, *, most_bytes: int = MOST_JSON_BYTES) -> object:
    """Parse JSON.

    Args:
        content: text, or its bytes.
        most_bytes: more are not parsed.
    Returns:
        What it holds: numbers finite, whole ones within 64 bits, nested at most 64 deep.
    Raises:
        DocumentError: not JSON, or beyond these bounds.
    """
    if not isinstance(cast("object", content), str | bytes):
        raise DocumentError(f"not JSON: no text but {type(content).__name__}")
    return _parsed("JSON", json.loads, json.JSONDecodeError, content, most_bytes)


def parse_toml(content: str | bytes, *, most_bytes: int = MOST_TOML_BYTES) -> dict[str, Any]:
    """Parse TOML; as `parse_json` does with JSON.

    Raises:
        DocumentError: not TOML in UTF-8, or beyond the bounds.
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
        raise DocumentError(f"not {format_name}: not text in UTF-8") from None
    except malformed as error:
        raise DocumentError(f"not {format_name}: {error}") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        raise _too_long() from None  # Python's own bound on the digits of a number
    _require_bounds(document)
    return document


def read_json(path: Path, *, most_bytes: int = MOST_JSON_BYTES) -> object:
    """Read a JSON file; see `parse_json`. A longer one is not read to its end.

    Raises:
        DocumentError: see `parse_json`.
        OSError: from the system.
    """
    return parse_json(_read(path, most_bytes), most_bytes=most_bytes)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; see `parse_toml`. One that is too long is not read to its end.

    Raises:
        DocumentError: see `parse_toml`.
        OSError: from the system.
    """
    return parse_toml(_read(path, MOST_TOML_BYTES))


@contextmanager
def refused_as(
    kind: type[LutkitError], *, where: str = "", remedy: str = "", what: str = ""
) -> Generator[None]:
    """Within the block a DocumentError becomes an error of this kind.

    Args:
        kind: of the error.
        where: the document.
        remedy: how to mend it.
        what: what the document should be, before what is wrong: `not an index of latents`.
    """
    try:
        yield
    except DocumentError as error:
        text = f"{what}: {error.what}" if what else error.what
        raise kind(text, where=where, remedy=remedy) from None


@dataclass(frozen=True)
class Fields:
    """An object of a document, whose fields are asked for by the type that they must have.

    Args:
        values: the object.
        place: where it stands in the document, as messages begin: `vae.`; empty at the top.
    """

    values: Mapping[str, Any]
    place: str = ""

    def text(self, name: str) -> str:
        """A text.

        Raises:
            DocumentError: there is none of that name, or it is something else; so do all others.
        """
        return cast("str", self._typed(name, str, "a text"))

    def flag(self, name: str) -> bool:
        """True or false."""
        return cast("bool", self._typed(name, bool, "true or false"))

    def whole(self, name: str) -> int:
        """A whole number."""
        return cast("int", self._typed(name, int, "a whole number"))

    def number(self, name: str) -> float:
        """A number."""
        if type(self.values.get(name)) is int:
            return float(self.whole(name))
        return cast("float", self._typed(name, float, "a number"))

    def listed(self, name: str) -> list[Any]:
        """A list of whatever."""
        return cast("list[Any]", self._typed(name, list, "a list"))

    def part(self, name: str) -> "Fields":
        """An object."""
        return Fields(cast("dict[str, Any]", self._typed(name, dict, "an object")), f"{self.place}{name}.")

    def parts(self, name: str) -> list["Fields"]:
        """A list of objects."""
        return [fields_of(item, f"{self.place}{name}[{i}]") for i, item in enumerate(self.listed(name))]

    def texts(self, name: str) -> list[str]:
        """A list of texts."""
        found = self.listed(name)
        if not all(type(item) is str for item in found):
            raise DocumentError(f"{self.place}{name} is not a list of texts")
        return found

    def text_of_each(self, name: str) -> dict[str, str]:
        """An object whose fields are all texts."""
        inner = self.part(name)
        return {each: inner.text(each) for each in inner.values}

    def _typed(self, name: str, kind: type, words: str) -> object:
        if name not in self.values:
            raise DocumentError(f"no {self.place}{name}")
        found = cast("object", self.values[name])
        # By the very type: for Python true is a whole number.
        if type(found) is not kind:
            raise DocumentError(f"{self.place}{name} is not {words}")
        return found


def fields_of(document: object, place: str = "") -> Fields:
    """The fields of a document, or of a part of it.

    Args:
        document: what was parsed.
        place: where a part stands: `vae`.
    Raises:
        DocumentError: it is no object.
    """
    if not isinstance(document, dict):
        raise DocumentError(f"{place or 'the whole'} is not an object")
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
        raise DocumentError(f"longer than the {most:,} bytes that are read")


def _require_bounds(document: object) -> None:
    """Level by level, not by recursion, which is what a document may be made to exhaust."""
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
    """The error of the first number that is beyond the bounds, by the name of its field."""
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
    return DocumentError(f"nested more than {_MOST_DEEP} deep")


def _too_long(name: str = "a number") -> DocumentError:
    return DocumentError(f"{name} is beyond what 64 bits hold")
