"""How far long work has come: what public functions tell whoever asks, and nobody else.

Must not know what is worked on, nor how it is shown.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Progress:
    """How far a run has come. The first report of a stage has what is done already, from an earlier run too.

    Args:
        stage: what is being done, as in `pairs`.
        done: how much of it is done.
        total: how much there is; None where nobody knows.
        notes: what there is to know at this point, a sentence each.
        warnings: the same of what may spoil the result.
    """

    stage: str
    done: int = 0
    total: int | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


OnProgress: TypeAlias = Callable[[Progress], None]


def unheard(_progress: Progress) -> None:
    """Take a report, and tell nobody: what functions use where no `on_progress` is given."""
