"""What every command checks of its arguments. Imports little: `--help` loads it."""

from lutkit.errors import LutkitError


def require_no_more(extra: list[str], allowed: int, expected: str) -> None:
    """Refuse more names than a command takes: most often a pattern that the shell has filled in."""
    if extra:
        found = f"{len(extra) + allowed} names where {expected} is expected"
        raise LutkitError(found, remedy="put a pattern in quotes")
