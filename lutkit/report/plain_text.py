"""Text from any source, made safe for a terminal: the only place where untrusted text is escaped.

Titles of LUTs, names of files, keys of samples and messages of other libraries may contain escape sequences,
line breaks, marks that change the direction of writing, and bytes that are not text. Everything that commands
print passes here: `tell` for messages, `PlainConsole` for everything else.
"""

import io
import os
import sys
import unicodedata

_KEPT = ("\t", " ")


def plain(text: str) -> str:
    r"""Return text in which every invisible character except blanks is written as `\x1b` or `\u202e`.

    Args:
        text: any text; bytes of a file's name that are not UTF-8 become `\xff`.
    """
    if text.isprintable():
        return text
    return "".join(c if _is_harmless(c) else _escaped(c) for c in text)


def tell(message: object) -> None:
    """Print a message as one line on stderr, after the program's name."""
    print(f"lutkit: {plain(str(message))}", file=sys.stderr)


def print_line(text: str) -> None:
    """Print a line on stdout."""
    print(plain(text))


def escape_what_cannot_be_encoded() -> None:
    """Let stdout write characters that its encoding lacks, such as Chinese in cp1252, as `\\u4e2d`."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _is_harmless(character: str) -> bool:
    return character in _KEPT or character.isprintable() or unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{os.fsencode(character)[0]:02x}"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
