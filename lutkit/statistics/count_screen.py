"""Counting a source's colours with a bar, and what is said of photos that were not counted."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lutkit.dataset.records import Reject
    from lutkit.measure.counts import ColorTotals
    from lutkit.photos.photo_list import PhotoList

_NAMED = 10


def count_source(
    photos: "PhotoList", size_px: int | None, workers: int | None, *, quiet: bool
) -> "tuple[ColorTotals, tuple[Reject, ...]]":
    """Count the colours of photos, with a bar on a terminal unless `quiet`.

    One worker, or few photos, need no process beside this one.
    """
    from rich.progress import Progress

    from lutkit.engine.engine import InProcess, LocalEngine, wanted_workers
    from lutkit.report.console import PlainConsole
    from lutkit.statistics.count import FEW, Counted, count_photos

    processes = wanted_workers(workers)
    here = processes == 1 or len(photos.photos) <= FEW
    console = PlainConsole(quiet=quiet)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        bar = progress.add_task("photos", total=len(photos.photos))

        def on_counted(counted: Counted) -> None:
            progress.update(bar, advance=counted.photos)

        return count_photos(photos, size_px, InProcess() if here else LocalEngine(processes), on_counted)


def left_out_lines(photos: "PhotoList | None", rejects: "tuple[Reject, ...]") -> list[str]:
    """What was not counted, a line each: the first photos by name, and files of kinds that are not read."""
    from lutkit.photos.photo_list import unread_text

    lines = [f"not counted: {reject.path}: {reject.reason}" for reject in rejects[:_NAMED]]
    if len(rejects) > _NAMED:
        lines.append(f"not counted: {len(rejects) - _NAMED:,} more")
    if photos is not None and photos.unread:
        lines.append(f"not counted: {unread_text(photos.unread)}")
    return lines
