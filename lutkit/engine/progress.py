"""The progress of long work, which public functions report to the caller's callback.

Must not know what the work is, or how progress is shown.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Progress:
    """The progress of a run. Where a run resumes another, `done` begins with what that one has done.

    Args:
        stage: what is being done, such as `pairs`.
        done: how much of it is done.
        total: how much there is; None if unknown.
        notes: information for the user, one sentence each.
        warnings: warnings about what may spoil the result, one sentence each.
    """

    stage: str
    done: int = 0
    total: int | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


OnProgress: TypeAlias = Callable[[Progress], None]


def unheard(_progress: Progress) -> None:
    """Ignore a report; functions use this if no `on_progress` is given."""
