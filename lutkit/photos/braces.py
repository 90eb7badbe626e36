"""`shard-{000000..000009}.tar` and `{a,b}.tar` -> the names they stand for, as webdataset reads them."""

import re

from lutkit.errors import SourceError

_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_OPEN = re.compile(r"(?<!\[)\{")
_BRACES = re.compile(rf"{_OPEN.pattern}([^{{}}]*)\}}")
_MOST = 1_000_000


def has_braces(text: str) -> bool:
    """Whether a brace opens in it; one within brackets, `[{]`, is a plain one."""
    return _OPEN.search(text) is not None


def expand_braces(text: str) -> list[str]:
    """Write out every range of numbers and every list of words, the rightmost changing fastest.

    Numbers keep the width of the range's first number.

    Raises:
        SourceError: braces that hold neither, a range that falls, or more than a million names.
    """
    names = [""]
    position = 0
    for braces in _BRACES.finditer(text):
        words = _words(braces[1], text)
        if len(names) * len(words) > _MOST:
            raise SourceError(f"more than {_MOST} names", where=text, remedy="shorten the range")
        before = text[position : braces.start()]
        names = [name + before + word for name in names for word in words]
        position = braces.end()
    return [name + text[position:] for name in names]


def _words(inner: str, text: str) -> list[str]:
    span = _RANGE.fullmatch(inner)
    if span is None:
        if "," in inner:
            return inner.split(",")
        raise SourceError(f"cannot expand {{{inner}}}", where=text, remedy="write {000..009} or {a,b}")
    first, last = int(span[1]), int(span[2])
    if not first <= last < first + _MOST:
        raise SourceError(f"cannot expand {{{inner}}}", where=text, remedy="count upwards, up to a million")
    return [str(number).zfill(len(span[1])) for number in range(first, last + 1)]
