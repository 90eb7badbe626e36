"""The progress of a long run, which public functions report to the caller's callback.

Must not know what the work is, or how progress is shown.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Progress:
    """The progress of a run. If the run resumes an earlier one, `done` includes the work of the earlier run.

    Args:
        stage: the current stage, such as `pairs`.
        done: how many items of this stage are done.
        total: how many items there are; None if unknown.
        notes: information for the user, one sentence each.
        warnings: warnings about problems that may spoil the result, one sentence each.
    """

    stage: str
    done: int = 0
    total: int | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


OnProgress: TypeAlias = Callable[[Progress], None]


def unheard(_progress: Progress) -> None:
    """Ignore a report; functions use this if no `on_progress` is given."""
